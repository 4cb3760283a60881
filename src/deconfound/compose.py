"""Methods made of parts: `RegularizedMethod` has penalties and augmentations, `FittedMethod` a model of scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from deconfound.augmentation import Augmentation, LearnedAugmentation
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch, View
from deconfound.data.task import Task
from deconfound.errors import DataError, SpecError
from deconfound.method import Loss, Method, MethodHooks, MethodWrapper, WarmUp, refuse_labels
from deconfound.nn.backbone import Backbone
from deconfound.nn.layers import module_key
from deconfound.nn.shallow.model import PooledRows, ShallowModel
from deconfound.penalty import Penalty, several_environments

_CHUNK = 512  # rows that are pooled at a time


class PenaltyWarning(RuntimeWarning):
    """A penalty could not be computed."""


def weighs_rows(method: Method) -> bool:
    """Whether a method counts risks by the weights of the rows; one around another method does where that one does."""
    return weighs_rows(method.inner) if isinstance(method, MethodWrapper) else method.weighs_rows


class RegularizedMethod(MethodWrapper):
    """Predicts as `inner`; its loss is that of `inner` on augmented batches plus the weighted penalties.

    A batch with rows of a single environment has no penalty: a `PenaltyWarning` says so once, and the monitor
    "NAME/computed" is the share of batches that had one. Batches made for a method with penalties hold several.

    Raises:
        SpecError: an augmentation cannot change a modality.
    """

    def __init__(
        self, inner: Method, penalties: Mapping[str, Penalty], augmentations: Mapping[str, Augmentation]
    ) -> None:
        hooks = replace(
            inner.hooks,
            check=self._check,
            on_epoch_start=self._begin_epoch,
            warm_up=self._warm_up,
            summary_lines=self._summary_lines,
        )
        comparing = [name for name, penalty in penalties.items() if penalty.compares_environments]
        super().__init__(inner, hooks=hooks, needs_environments=bool(comparing))
        self.penalties = nn.ModuleDict({module_key(name): penalty for name, penalty in penalties.items()})
        self._names, self._comparing = tuple(penalties), tuple(comparing)
        self.augmentations = tuple(augmentations.values())
        for augmentation in self.augmentations:
            augmentation.check(inner.backbone)
        self.learned = nn.ModuleList([part for part in self.augmentations if isinstance(part, nn.Module)])
        for part in self._learned():
            part.prepare(inner.backbone)
        self._warned = False

    def forward(self, batch: Batch) -> Tensor:
        return self.inner(batch)

    def _check(self, development: Dataset) -> None:
        """Check the rows as the inner method and the augmentations do, and that penalties have several environments.

        Raises:
            DataError: there are penalties, and the training rows come from one environment.
        """
        self.inner.hooks.check(development)
        for part in self._learned():
            part.check_rows(development)
        rows = development.rows("train")
        if self._comparing and not several_environments(development.env[rows.start : rows.stop]):
            raise DataError(
                f"{', '.join(self._comparing)}: the training rows of {development.name} are of one environment; name columns "
                "that tell several apart ('environment' under [data]), or leave the penalty out"
            )

    def _warm_up(self) -> WarmUp:
        """That of the inner method, and the longest ramp of a penalty."""
        own = [part for part in self.penalties.values() if isinstance(part, Penalty) and part.weight > 0]
        return self.inner.hooks.warm_up().joined(WarmUp(share=max((part.ramp for part in own), default=0.0)))

    def _begin_epoch(self, epoch: int, development: Dataset, generator: torch.Generator) -> None:
        rows = development.rows("train")
        for penalty in self.penalties.values():
            assert isinstance(penalty, Penalty)
            penalty.see_environments(development.env[rows.start : rows.stop])
        for part in self._learned():
            part.learn(epoch, development, self.backbone, generator)
        self.inner.hooks.on_epoch_start(epoch, development, generator)

    def _summary_lines(self) -> tuple[str, ...]:
        lines = (line for part in self._learned() for line in part.summary_lines())
        return (*self.inner.hooks.summary_lines(), *lines)

    def _learned(self) -> list[LearnedAugmentation]:
        return [part for part in self.learned if isinstance(part, LearnedAugmentation)]

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        """As `Method.loss`, with a term per penalty. Features, risks and output belong to the augmented rows."""
        weighted = [(1.0, batch)]
        for augment in self.augmentations:
            weighted = [(w * v, b) for w, view in weighted for v, b in augment(view, self.backbone, generator)]
        loss = loss_of_views(self.inner, weighted, progress, generator, batch.view)
        return self._penalised(loss, replace(weighted[0][1], view=batch.view), progress) if self._names else loss

    def _penalised(self, loss: Loss, batch: Batch, progress: float) -> Loss:
        comparable = not self._comparing or several_environments(batch.env)
        if not comparable and self.training and not self._warned:
            self._warned = True
            warnings.warn(
                f"a batch holds one environment only, so {', '.join(self._comparing)} had nothing to compare; "
                "raise train.batch_size",
                PenaltyWarning,
                stacklevel=2,
            )
        total, terms, monitors = loss.total, dict(loss.terms), dict(loss.monitors)
        for name, penalty in zip(self._names, self.penalties.values(), strict=True):
            assert isinstance(penalty, Penalty)
            computed = comparable or name not in self._comparing
            value = penalty(loss, batch) if computed else zero_touching_parameters(penalty, loss)
            total = total + penalty.current_weight(progress) * value
            terms[name] = value
            monitors[f"{name}/computed"] = loss.total.new_tensor(float(computed))
        return Loss(total, terms, loss.risks, loss.features, loss.output, monitors)


class Preset(MethodWrapper):
    """Base of methods that are another method with chosen arguments: a subclass has a constructor and nothing else."""

    def forward(self, batch: Batch) -> Tensor:
        return self.inner(batch)

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        return self.inner.loss(batch, progress, generator)


def loss_of_views(
    method: Method,
    weighted: Sequence[tuple[float, Batch]],
    progress: float,
    generator: torch.Generator,
    whole: View,
) -> Loss:
    """Σ w · loss of several views of the same rows, as `weighted_sum`.

    Args:
        whole: the view that they are parts of, `Batch.view` of the rows that they were made from.
    """
    state, start = generator.get_state(), 0.0
    losses = []
    for weight, batch in weighted:  # all views get the same noise, or their weighted sum would not be one loss
        generator.set_state(state)
        view = replace(batch, view=whole.part(start, weight))
        losses.append((weight, method.loss(view, progress, generator)))
        start += weight
    return weighted_sum(losses)


def weighted_sum(losses: list[tuple[float, Loss]]) -> Loss:
    """Σ w · loss, term by term, with features and output of the first."""
    first = losses[0][1]
    if len(losses) == 1:
        return first

    def total(values: list[Tensor]) -> Tensor:
        return sum((w * v for (w, _), v in zip(losses, values, strict=True)), torch.zeros_like(values[0]))

    terms = {name: total([loss.terms[name] for _, loss in losses]) for name in first.terms}
    monitors = {name: total([loss.monitors[name] for _, loss in losses]) for name in first.monitors}
    weighted_total, risks = total([loss.total for _, loss in losses]), total([loss.risks for _, loss in losses])
    return Loss(weighted_total, terms, risks, first.features, first.output, monitors)


def zero_touching_parameters(penalty: Penalty, loss: Loss) -> Tensor:
    """() zero that depends on every parameter of the penalty: processes that train together need a gradient for each."""
    return sum((p.sum() * 0 for p in penalty.parameters()), loss.total.new_zeros(()))


class FittedMethod(Method):
    """Base of methods that scikit-learn fits at once to the pooled features; a subclass has a constructor and nothing else.

    It predicts from `Backbone.pooled`, so encoders, fusion, hidden width, depth and dropout of the specification play no
    part. The parameters can be trained by gradients too; `MethodHooks.fit` replaces that.

    Args:
        backbone: gives the modalities, their scaling and the task.
        make: widths of the pooled features and the task → model.

    Raises:
        SpecError: a modality of tokens, which have no mean, or several labels a row.
    """

    one_label = True

    def __init__(self, backbone: Backbone, make: Callable[[Mapping[str, int], Task], ShallowModel]) -> None:
        refuse_labels(type(self), backbone, one_label=True)
        tokens = [name for name, modality in backbone.modalities.items() if modality.kind == "tokens"]
        if tokens:
            raise SpecError(
                f"{tokens[0]!r} holds tokens, and {type(self).__name__} reads numbers; prepare the text with the extractor "
                "'sentence', or name the other modalities under data.modalities"
            )
        pooled = backbone.pooled(lambda widths: make(widths, backbone.task))
        super().__init__(pooled, hooks=MethodHooks(fit=self._fit))

    def forward(self, batch: Batch) -> Tensor:
        return self.backbone.predict(self.backbone.encode(batch), batch.present)

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        features = self.backbone.encode(batch)
        output = self.backbone.predict(features, batch.present)
        risks = self.backbone.task.risk(output, batch.target)
        return Loss(risks.mean(), {"prediction": risks.mean()}, risks, features, output)

    def _fit(self, development: Dataset, generator: torch.Generator) -> None:
        model = self.backbone.fusion
        assert isinstance(model, ShallowModel)
        seed = int(torch.randint(2**31 - 1, (), generator=generator))
        train, valid = (pooled_rows(self.backbone, development, split) for split in ("train", "valid"))
        model.fit(train, valid, seed)


def pooled_rows(backbone: Backbone, dataset: Dataset, split: str) -> PooledRows:
    """What a pooled backbone makes of the rows of a split."""
    rows, parts = dataset.rows(split), []
    with torch.no_grad():
        for start in range(rows.start, rows.stop, _CHUNK):
            batch = dataset.batch(range(start, min(start + _CHUNK, rows.stop)))
            parts.append((backbone.encode(batch), batch.present, batch.target))
    return PooledRows(
        {name: torch.cat([features[name] for features, _, _ in parts]) for name in backbone.modalities},
        {name: torch.cat([present[name] for _, present, _ in parts]) for name in backbone.modalities},
        torch.cat([target for _, _, target in parts]),
    )
