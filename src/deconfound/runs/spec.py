"""The specification of a run: the contents of a TOML file, with every default filled in and every name checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from deconfound.data.store import check_is_store
from deconfound.errors import SpecError
from deconfound.io.python_file import load_class, names_file, with_placed_code
from deconfound.io.reading import FileKind, read_toml, resolved
from deconfound.method_names import ADDED, method_title
from deconfound.registry import check_name, explain, get_class, presets_of, validate_arguments, validate_for
from deconfound.runs.spec_tables import BackboneSpec, DataSpec, SpecTable, TrainSpec

_STORE = FileKind("store", SpecError, "give the path of a folder")


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class Spec(SpecTable):
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
