"""The specification of a run: the contents of a TOML file, with every default filled in and every name checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from deconfound.data.scales import SCALES
from deconfound.data.store import check_is_store
from deconfound.datasets.fold_spec import FoldSpec
from deconfound.errors import SpecError, did_you_mean
from deconfound.io.limits import MOST_THREADS, WIDEST
from deconfound.io.python_file import load_class, names_file, with_placed_code
from deconfound.io.reading import FileKind, read_toml, resolved
from deconfound.method_names import ADDED, method_title
from deconfound.registry import check_name, explain, get_class, presets_of, validate_arguments, validate_for
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


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataSpec(_Table):
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


class BackboneSpec(_Table):
    """The encoders, fusion and head that every method shares."""

    encoders: dict[str, str | dict[str, Any]] = Field(
        default={}, description="modality → encoder name; by kind if left out"
    )
    fusion: str | dict[str, Any] = Field(default="concat", description="how modalities are joined")
    hidden: int = Field(default=64, ge=1, le=WIDEST, description="width of features and hidden layers")
    depth: int = Field(default=2, ge=1, le=1000, description="layers of the head and of MLP encoders")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="share of hidden units dropped in training")


class TrainSpec(_Table):
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


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class Spec(_Table):
    """One run. `Spec.read` makes it from TOML, `Spec.of` from a mapping; both fill the method's defaults."""

    name: str | None = Field(default=None, description="label in reports; 'erm + vrex' if left out")
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="seed of initial weights, batch order and all noise in training"
    )
    data: DataSpec = DataSpec()
    method: Annotated[
        dict[str, Any],
        BeforeValidator(_named),
        Field(
            description="name and arguments of the method, or python = 'file.py:Class', and tables 'penalties' and "
            "'augmentations'"
        ),
    ]
    backbone: BackboneSpec = BackboneSpec()
    train: TrainSpec = TrainSpec()

    @classmethod
    def of(cls, values: Mapping[str, Any], *, run_code: bool = True) -> Spec:
        """Check a mapping.

        Args:
            run_code: load a method that is a Python file, which checks its arguments and fills in their defaults.

        Raises:
            SpecError: one line that names the argument, its value and what was expected.
        """
        try:
            spec = cls(**_with_preset(values))
        except ValidationError as error:
            raise SpecError(explain(error, cls)) from error
        if spec.data.store is not None and spec.data.synthetic is not None:
            raise SpecError("data.store and data.synthetic exclude each other; keep one")
        if not isinstance(spec.method.get("name"), str) and not names_file(spec.method.get("python")):
            raise SpecError("method.name is missing; see 'deconfound list' for the names")
        _check_names(spec)
        for encoder in spec.backbone.encoders.values():
            _check_component("encoders", encoder)
        _check_component("fusions", spec.backbone.fusion)
        method = _checked_method(spec.method, run_code=run_code)
        method |= {kind: _added(kind, spec.method[kind]) for kind in ADDED if spec.method.get(kind)}
        return spec.model_copy(update={"method": method})

    @classmethod
    def read(cls, path: str | Path) -> Spec:
        """Read a TOML file; a relative `data.store` and `python` are resolved against the file's folder.

        Raises:
            SpecError: the file does not exist or is not TOML, or `Spec.of` refuses it.
        """
        path = Path(path)
        values = read_toml(path, "specification")
        try:
            spec = cls.of(with_placed_code(values, path.parent))
        except SpecError as error:
            raise SpecError(f"{path}: {error}") from error
        return spec.model_copy(update={"data": spec.data.placed(path.parent)})

    @property
    def title(self) -> str:
        """The label, or the method's name with those of its penalties and augmentations."""
        return self.name or method_title(
            self.method["name"], self.method, *(self.method.get(kind, {}) for kind in ADDED)
        )

    def dump(self) -> dict[str, Any]:
        """As JSON values."""
        return json.loads(self.model_dump_json())

    def difference(self, other: Spec) -> str | None:
        """The first argument that differs, as "train.epochs is 60 here and 30 there", or None; another method first."""
        mine, theirs = flat(self.dump()), flat(other.dump())
        for name in ("method.name", *sorted(mine.keys() | theirs.keys())):
            if mine.get(name) != theirs.get(name):
                return f"{name} is {mine.get(name)!r} here and {theirs.get(name)!r} there"
        return None


def _with_preset(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values, and what the method's preset says of training and backbone where they say nothing."""
    method = values.get("method")
    if not isinstance(method, Mapping) or method.get("preset") is None or not isinstance(method.get("name"), str):
        return values
    check_name("methods", method["name"])
    preset = presets_of(get_class("methods", method["name"])).get(str(method["preset"]), {})
    tables = {name: values.get(name, {}) for name in ("train", "backbone")}
    merged = {name: {**preset.get(name, {}), **own} for name, own in tables.items() if isinstance(own, Mapping)}
    return {**values, **merged}


def _checked_method(table: Mapping[str, Any], *, run_code: bool) -> dict[str, Any]:
    """Name and all arguments of a method, and its Python code if it has no other name."""
    values = {name: value for name, value in table.items() if name not in ("name", "python", *ADDED)}
    if "python" not in table:
        return {"name": table["name"], **validate_arguments("methods", table["name"], values)}
    reference = table["python"]
    name = table.get("name") or str(reference).rpartition(":")[2]
    if run_code and names_file(reference):
        from deconfound.method import Method

        values = validate_for(load_class(reference, Method), name, values)
    return {"name": name, "python": reference, **values}


def _added(kind: str, tables: Any) -> dict[str, dict[str, Any]]:
    """Name → all arguments of the components that join a method."""
    if not isinstance(tables, Mapping) or not all(isinstance(arguments, Mapping) for arguments in tables.values()):
        raise SpecError(
            f"method.{kind} = {tables!r}: give a table name → arguments, such as {kind} = {{ NAME = {{}} }}"
        )
    return {name: validate_arguments(kind, name, arguments) for name, arguments in tables.items()}


def _check_names(spec: Spec) -> None:
    """Refuse unknown names before the first component, and PyTorch with it, is imported for its arguments."""
    if "python" not in spec.method:
        check_name("methods", spec.method["name"])
    choices = [("fusions", spec.backbone.fusion), *(("encoders", one) for one in spec.backbone.encoders.values())]
    for kind, choice in choices:
        if isinstance(choice, str) or "python" not in choice:
            check_name(kind, choice if isinstance(choice, str) else str(choice.get("name")))
    for kind in ADDED:
        for name in spec.method[kind] if isinstance(spec.method.get(kind), Mapping) else ():
            check_name(kind, name)


def _check_component(kind: str, component: str | Mapping[str, Any]) -> None:
    table = {"name": component} if isinstance(component, str) else component
    if "python" in table:
        return
    validate_arguments(kind, str(table.get("name")), {name: value for name, value in table.items() if name != "name"})


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one flat table: "backbone.encoders.text" → value."""
    flattened: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            flattened |= flat(value, f"{prefix}{name}.")
        else:
            flattened[f"{prefix}{name}"] = value
    return flattened


def check_named_stores(path: Path, what: str) -> None:
    """Refuse a file whose table [data], or one of [[dataset]], names a store that is not there.

    It is called before the file is read in full, which loads the methods that it names, and with them PyTorch.

    Args:
        path: the TOML file of a run, a sweep or a tuning; relative stores are taken from its folder.
        what: the kind of file in words, for errors.

    Raises:
        SpecError: the file cannot be read or is not TOML.
        StoreError: as `check_is_store`.
    """
    values = read_toml(path, what)
    datasets = values.get("dataset")
    for table in (values.get("data"), *(datasets if isinstance(datasets, list) else ())):
        store = table.get("store") if isinstance(table, dict) else None
        if isinstance(store, str):
            check_is_store(resolved(path.parent / store, _STORE))
