"""`Learner`: the one adapter between a `Method` and Lightning's trainer."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.utils.data import DataLoader

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch
from deconfound.errors import RunError
from deconfound.evaluation.criterion import validation_score
from deconfound.method import Loss, Method
from deconfound.nn.pretrained import PretrainedEncoder
from deconfound.runs.spec import TrainSpec
from deconfound.training.balance import balanced_cells
from deconfound.training.best_epoch import EpochChoice
from deconfound.training.loaders import (
    ShuffledRows,
    default_environments_per_batch,
    derive_seed,
    ordered_loader,
    train_loader,
)
from deconfound.training.optimiser import adamw
from deconfound.training.row_weights import row_weights

RISK = "valid/risk"
"""The logged mean risk of the task over the validation rows, by their weights where the training has weights."""


def score_name(criterion: str) -> str:
    """The logged metric that early stopping and the best checkpoint follow; lower is better."""
    return RISK if criterion == "risk" else "valid/score"


class Learner(LightningModule):
    """Runs a method's loss under AdamW with warm-up and cosine decay, and logs the mean of every term once per epoch.

    All randomness of a step is a function of (seed, step), so that a resumed run repeats an uninterrupted one bit for bit.

    Args:
        method: the method to train.
        dataset: training and validation rows, as `Dataset.development` gives them.
        train: optimiser settings.
        seed: seed of the run.
    """

    def __init__(self, method: Method, dataset: Dataset, train: TrainSpec, seed: int) -> None:
        super().__init__()
        assert not dataset.test_splits, "a learner must not hold test rows"
        self.method, self.dataset, self.train_spec, self.seed = method, dataset, train, seed
        epochs, self.batch_size = train.budget.epochs, train.budget.batch_size
        self.steps = epochs * len(ShuffledRows(dataset.rows("train"), self.batch_size, seed, 0, train.processes))
        held = math.ceil(train.probe * epochs) if train.schedule == "probe-then-tune" else 0
        patience = train.budget.patience
        self.choice = EpochChoice.of(method.hooks.warm_up(), epochs, train.budget.window, patience, later=held)
        self.weights = row_weights(dataset, train)
        self._sums: dict[str, Tensor] = {}
        self._batches = 0
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []
        self._row_weights: list[Tensor] = []
        self._random: torch.Generator | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        """As a module does, but for the name of the current hook: Lightning sets it dozens of times in a step."""
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def train_dataloader(self) -> DataLoader[Batch]:
        size = self.batch_size
        environments_per_batch = self.train_spec.environments_per_batch or 0
        if self.method.needs_environments and not environments_per_batch:
            environments_per_batch = default_environments_per_batch(self.dataset, size)
        world = self.trainer.world_size
        cells = None if self.train_spec.balance is None else balanced_cells(self.dataset, self.train_spec)
        rows = (self.dataset, size, self.seed, self.global_rank, world, environments_per_batch)
        return train_loader(*rows, self.weights, cells)

    def val_dataloader(self) -> DataLoader[Batch]:
        return ordered_loader(self.dataset, "valid", max(512, self.batch_size), self.weights)

    def on_train_epoch_start(self) -> None:
        numbers = (self.seed, self.current_epoch, -3)
        seed_default_generators(derive_seed(*numbers, 0), self.device)
        generator = torch.Generator().manual_seed(derive_seed(*numbers, 1))
        self.method.hooks.on_epoch_start(self.current_epoch, self.dataset, generator)

    def on_after_backward(self) -> None:
        assert self._random is not None, "a gradient needs a training step"
        self.method.hooks.after_backward(self._random)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        numbers = (self.seed, self.global_step, self.global_rank)
        seed_default_generators(derive_seed(*numbers, 0), self.device)  # dropout knows no other generator
        if self._random is None or self._random.device != self.device:
            self._random = torch.Generator(self.device)
        self._random.manual_seed(
            derive_seed(*numbers, 1)
        )  # its own stream, or noise would correlate with dropout masks
        try:
            loss = self.method.loss(batch, self.global_step / self.steps, self._random)
        except ValueError as error:
            raise _lone_row(error, self.batch_size) or error from None
        self._record(loss)
        return loss.total

    def _record(self, loss: Loss) -> None:
        for name, value in {"total": loss.total, **loss.terms, **loss.monitors}.items():
            value = value.detach().float()  # half precision would lose what it adds to a long sum
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._batches += 1

    def on_train_epoch_end(self) -> None:
        """Log the means over all processes now: Lightning's own logging comes after the checkpoint of the epoch, and a kill
        between the two would leave the epoch out of the log for good.
        """
        reduce = self.trainer.strategy.reduce
        means = {f"train/{name}": float(reduce(total / self._batches)) for name, total in self._sums.items()}
        self._sums, self._batches = {}, 0
        if not math.isfinite(means["train/total"]):
            raise RunError(
                f"the loss became {means['train/total']} in epoch {self.current_epoch}; "
                "lower train.learning_rate or the weights of the method's terms"
            )
        rate = self.lr_schedulers().get_last_lr()[0]  # type: ignore[union-attr]
        metrics = {**means, "train/learning_rate": float(rate), "epoch": self.current_epoch}
        for logger in self.trainer.loggers:
            logger.log_metrics(metrics, step=self.global_step - 1)
            logger.save()

    def on_validation_epoch_start(self) -> None:
        self.method.hooks.on_validation_start(self.dataset)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._outputs.append(self.method(batch).float())
        self._targets.append(batch.target)
        if batch.weight is not None:
            self._row_weights.append(batch.weight)

    def on_validation_epoch_end(self) -> None:
        output, target = torch.cat(self._outputs), torch.cat(self._targets)
        self._outputs, self._targets = [], []
        risks = self.dataset.task.risk(output, target)
        risk = (risks * torch.cat(self._row_weights) if self._row_weights else risks).mean()
        self._row_weights = []
        self.log(RISK, risk, prog_bar=True, sync_dist=self.trainer.world_size > 1)
        criterion = self.train_spec.criterion
        if criterion != "risk":
            arrays = output.cpu().numpy(), target.cpu().numpy()
            score = validation_score(criterion, float(risk), *arrays, self.dataset.task, self._centre)
            self.log(score_name(criterion), score, sync_dist=self.trainer.world_size > 1)

    @cached_property
    def _centre(self) -> float:
        """Mean of the training targets."""
        rows = self.dataset.rows("train")
        return float(self.dataset.target[rows.start : rows.stop].double().mean())

    def configure_optimizers(self) -> Any:
        train = self.train_spec
        groups, held = parameter_groups(self.method, train)
        plain = "mixed" in train.precision or train.strategy == "fsdp"
        optimiser = adamw(groups, rate=train.budget.learning_rate, decay=train.weight_decay, fused=not plain)
        warmup = max(1, round(train.warmup * self.steps))
        probe = round(train.probe * self.steps) if train.schedule == "probe-then-tune" else 0

        def held_rate(step: int) -> float:
            return 0.0 if step < probe else rate_at(step - probe, warmup, self.steps - probe)

        def rate(step: int) -> float:
            return rate_at(step, warmup, self.steps)

        rates = [held_rate if later else rate for later in held]
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rates)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def parameter_groups(method: Method, train: TrainSpec) -> tuple[list[dict[str, Any]], list[bool]]:
    """The groups of an optimiser, those of pretrained layers last, and whether each is pretrained."""
    parts = [
        part for module in method.modules() if isinstance(module, PretrainedEncoder) for part in module.tuned_parts()
    ]
    tuned = {id(parameter) for part in parts for parameter in part.parameters}
    new = [p for p in method.parameters() if p.requires_grad and id(p) not in tuned]
    groups: list[dict[str, Any]] = [{"params": new}]
    for part in parts:
        decay = train.weight_decay if part.weight_decay is None else part.weight_decay
        groups.append({"params": list(part.parameters), "lr": part.learning_rate, "weight_decay": decay})
    return groups, [False, *[True] * len(parts)]


def _lone_row(error: ValueError, batch_size: int) -> RunError | None:
    """The error of a batch normalisation that was given one row; None for any other error."""
    if "more than 1 value per channel" not in str(error):
        return None
    return RunError(
        "a batch normalisation of an encoder got a batch of one row, such as the last one of an epoch; choose another "
        f"train.batch_size (it is {batch_size}), or normalise without batches, as nn.LayerNorm does"
    )


def seed_default_generators(seed: int, device: torch.device) -> None:
    """Seed the default generators of the CPU and of one accelerator, from which dropout draws there.

    `torch.manual_seed` seeds every kind of accelerator, and keeps a call with its stack trace for each that is not in use.

    Args:
        device: on an accelerator of several, the one in use.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


def rate_at(step: int, warmup: int, steps: int) -> float:
    """Fraction of the peak learning rate: a linear rise over `warmup` steps, then half a cosine down to 0 at `steps`."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, steps - warmup))))
