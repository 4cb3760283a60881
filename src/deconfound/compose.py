"""`RegularizedMethod`: any method with penalties over environments and augmentations of its batches."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from deconfound.augmentation import Augmentation
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch, View
from deconfound.errors import DataError
from deconfound.method import Loss, Method, MethodHooks
from deconfound.nn.layers import module_key
from deconfound.penalty import Penalty, several_environments


class PenaltyWarning(RuntimeWarning):
    """A penalty could not be computed."""


class MethodWrapper(Method):
    """Base of methods around another one, `inner`, which predicts and whose hooks are called.

    Args:
        inner: the method inside.
        hooks: those of the inner method unless given; a wrapper with hooks of its own calls the inner ones in them.
        needs_environments: as for `Method`; true anyway where the inner method needs them.
    """

    def __init__(self, inner: Method, *, hooks: MethodHooks | None = None, needs_environments: bool = False) -> None:
        nn.Module.__init__(self)  # `Method` would register the backbone a second time
        self.inner = inner
        object.__setattr__(self, "backbone", inner.backbone)  # unregistered, or each checkpoint would hold it twice
        self.hooks = inner.hooks if hooks is None else hooks
        self.needs_environments = needs_environments or inner.needs_environments

    def forward(self, batch: Batch) -> Tensor:
        return self.inner(batch)


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
        hooks = replace(inner.hooks, check=self._check, on_epoch_start=self._begin_epoch)
        comparing = [name for name, penalty in penalties.items() if penalty.compares_environments]
        super().__init__(inner, hooks=hooks, needs_environments=bool(comparing))
        self.penalties = nn.ModuleDict({module_key(name): penalty for name, penalty in penalties.items()})
        self._names, self._comparing = tuple(penalties), tuple(comparing)
        self.augmentations = tuple(augmentations.values())
        for augmentation in self.augmentations:
            augmentation.check(inner.backbone)
        self._warned = False

    def _check(self, development: Dataset) -> None:
        """Check the rows as the inner method does, and that penalties have several environments to compare.

        Raises:
            DataError: there are penalties, and the training rows come from one environment.
        """
        self.inner.hooks.check(development)
        rows = development.rows("train")
        if self._comparing and not several_environments(development.env[rows.start : rows.stop]):
            raise DataError(
                f"{', '.join(self._comparing)}: the training rows of {development.name} are of one environment; name columns "
                "that tell several apart ('environment' under [data]), or leave the penalty out"
            )

    def _begin_epoch(self, epoch: int, development: Dataset, generator: torch.Generator) -> None:
        rows = development.rows("train")
        for penalty in self.penalties.values():
            assert isinstance(penalty, Penalty)
            penalty.see_environments(development.env[rows.start : rows.stop])
        self.inner.hooks.on_epoch_start(epoch, development, generator)

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
