"""`RegularizedMethod`: any method with penalties over environments and augmentations of its batches."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from deconfound.augmentation import Augmentation
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch
from deconfound.errors import DataError
from deconfound.method import Loss, Method, Representations
from deconfound.nn.backbone import Backbone
from deconfound.nn.layers import module_key
from deconfound.penalty import Penalty, several_environments


class PenaltyWarning(RuntimeWarning):
    """A penalty could not be computed."""


class MethodWrapper(Method):
    """Base of methods around another one, `inner`, which predicts and is told what happens in training."""

    def __init__(self, inner: Method) -> None:
        nn.Module.__init__(self)  # not that of Method: the backbone would stand twice in every checkpoint
        self.inner = inner

    @property
    def backbone(self) -> Backbone:  # type: ignore[override]
        return self.inner.backbone

    @property
    def needs_environments(self) -> bool:  # type: ignore[override]
        return self.inner.needs_environments

    def check(self, development: Dataset) -> None:
        self.inner.check(development)

    def forward(self, batch: Batch) -> Tensor:
        return self.inner(batch)

    def variants(self, batch: Batch) -> Mapping[str, Tensor]:
        return self.inner.variants(batch)

    def representations(self, batch: Batch) -> Representations:
        return self.inner.representations(batch)

    def reconstruct(self, parts: Representations) -> Mapping[str, Tensor] | None:
        return self.inner.reconstruct(parts)

    def summary_lines(self) -> tuple[str, ...]:
        return self.inner.summary_lines()

    def on_epoch_start(self, epoch: int, development: Dataset, generator: torch.Generator) -> None:
        self.inner.on_epoch_start(epoch, development, generator)

    def on_validation_start(self, development: Dataset) -> None:
        self.inner.on_validation_start(development)

    def after_backward(self, generator: torch.Generator) -> None:
        self.inner.after_backward(generator)


class RegularizedMethod(MethodWrapper):
    """Predicts as `inner`; its loss is the inner one on augmented batches plus the weighted penalties.

    A batch with rows of one environment alone has no penalty: a `PenaltyWarning` says so once, and the monitor
    "NAME/computed" is the share of batches that had one. Batches made for a method with penalties hold several.

    Raises:
        SpecError: an augmentation cannot change a modality.
    """

    def __init__(
        self, inner: Method, penalties: Mapping[str, Penalty], augmentations: Mapping[str, Augmentation]
    ) -> None:
        super().__init__(inner)
        self.penalties = nn.ModuleDict({module_key(name): penalty for name, penalty in penalties.items()})
        self._names = tuple(penalties)
        self.augmentations = tuple(augmentations.values())
        for augmentation in self.augmentations:
            augmentation.check(inner.backbone)
        self._warned = False

    @property
    def needs_environments(self) -> bool:  # type: ignore[override]
        return bool(self._names) or super().needs_environments

    def check(self, development: Dataset) -> None:
        """As the inner method.

        Raises:
            DataError: penalties, and the training rows are of one environment.
        """
        super().check(development)
        rows = development.rows("train")
        if self._names and not several_environments(development.env[rows.start : rows.stop]):
            raise DataError(
                f"{', '.join(self._names)}: the training rows of {development.name} are of one environment; name columns "
                "that tell several apart ('environment' under [data]), or leave the penalty out"
            )

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        """As `Method.loss`, with a term per penalty. Features, risks and output are of the augmented rows."""
        weighted = [(1.0, batch)]
        for change in self.augmentations:
            weighted = [(w * v, b) for w, each in weighted for v, b in change(each, self.backbone, generator)]
        loss = loss_of_each(self.inner, weighted, progress, generator)
        return self._penalised(loss, weighted[0][1], progress) if self._names else loss

    def _penalised(self, loss: Loss, batch: Batch, progress: float) -> Loss:
        several = several_environments(batch.env)
        if not several and self.training and not self._warned:
            self._warned = True
            warnings.warn(
                f"a batch holds one environment only, so {', '.join(self._names)} had nothing to compare; "
                "raise train.batch_size",
                PenaltyWarning,
                stacklevel=2,
            )
        total, terms, monitors = loss.total, dict(loss.terms), dict(loss.monitors)
        for name, penalty in zip(self._names, self.penalties.values(), strict=True):
            assert isinstance(penalty, Penalty)
            value = penalty(loss, batch) if several else zero_touching_parameters(penalty, loss)
            total = total + penalty.current_weight(progress) * value
            terms[name] = value
            monitors[f"{name}/computed"] = loss.total.new_tensor(float(several))
        return Loss(total, terms, loss.risks, loss.features, loss.output, monitors)


class Preset(MethodWrapper):
    """Base of methods that are another method with chosen arguments: a subclass has a constructor and nothing else."""

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        return self.inner.loss(batch, progress, generator)


def loss_of_each(
    method: Method, weighted: Sequence[tuple[float, Batch]], progress: float, generator: torch.Generator
) -> Loss:
    """Σ w · loss of several views of the same rows, as `weighted_sum`."""
    state = generator.get_state()
    losses = []
    for weight, batch in weighted:  # the same noise for each, or their weighted sum would not be one loss
        generator.set_state(state)
        losses.append((weight, method.loss(batch, progress, generator)))
    return weighted_sum(losses)


def weighted_sum(losses: list[tuple[float, Loss]]) -> Loss:
    """Σ w · loss, term by term; features and output are those of the first."""
    first = losses[0][1]
    if len(losses) == 1:
        return first

    def total(values: list[Tensor]) -> Tensor:
        return sum((w * v for (w, _), v in zip(losses, values, strict=True)), torch.zeros_like(values[0]))

    terms = {name: total([loss.terms[name] for _, loss in losses]) for name in first.terms}
    monitors = {name: total([loss.monitors[name] for _, loss in losses]) for name in first.monitors}
    both = total([loss.total for _, loss in losses]), terms, total([loss.risks for _, loss in losses])
    return Loss(*both, first.features, first.output, monitors)


def zero_touching_parameters(penalty: Penalty, loss: Loss) -> Tensor:
    """() zero that every parameter of the penalty takes part in, so that processes which train together agree."""
    return sum((p.sum() * 0 for p in penalty.parameters()), loss.total.new_zeros(()))
