"""The tables of a specification but the method's: data, backbone and training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from deconfound.data.scales import SCALES
from deconfound.datasets.fold_spec import FoldSpec
from deconfound.errors import SpecError, did_you_mean
from deconfound.io.limits import MOST_THREADS, WIDEST
from deconfound.io.reading import FileKind, resolved
from deconfound.runs.budget_sizes import Budget, Preset

_STORE = FileKind("store", SpecError, "give the path of a folder")


def _scale(value: Any) -> Any:
    for choice in value.values() if isinstance(value, dict) else [value]:
        if choice not in SCALES:
            raise ValueError(f"give one of {', '.join(SCALES)}, or a table modality → one of these{_near(choice)}")
    return value


def _near(choice: Any) -> str:
    return did_you_mean(choice, SCALES) if isinstance(choice, str) else ""


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class SpecTable(BaseModel):
    """Base of the tables: frozen, without unknown keys and numbers that are not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataSpec(SpecTable):
    """Where the rows come from: a store, a synthetic model, or neither for a dataset passed in Python."""

    store: str | None = Field(
        default=None, description="folder of a dataset store, relative to the specification's folder"
    )
    synthetic: dict[str, Any] | None = Field(
        default=None, description="arguments of a synthetic model; {} for the defaults of the first one"
    )
    modalities: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="modalities to use; all if left out"
    )
    environment: tuple[str, ...] | None = Field(default=None, description="metadata columns that name the environment")
    leave_out: str | None = Field(
        default=None, description="environment, as 'speaker=anna', whose rows alone are validation rows"
    )
    valid: float | None = Field(
        default=None, gt=0, lt=1, description="share of train to take as 'valid', for data without validation rows"
    )
    fold: FoldSpec | None = Field(
        default=None, description="fold of the store's rows in place of its splits, as 'sweep' makes of [folds]"
    )
    scale: Annotated[str | dict[str, str], BeforeValidator(_scale)] = Field(
        default="standard",
        description="scaling of the inputs, learnt from the training rows: one name, or modality → name",
    )
    scale_by: Annotated[tuple[str, ...] | None, BeforeValidator(_listed)] = Field(
        default=None,
        description="metadata columns, such as the speaker, whose own rows scale the inputs of each of them",
    )

    def placed(self, folder: Path) -> Self:
        """The same data with a relative `store` resolved against `folder`."""
        return (
            self
            if self.store is None
            else self.model_copy(update={"store": str(resolved(folder / self.store, _STORE))})
        )


class BackboneSpec(SpecTable):
    """The encoders, fusion and head that every method shares."""

    encoders: dict[str, str | dict[str, Any]] = Field(
        default={}, description="modality → encoder name; by kind if left out"
    )
    fusion: str | dict[str, Any] = Field(default="concat", description="how modalities are joined")
    hidden: int = Field(default=64, ge=1, le=WIDEST, description="width of features and hidden layers")
    depth: int = Field(default=2, ge=1, le=1000, description="layers of the head and of MLP encoders")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="share of hidden units dropped in training")


class TrainSpec(SpecTable):
    """Optimiser, schedule, precision and hardware of a training."""

    preset: Preset = Field(
        default="standard",
        description="size of the budget: what is left out of epochs, batch_size, learning_rate, patience and window follows "
        "from it and the number of training rows",
    )
    epochs: int | None = Field(
        default=None, ge=1, le=1_000_000, description="largest number of epochs; early stopping may end sooner"
    )
    batch_size: int | None = Field(default=None, ge=1, lt=2**31, description="rows per training step, B")
    learning_rate: float | None = Field(default=None, gt=0, le=1000, description="peak learning rate of the schedule")
    weight_decay: float = Field(default=1e-2, ge=0, le=1000, description="weight decay of AdamW")
    schedule: Literal["together", "probe-then-tune"] = Field(
        default="together",
        description="'probe-then-tune' holds pretrained layers still for the share `probe` of all steps, then trains all",
    )
    probe: float = Field(
        default=0.3, gt=0, lt=1, description="share of all steps in which pretrained layers are held still"
    )
    warmup: float = Field(default=0.05, ge=0, le=1, description="share of all steps in which the learning rate rises")
    patience: int | None = Field(
        default=None,
        ge=1,
        lt=2**31,
        description="epochs, each with one evaluation, without a better one before training stops; counted from the end of "
        "the method's warm-up",
    )
    keep: Literal["best", "last"] = Field(
        default="best",
        description="epoch whose weights predict: the best one by `criterion` after the method's warm-up, or the last one, "
        "without early stopping; the former prefers epochs that still rely on shortcuts where the validation rows have them",
    )
    criterion: Literal["risk", "calibrated-risk", "metric"] = Field(
        default="risk",
        description="what the best epoch is best by on the validation rows: the mean risk; the risk after the best "
        "temperature, for numbers after the best factor around the mean; the primary metric of the protocol. Of equal "
        "epochs the later one",
    )
    window: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="an epoch counts by the mean of the criterion over so many epochs up to it",
    )
    weight: str | None = Field(
        default=None,
        description="metadata column of numbers of at least 0, by which the risks of training and validation rows count",
    )
    class_weight: Literal["balanced"] | dict[str, float] | None = Field(
        default=None,
        description="weights of the classes in the risk: 'balanced', all alike whatever their number of rows, or a table; 1 "
        "for a class that it leaves out",
    )
    clip: float = Field(default=1.0, gt=0, le=1e30, description="largest norm of the gradient")
    precision: Literal["32-true", "16-mixed", "bf16-mixed", "64-true"] = Field(
        default="32-true", description="number format of the arithmetic"
    )
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = Field(default="auto", description="hardware to train on")
    devices: int = Field(default=1, ge=1, le=1024, description="number of accelerators or processes on each node")
    nodes: int = Field(default=1, ge=1, le=65_536, description="machines that train one run together")
    strategy: Literal["auto", "ddp", "fsdp"] = Field(
        default="auto",
        description="how several processes share the model: 'ddp' copies it to each, 'fsdp' shards it, 'auto' is 'ddp'",
    )
    environments_per_batch: int | None = Field(
        default=None,
        ge=1,
        lt=2**31,
        description="number of environments in every batch, with equally many rows each; if left out, rows are drawn at "
        "random, or, for methods and penalties that compare environments, from as many as get 8 rows each",
    )
    balance: Literal["class", "group", "class-and-group"] | None = Field(
        default=None,
        description="what every batch holds equally many rows of: the classes, the environments, or both crossed; rows are "
        "drawn at random if left out",
    )
    averaging: Literal["ema", "swa", "swad"] | None = Field(
        default=None,
        description="mean of the weights over the steps of training that predicts: 'ema' forgets the early ones, 'swa' takes "
        "the last quarter of the epochs, 'swad' the valley of the validation risk; the last weights if left out",
    )
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="share of each label that the loss spreads over all classes"
    )
    threads: int | None = Field(
        default=None, ge=1, le=MOST_THREADS, description="CPU threads; PyTorch's own choice if left out"
    )

    @property
    def budget(self) -> Budget:
        """The five numbers of a specification that `runs.build.with_budget` has completed, as that of every run."""
        numbers = self.epochs, self.batch_size, self.learning_rate, self.patience, self.window
        assert None not in numbers, "the budget of this specification is still open"
        return Budget(*numbers)  # pyright: ignore[reportArgumentType]

    @property
    def processes(self) -> int:
        """Processes that train one run together."""
        return self.devices * self.nodes
