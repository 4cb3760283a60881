"""The search space of a method: the one place that says which numbers a sweep draws and a tuning searches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_args

from pydantic.fields import FieldInfo

from deconfound.errors import SpecError, did_you_mean
from deconfound.io.python_file import load_class
from deconfound.registry import arguments, get_class
from deconfound.runs.spec import BackboneSpec, TrainSpec
from deconfound.search import Search
from deconfound.sweeps.spec import Base, MethodEntry, SearchSpec


@dataclass(frozen=True)
class Dimension:
    """One hyper-parameter of a search space.

    Args:
        table: "method", "penalties.vrex" (a key of `MethodEntry.parts`), "backbone" or "train".
        name: argument in that table.
        low: smallest value, included.
        high: largest value, included.
        log: True to search the logarithm.
        integer: True for whole numbers only.
        default: value without a search.
    """

    table: str
    name: str
    low: float
    high: float
    log: bool = False
    integer: bool = False
    default: Any = None

    @property
    def key(self) -> str:
        """ "train.learning_rate", "penalties.vrex.weight"."""
        return f"{self.table}.{self.name}"


def search_space(entry: MethodEntry, base: Base, search: SearchSpec) -> list[Dimension]:
    """The search space of a [[method]] table.

    It holds the arguments that carry a `Search` range in their annotation, first those of the method, then those of its
    penalties and augmentations, and then the fields of [search.backbone] and [search.train]. An argument or field that
    the [[method]] table sets is left out.

    Args:
        entry: the method.
        base: settings that all runs share; they give the defaults of the fields.
        search: ranges beside those of the annotations.

    Raises:
        SpecError: a field of [search] that does not exist, or one that is not a number.
    """
    return [*_annotated(entry), *_configured(entry, base, search)]


def _annotated(entry: MethodEntry) -> Iterator[Dimension]:
    for table, (kind, component, fixed) in entry.parts.items():
        searched = _own_method(entry.python) if table == "method" and entry.python else get_class(kind, component)
        for name, field in arguments(searched).model_fields.items():
            ranges = [item for item in field.metadata if isinstance(item, Search)]
            if ranges and name not in fixed:
                yield _dimension(table, name, field, ranges[0].low, ranges[0].high, ranges[0].log, field.default)


def _own_method(reference: str) -> type[Any]:
    from deconfound.method import Method  # loads PyTorch, which names do not need

    return load_class(reference, Method)


def _configured(entry: MethodEntry, base: Base, search: SearchSpec) -> Iterator[Dimension]:
    for table, model in (("backbone", BackboneSpec), ("train", TrainSpec)):
        fields, defaults = model.model_fields, getattr(base, table)
        for name, limits in getattr(search, table).items():
            if name not in fields:
                numbers = [field for field, info in fields.items() if _number(info)]
                raise SpecError(f"[search.{table}] has no {name!r}{did_you_mean(name, numbers)}")
            dimension = _dimension(
                table, name, fields[name], limits.low, limits.high, limits.log, getattr(defaults, name)
            )
            if table == "train" or name not in entry.backbone:
                yield dimension


def _dimension(table: str, name: str, field: FieldInfo, low: float, high: float, log: bool, default: Any) -> Dimension:
    number = _number(field)
    if number is None:
        raise SpecError(f"{table}.{name} is not a number, so it has no range; set it in [base.{table}]")
    return Dimension(table, name, float(low), float(high), log, number is int, default)


def _number(field: FieldInfo) -> Any:
    """The type of a number, also of one that may be left open; None for what is no number."""
    kinds = {kind for kind in (get_args(field.annotation) or (field.annotation,)) if kind is not NoneType}
    return next(iter(kinds)) if kinds in ({int}, {float}) else None
