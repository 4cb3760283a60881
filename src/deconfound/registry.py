"""Components by name: a module in the package of its kind, or an entry point of another package."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Annotated, Any, Literal, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import ErrorDetails

from deconfound.errors import SpecError, did_you_mean

KINDS: dict[str, tuple[str, str]] = {
    "methods": ("deconfound.method", "Method"),
    "penalties": ("deconfound.penalty", "Penalty"),
    "augmentations": ("deconfound.augmentation", "Augmentation"),
    "corruptions": ("deconfound.corruption", "Corruption"),
    "encoders": ("deconfound.nn.encoder", "Encoder"),
    "fusions": ("deconfound.nn.fusion", "Fusion"),
    "readers": ("deconfound.datasets.reader", "Reader"),
    "extractors": ("deconfound.extraction.extractor", "Extractor"),
    "metrics": ("deconfound.metric", "Metric"),
    "protocols": ("deconfound.protocol", "Protocol"),
}
"""Kind → module and name of its abstract base."""

_SHOWN = 200
_WORDS_FOR_WEIGHTS = ("class_weight", "class_weights", "sample_weight", "sample_weights", "target.weight")
_WEIGHTS = (
    "; classes and rows have no weights: copy the class into a column, name that as the environment, and add the penalty "
    "group-dro, or give sample_weight to fit of deconfound.sklearn"
)
_PARENTS = {
    "encoders": "deconfound.nn",
    "fusions": "deconfound.nn",
    "readers": "deconfound.datasets",
    "extractors": "deconfound.extraction",
}
"""Kind → package that holds the package of its components; "deconfound" for the others."""


@dataclass(frozen=True)
class Flat:
    """Marks a keyword-only argument that groups others: `noise: Annotated[EnvironmentNoise, Flat()]`.

    The type is a frozen dataclass. Users type its fields as arguments of the component; `build` puts them together.
    """


@dataclass(frozen=True)
class Internal:
    """Marks a keyword-only argument of a base class that its subclasses set; it is no argument that users type."""


def singular(kind: str) -> str:
    """The singular of a kind, such as "penalty"."""
    return {"penalties": "penalty"}.get(kind, kind.removesuffix("s"))


def _package(kind: str) -> str:
    return f"{_PARENTS.get(kind, 'deconfound')}.{kind}"


def names(kind: str) -> list[str]:
    """Names of all components of a kind, sorted; imports none of them.

    Raises:
        SpecError: no such kind.
    """
    if kind not in KINDS:
        raise SpecError(f"there is no kind {kind!r}{did_you_mean(kind, KINDS)}")
    return sorted(_built_in(kind) | {point.name for point in entry_points(group=f"deconfound.{kind}")})


def _built_in(kind: str) -> set[str]:
    package = importlib.import_module(_package(kind))
    return {module.name.replace("_", "-") for module in pkgutil.iter_modules(package.__path__)}


def get_class(kind: str, name: str) -> type[Any]:
    """The class of a component.

    Raises:
        SpecError: no component of this kind has the name.
    """
    if kind not in KINDS or name not in _built_in(kind):  # another package cannot replace a component of this one
        return _load_external(kind, name)
    module = importlib.import_module(f"{_package(kind)}.{name.replace('-', '_')}")
    home, base_name = KINDS[kind]
    base = getattr(importlib.import_module(home), base_name)
    classes = [
        c
        for c in vars(module).values()
        if inspect.isclass(c) and issubclass(c, base) and c.__module__ == module.__name__ and not inspect.isabstract(c)
    ]
    assert len(classes) == 1, f"{module.__name__} must define exactly one {base_name}, it defines {classes}"
    return classes[0]


def check_name(kind: str, name: str) -> None:
    """Refuse a name without importing any component.

    Raises:
        SpecError: no such kind, or no component of this kind has the name.
    """
    known = kind in KINDS and name in _built_in(kind)
    if not known and name not in names(kind):  # the metadata of all installed packages take 15 ms and more
        raise SpecError(f"there is no {singular(kind)} {name!r}{did_you_mean(name, names(kind))}")


def _load_external(kind: str, name: str) -> type[Any]:
    """The class of a component of another package."""
    check_name(kind, name)
    return next(point for point in entry_points(group=f"deconfound.{kind}") if point.name == name).load()


@cache  # creating a model takes milliseconds, and a large sweep needs it thousands of times
def arguments(component: type[Any]) -> type[BaseModel]:
    """A model of the keyword-only constructor arguments: their types, ranges, defaults and descriptions."""
    schema: dict[str, Any] = {}
    for name, parameter in _keywords(component).items():
        optional = parameter.default is not parameter.empty
        group = _group(parameter)
        if group is None:
            schema[name] = (parameter.annotation, parameter.default if optional else ...)
            continue
        hints, defaults = get_type_hints(group, include_extras=True), parameter.default if optional else group()
        schema |= {field.name: (hints[field.name], getattr(defaults, field.name)) for field in fields(group)}
    if presets := presets_of(component):
        note = "numbers of a publication, for every argument that is not given: " + ", ".join(presets)
        schema["preset"] = (Annotated[Literal[*presets] | None, Field(description=note)], None)
    config = ConfigDict(extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True, protected_namespaces=())
    return create_model(component.__name__, __config__=config, **schema)


def presets_of(component: type[Any]) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """Name → part of a specification, tables "method", "train" and "backbone": the class attribute `presets` of a method."""
    return getattr(component, "presets", {})


def _keywords(component: type[Any]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(component, eval_str=True).parameters
    return {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
        and not any(isinstance(item, Internal) for item in get_args(parameter.annotation))
    }


def _group(parameter: inspect.Parameter) -> type[Any] | None:
    """The dataclass of an argument that groups others."""
    kind, *metadata = get_args(parameter.annotation) or (None,)
    if not any(isinstance(item, Flat) for item in metadata):
        return None
    assert inspect.isclass(kind), f"{parameter.name}: only a dataclass can be flat, not {kind}"
    assert is_dataclass(kind), f"{parameter.name}: only a dataclass can be flat, not {kind}"
    return kind


@cache
def _groups(component: type[Any]) -> dict[str, type[Any]]:
    """Argument that groups others → its dataclass."""
    groups = {name: _group(parameter) for name, parameter in _keywords(component).items()}
    return {name: group for name, group in groups.items() if group is not None}


def validate_arguments(kind: str, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of a component: `values` checked, the others at their defaults.

    Raises:
        SpecError: an unknown name, or an argument that is misspelt, missing or out of range.
    """
    return validate_for(get_class(kind, name), name, values)


def validate_for(component: type[Any], name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """As `validate_arguments`, of a class.

    Args:
        name: of the component in error messages.
    """
    model, preset = arguments(component), presets_of(component).get(str(values.get("preset")), {})
    try:
        return model(**{**preset.get("method", {}), **values}).model_dump()
    except ValidationError as error:
        raise SpecError(f"{name}: {explain(error, model)}") from error


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first error of pydantic as one line: the argument, its value and what was expected."""
    return explain_detail(error.errors()[0], model)


def explain_detail(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """One error of pydantic as one line."""
    place = _brief(".".join(str(part) for part in detail["loc"]))
    if detail["type"] == "extra_forbidden":
        known: type[BaseModel] = model
        for part in detail["loc"][:-1]:
            field = known.model_fields.get(str(part))
            known = known if field is None else _model_in(field.annotation) or known
        word = str(detail["loc"][-1])[:80]
        hint = _WEIGHTS if place.endswith(_WORDS_FOR_WEIGHTS) else did_you_mean(word, known.model_fields)
        return f"there is no argument {place!r}{hint}"
    if detail["type"] == "missing":
        return f"the argument {place!r} is missing; give it a value"
    message = detail["msg"].removeprefix("Value error, ")
    if not place:
        return _brief(message)
    return f"{place} = {_brief(repr(detail['input']))}: {message[0].lower()}{message[1:]}"


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation holds, such as X in `X | None` and `tuple[X, ...]`."""
    options = (annotation, *get_args(annotation))
    return next((option for option in options if inspect.isclass(option) and issubclass(option, BaseModel)), None)


def _brief(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def build(kind: str, name: str, /, *positional: Any, **flat: Any) -> Any:
    """Construct a component by name from checked arguments, all of them flat.

    Raises:
        SpecError: as `get_class` and `validate_arguments`.
    """
    return construct(get_class(kind, name), validate_arguments(kind, name, flat), *positional)


def construct(component: type[Any], checked: Mapping[str, Any], /, *positional: Any) -> Any:
    """Construct a component from all of its arguments, checked and flat."""
    values = dict(checked)
    if presets_of(component):
        values.pop("preset")  # its numbers are among the arguments
    for argument, group in _groups(component).items():
        values[argument] = group(**{field.name: values.pop(field.name) for field in fields(group)})
    return component(*positional, **values)
