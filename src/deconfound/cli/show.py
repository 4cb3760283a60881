"""Descriptions of components for `deconfound show NAME`."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from deconfound.errors import SpecError, did_you_mean
from deconfound.registry import KINDS, arguments, get_class, names, singular
from deconfound.search import Search

_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
_TABLES = ("synthetic", "imbalance", "train", "backbone")


def is_component(name: str) -> bool:
    """Whether `describe_component` knows a name."""
    return name in _TABLES or any(name in names(kind) for kind in KINDS)


def describe_component(name: str) -> dict[str, Any]:
    """Kind, description and arguments of a component, of a synthetic model or of a table of a specification.

    Returns:
        name, kind, description and arguments; of a reader also its card.

    Raises:
        SpecError: nothing has this name.
    """
    card = None
    if name in _TABLES:
        kind, text, model = _describe_table(name)
    else:
        kinds = [kind for kind in KINDS if name in names(kind)]
        if not kinds:
            known = [component for kind in KINDS for component in names(kind)]
            raise SpecError(f"there is no component {name!r}{did_you_mean(name, [*known, *_TABLES])}")
        kind, component = kinds[0], get_class(kinds[0], name)
        text, model = inspect.getdoc(component) or "", arguments(component)
        card = asdict(component.card) if kind == "readers" else None
    fields = [_describe_argument(argument, field) for argument, field in model.model_fields.items()]
    description = {"name": name, "kind": kind, "description": text, "arguments": fields}
    return description if card is None else {**description, "card": card}


def _describe_table(name: str) -> tuple[str, str, type[BaseModel]]:
    if name == "synthetic":
        from deconfound.datasets import synthetic

        return "dataset", inspect.getdoc(synthetic) or "", synthetic.Synthetic
    if name == "imbalance":
        from deconfound.datasets import imbalance

        return "dataset", inspect.getdoc(imbalance) or "", imbalance.Imbalance
    from deconfound.runs import spec

    model = spec.TrainSpec if name == "train" else spec.BackboneSpec
    return f"table [{name}] of a specification", inspect.getdoc(model) or "", model


def _describe_argument(name: str, field: FieldInfo) -> dict[str, Any]:
    entries = [item for part in get_args(field.annotation) for item in getattr(part, "__metadata__", ())]
    own = _format_range(field.metadata)
    entry_range = _format_range([bound for entry in entries for bound in entry.metadata])
    search = next((item for item in field.metadata if isinstance(item, Search)), None)
    return {
        "name": name,
        "type": inspect.formatannotation(_without_metadata(field.annotation)).replace("typing.", ""),
        "default": field.default if not field.is_required() else None,
        "range": own or (f"each {entry_range}" if entry_range else ""),
        "search": [search.low, search.high, "log" if search.log else "linear"] if search else None,
        "description": field.description or "",
    }


def _format_range(bounds: Iterable[Any]) -> str:
    """Bounds such as "≥ 0 and < 1"."""
    parts = [
        f"{sign} {getattr(bound, key)}" for bound in bounds for key, sign in _BOUNDS.items() if hasattr(bound, key)
    ]
    return " and ".join(parts)


def _without_metadata(annotation: Any) -> Any:
    """The type without the `Annotated` metadata of itself and of the entries of a tuple."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _without_metadata(inside[0])
    return tuple[tuple(_without_metadata(entry) for entry in inside)] if origin is tuple else annotation


def component_text(description: dict[str, Any]) -> str:
    """The description as lines for a terminal."""
    lines = [f"{description['name']} ({singular(description['kind'])})", "", description["description"], ""]
    for key, value in description.get("card", {}).items():
        for text in [value] if isinstance(value, str) else value:
            label = f"  {key.replace('_', ' ')}: "
            lines += textwrap.wrap(text, 110, initial_indent=label, subsequent_indent="      ")
    for argument in description["arguments"]:
        notes = [f"default {argument['default']!r}", argument["range"]]
        if argument["search"]:
            low, high, scale = argument["search"]
            notes.append(f"tune in [{low:g}, {high:g}] ({scale})")
        lines.append(f"  {argument['name']}: {argument['type']}  ({'; '.join(note for note in notes if note)})")
        lines += textwrap.wrap(argument["description"], 100, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)
