"""What `deconfound show NAME` prints: a component's description and its arguments."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from deconfound.errors import SpecError, did_you_mean
from deconfound.registry import KINDS, arguments, get_class, names, singular
from deconfound.search import Search

_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def card(name: str) -> dict[str, Any]:
    """Kind, description and arguments of a component, of a synthetic model or of the table [train].

    Raises:
        SpecError: nothing has this name.
    """
    if name in ("synthetic", "imbalance", "train", "backbone"):
        kind, text, model = _table(name)
    else:
        kinds = [kind for kind in KINDS if name in names(kind)]
        if not kinds:
            known = [each for kind in KINDS for each in names(kind)]
            raise SpecError(f"there is no component {name!r}{did_you_mean(name, [*known, 'synthetic', 'train'])}")
        kind, component = kinds[0], get_class(kinds[0], name)
        text, model = inspect.getdoc(component) or "", arguments(component)
    fields = [_argument(argument, field) for argument, field in model.model_fields.items()]
    return {"name": name, "kind": kind, "description": text, "arguments": fields}


def _table(name: str) -> tuple[str, str, type[BaseModel]]:
    if name == "synthetic":
        from deconfound.datasets import synthetic as module

        return "dataset", inspect.getdoc(module) or "", module.Synthetic
    if name == "imbalance":
        from deconfound.datasets import imbalance as other

        return "dataset", inspect.getdoc(other) or "", other.Imbalance
    from deconfound.runs import spec

    model = spec.TrainSpec if name == "train" else spec.BackboneSpec
    return f"table [{name}] of a specification", inspect.getdoc(model) or "", model


def _argument(name: str, field: FieldInfo) -> dict[str, Any]:
    entries = [item for part in get_args(field.annotation) for item in getattr(part, "__metadata__", ())]
    own, each = _range(field.metadata), _range([bound for entry in entries for bound in entry.metadata])
    search = next((item for item in field.metadata if isinstance(item, Search)), None)
    return {
        "name": name,
        "type": inspect.formatannotation(_plain(field.annotation)).replace("typing.", ""),
        "default": field.default if not field.is_required() else None,
        "range": own or (f"each {each}" if each else ""),
        "search": [search.low, search.high, "log" if search.log else "linear"] if search else None,
        "description": field.description or "",
    }


def _range(bounds: Iterable[Any]) -> str:
    """ "≥ 0 and < 1" """
    found = [f"{sign} {getattr(each, key)}" for each in bounds for key, sign in _BOUNDS.items() if hasattr(each, key)]
    return " and ".join(found)


def _plain(annotation: Any) -> Any:
    """The type without what is said of the entries of a tuple."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _plain(inside[0])
    return tuple[tuple(_plain(each) for each in inside)] if origin is tuple else annotation


def card_text(found: dict[str, Any]) -> str:
    """The card for a terminal."""
    lines = [f"{found['name']} ({singular(found['kind'])})", "", found["description"], ""]
    for argument in found["arguments"]:
        notes = [f"default {argument['default']!r}", argument["range"]]
        if argument["search"]:
            low, high, scale = argument["search"]
            notes.append(f"tune in [{low:g}, {high:g}] ({scale})")
        lines.append(f"  {argument['name']}: {argument['type']}  ({'; '.join(note for note in notes if note)})")
        lines += textwrap.wrap(argument["description"], 100, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)
