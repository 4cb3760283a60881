"""`Method`: a model with its loss. It knows nothing of optimisers, files, devices or the training engine."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, ClassVar, final

import torch
from torch import Tensor, nn

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch
from deconfound.errors import SpecError
from deconfound.nn.backbone import Backbone
from deconfound.registry import Internal


@dataclass(frozen=True, eq=False)
class Loss:
    """The loss of one batch, with its terms.

    Args:
        total: () the sum of the weighted terms, which is minimised; weights do not depend on the batch.
        terms: name → () each term before its weight.
        risks: (B,) the task's risk of each row (the mean over views where a method predicts several), for environment
            penalties and group reports.
        features: modality → (B, D) the representations that predict, 0 where the modality is absent, for penalties.
        output: (B, outputs) predictions or logits of the rows, from the first view where a method predicts several.
        monitors: name → () quantities to log that are not minimised.
    """

    total: Tensor
    terms: Mapping[str, Tensor]
    risks: Tensor
    features: Mapping[str, Tensor]
    output: Tensor
    monitors: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])


@dataclass(frozen=True, eq=False)
class Representations:
    """A method's representations of each modality, for diagnostics.

    Args:
        predictive: modality → (B, D) the representation that predicts; the invariant part of a method that splits.
        spurious: modality → (B, D) the part that does not predict; empty for methods that do not split.
    """

    predictive: Mapping[str, Tensor]
    spurious: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])


@dataclass(frozen=True)
class WarmUp:
    """The first part of a training, before whose end no epoch is kept: the method is not yet what it will be.

    Args:
        epochs: whole epochs, such as those before a decision.
        share: share of all steps in [0, 1], such as the ramp of a weight.
    """

    epochs: int = 0
    share: float = 0.0

    def joined(self, other: WarmUp) -> WarmUp:
        """The part that ends with the later of the two."""
        return WarmUp(max(self.epochs, other.epochs), max(self.share, other.share))

    def length(self, epochs: int) -> int:
        """Number of epochs, of a training of so many, that begin before the end of this part; it may be larger than all."""
        return max(self.epochs, math.ceil(self.share * epochs - 1e-9))


def _accept(development: Dataset) -> None: ...


def _keep_going(epoch: int, development: Dataset, generator: torch.Generator) -> None: ...


def _keep_prediction(development: Dataset) -> None: ...


def _keep_gradients(generator: torch.Generator) -> None: ...


def _no_warm_up() -> WarmUp:
    return WarmUp()


def _no_lines() -> tuple[str, ...]:
    return ()


def _no_variants(_batch: Batch) -> Mapping[str, Tensor]:
    return {}


def _as_it_is(output: Tensor) -> Tensor:
    return output


def _no_decoder(_parts: Representations) -> Mapping[str, Tensor] | None:
    return None


@dataclass(frozen=True)
class MethodHooks:
    """The optional parts of a method, as functions; each default does nothing.

    A method passes its own to the constructor of `Method`. A method around another one takes the hooks of the inner method
    and replaces some of them (`dataclasses.replace`). So no implemented method of a class is ever overridden. Pass bound
    methods, not lambdas: only these follow a copy of the method.

    Args:
        check: called with the training and validation rows before anything is written; raises `DataError` where the method
            cannot be trained on these rows.
        on_epoch_start: called with the epoch (from 0), the training and validation rows (on the CPU) and the only source of
            randomness before each epoch, to compute something from many rows. Keep the result in buffers.
        on_validation_start: called with the training and validation rows before the validation rows are predicted at the
            end of an epoch, in eval mode and without gradients. It decides something on these rows, such as which of several
            predictions to give. Keep the result in buffers.
        warm_up: what has to pass before an epoch may be kept. A ramp, and an epoch that decides something for good, end it; a
            method around another one joins its own to that of the inner one (`WarmUp.joined`).
        after_backward: called with the only source of randomness when the gradients of a step are computed, before they are
            clipped; may change them.
        summary_lines: sentences about what the method measured and decided; kept with the run and printed.
        variants: batch → name → (B, outputs) other predictions of the same model, see `Method.variants`.
        representations: batch → `Representations`; None for the features of the backbone.
        reconstruct: representations → modality → (B, H), see `Method.reconstruct`.
        fit: called once with the training and validation rows and the only source of randomness, in place of all epochs, by
            a method that is not trained in steps. Keep the result in parameters and buffers of sizes known beforehand.
        in_target_units: (B, outputs) of the backbone's head → predictions, for a method that scales its targets.
    """

    check: Callable[[Dataset], None] = _accept
    on_epoch_start: Callable[[int, Dataset, torch.Generator], None] = _keep_going
    on_validation_start: Callable[[Dataset], None] = _keep_prediction
    warm_up: Callable[[], WarmUp] = _no_warm_up
    after_backward: Callable[[torch.Generator], None] = _keep_gradients
    summary_lines: Callable[[], tuple[str, ...]] = _no_lines
    variants: Callable[[Batch], Mapping[str, Tensor]] = _no_variants
    representations: Callable[[Batch], Representations] | None = None
    reconstruct: Callable[[Representations], Mapping[str, Tensor] | None] = _no_decoder
    fit: Callable[[Dataset, torch.Generator], None] | None = None
    in_target_units: Callable[[Tensor], Tensor] = _as_it_is


NO_HOOKS = MethodHooks()


def refuse_labels(component: type, backbone: Backbone, *, one_label: bool) -> None:
    """Refuse several labels a row.

    Args:
        component: a method or a penalty.
        one_label: whether it is defined for one label per row alone.

    Raises:
        SpecError: it is, and the task has several.
    """
    if one_label and backbone.task.kind == "multilabel":
        raise SpecError(
            f"{component.__name__} is defined for one label a row, and the task has {backbone.task.outputs}; choose another, "
            "such as erm, or a task of one of the labels"
        )


class Method(nn.Module, ABC):
    """Base of all methods. A subclass takes a `Backbone` first and its hyper-parameters as keyword-only arguments.

    Hyper-parameters are annotated `Annotated[float, Field(ge=0, description="..."), Search(0.01, 10, log=True)]`; that one
    annotation validates specifications, fills `deconfound show NAME` and gives a tuner its range.

    Args:
        backbone: its `widths` are those of `Loss.features`.
        hooks: what the method does beside `forward` and `loss`.
        needs_environments: whether batches must hold rows of several environments, as the data declare them.

    Raises:
        SpecError: the task has several labels a row, and the method is defined for one.
    """

    backbone: Backbone
    hooks: MethodHooks
    needs_environments: bool
    weighs_rows: ClassVar[bool] = False
    """Whether the loss counts risks by `Batch.weight`, as `Batch.mean` does; a training with weights refuses others."""
    one_label: ClassVar[bool] = False
    """Whether the method is defined for one number or class per row alone, so that it refuses several labels a row."""

    def __init_subclass__(cls) -> None:
        """Refuse a class that defines a hook as a method, where nothing would ever call it.

        Raises:
            SpecError: the class defines one.
        """
        super().__init_subclass__()
        own = [hook.name for hook in fields(MethodHooks) if hook.name in vars(cls)]
        if own:
            raise SpecError(
                f"{cls.__name__}.{own[0]} would never be called: a method passes its hooks to Method.__init__; give the "
                f"function a name of its own and pass hooks=MethodHooks({own[0]}=self.NAME)"
            )

    def __init__(
        self,
        backbone: Backbone,
        *,
        hooks: Annotated[MethodHooks, Internal()] = NO_HOOKS,
        needs_environments: Annotated[bool, Internal()] = False,
    ) -> None:
        super().__init__()
        refuse_labels(type(self), backbone, one_label=self.one_label)
        self.backbone = backbone
        self.hooks, self.needs_environments = hooks, needs_environments

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """(B, outputs) predictions or logits; deterministic in eval mode, each row by itself, any modality may be absent."""

    @abstractmethod
    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        """The loss of one training batch.

        Args:
            progress: share of all training steps done, in [0, 1); for warm-ups.
            generator: the only source of randomness beside dropout.
        """

    @property
    @final
    def variants(self) -> Callable[[Batch], Mapping[str, Tensor]]:
        """Batch → name → (B, outputs): other predictions of the same model, under the laws of `forward`.

        An evaluation keeps and measures them beside the prediction, as the method "METHOD [NAME]".
        """
        return self.hooks.variants

    @final
    def representations(self, batch: Batch) -> Representations:
        """The representations that predict; methods that split the features return both parts."""
        own = self.hooks.representations
        return Representations(self.backbone.encode(batch)) if own is None else own(batch)

    @final
    def predict_from(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """What fusion and head make of {(B, H_m)} features and {(B,)} bool presence: (B, outputs), as `forward` scales it."""
        return self.hooks.in_target_units(self.backbone.predict(features, present))

    @property
    @final
    def reconstruct(self) -> Callable[[Representations], Mapping[str, Tensor] | None]:
        """Both parts → modality → (B, H) features decoded from them, in standard deviations; None without a decoder."""
        return self.hooks.reconstruct


class MethodWrapper(Method):
    """Base of methods around another one, `inner`, whose hooks are called. A subclass says what it predicts.

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
