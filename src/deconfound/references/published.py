"""Reading `published.toml`: one `Reference` per printed number, in the units of our protocols."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from deconfound.errors import SpecError, did_you_mean
from deconfound.protocol import get_protocol
from deconfound.registry import names

FOREIGN: Mapping[str, str] = {
    "acc-2": "an accuracy of two classes, without saying whether labels of 0 count",
    "f1": "an F1 without saying over which classes or with which weights",
    "binary-f1": "the F1 of the positive class",
    "conflict-auroc": "the AUROC of finding rows whose modalities conflict",
}
"""Metrics that sources print and that none of our protocols measures."""

NOT_PRINTED = "-"
"""A cell of a table in which the source prints no number."""

Unit = Literal["percent", "hundredths", "label", "share", "points"]
_HUNDREDFOLD = ("percent", "hundredths")


@dataclass(frozen=True)
class Reference:
    """One number of a publication, or the statement that there is none.

    Args:
        dataset: our name of the corpus.
        method: the name that the source uses, with an addition where two methods share a name.
        protocol: our protocol that measures the same; `protocol_stated` is False where that is likely but not stated.
        metric: metric of that protocol, or a key of `FOREIGN`; "" where the source gives no number at all.
        value: shares and label units; None for a range or no number.
        printed: the number as it is printed, "" without a number.
        unit: unit in which it is printed, see `published.toml`.
        low, high: ends of a printed range; equal to `value` where that is known, None without a number.
        deviation: the printed standard deviation.
        source, citation: key of the source and where to find it.
        runs: what the source says about seeds.
        condition: condition of the measurement, "" for the whole clean test split with all modalities.
        backbone, inputs: backbone and inputs of the model, as far as stated.
        widths: modality → features per step, empty where not stated.
        split: "train", "valid", "test" → rows, as far as stated.
        note: a remark for the reader.
    """

    dataset: str
    method: str
    source: str
    citation: str
    protocol: str = ""
    metric: str = ""
    value: float | None = None
    printed: str = ""
    unit: Unit | None = None
    low: float | None = None
    high: float | None = None
    deviation: float | None = None
    runs: str = ""
    condition: str = ""
    backbone: str = ""
    inputs: str = ""
    widths: Mapping[str, int] = field(default_factory=dict)
    split: Mapping[str, int] = field(default_factory=dict)
    protocol_stated: bool = False
    note: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """Identity of a reference: numbers of two sources, conditions or backbones are two references."""
        about = (self.dataset, self.protocol, self.method, self.metric, self.condition, self.backbone)
        return (self.source, *about)


def _known_splits(split: dict[str, int]) -> dict[str, int]:
    if not set(split) <= {"train", "valid", "test"}:
        raise ValueError("splits are train, valid and test")
    return split


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Source(_Entry):
    citation: str = Field(min_length=5)
    runs: str = ""


class Corpus(_Entry):
    """What the tables call a dataset.

    Args:
        split: rows of its published splits, as far as they are known, for sources that name no other.
    """

    title: str
    aliases: tuple[str, ...] = ()
    split: Annotated[dict[str, int], AfterValidator(_known_splits)] = {}
    note: str = ""


def _column(text: Any) -> Any:
    return tuple(str(text).split(": ", 1)) if isinstance(text, str) else text


class _Block(_Entry):
    source: str
    dataset: str
    protocol: str
    protocol_stated: bool = True
    condition: str = ""
    backbone: str = ""
    inputs: str = ""
    note: str = ""
    split: Annotated[dict[str, int], AfterValidator(_known_splits)] = {}
    widths: dict[str, int] = {}
    columns: tuple[Annotated[tuple[str, Unit], BeforeValidator(_column)], ...] = Field(min_length=1)
    rows: tuple[tuple[str, ...], ...] = Field(min_length=1)


class _Absent(_Entry):
    source: str
    method: str
    datasets: tuple[str, ...] = Field(min_length=1)
    note: str = Field(min_length=10)


class _File(_Entry):
    source: dict[str, _Source]
    dataset: dict[str, Corpus]
    table: tuple[_Block, ...]
    absent: tuple[_Absent, ...]


@cache
def _file() -> _File:
    text = files("deconfound.references").joinpath("published.toml").read_text(encoding="utf-8")
    return _File(**tomllib.loads(text))


@cache
def published() -> tuple[Reference, ...]:
    """All references, in the order of the file; each `Reference.key` occurs once."""
    references = [reference for block in _file().table for reference in _of_block(block)]
    references += [_without_number(absent, name) for absent in _file().absent for name in absent.datasets]
    keys = [reference.key for reference in references]
    repeated = {key for key in keys if keys.count(key) > 1} if len(set(keys)) < len(keys) else set()
    assert not repeated, f"published.toml holds twice: {sorted(repeated)}"
    return tuple(references)


def corpora() -> Mapping[str, Corpus]:
    """Our name of a dataset → what the tables call it."""
    return _file().dataset


def dataset_name(name: str) -> str:
    """Our name of a dataset from one of its names, in any case.

    Raises:
        SpecError: no publication here reports the dataset.
    """
    lowered = name.lower()
    for own, corpus in corpora().items():
        if lowered in (own, *corpus.aliases):
            return own
    aliases = [alias for own, corpus in corpora().items() for alias in (own, *corpus.aliases)]
    hint = "; HFM is Twitter sarcasm, not Hateful Memes" if "hateful" in lowered else did_you_mean(name, aliases)
    raise SpecError(f"there are no published numbers on {name!r}{hint}")


def select_references(
    *, dataset: str | None = None, method: str | None = None, protocol: str | None = None
) -> list[Reference]:
    """The references of a dataset, of methods whose name contains a text in any case, and of a protocol.

    Raises:
        SpecError: a dataset, method or protocol without a reference.
    """
    references = list(published())
    if dataset is not None:
        own = dataset_name(dataset)
        references = [reference for reference in references if reference.dataset == own]
    if protocol is not None:
        known_protocols = names("protocols")
        if protocol not in known_protocols:
            raise SpecError(f"there is no protocol {protocol!r}{did_you_mean(protocol, known_protocols)}")
        references = [reference for reference in references if reference.protocol == protocol]
    if method is not None:
        known = sorted({reference.method for reference in references})
        references = [reference for reference in references if method.lower() in reference.method.lower()]
        if not references:
            raise SpecError(f"no reference here is of a method {method!r}{did_you_mean(method, known)}")
    return references


def _of_block(block: _Block) -> Iterator[Reference]:
    source, corpus = _file().source[block.source], _file().dataset[block.dataset]
    for metric, _ in block.columns:
        known = metric in get_protocol(block.protocol).metrics or metric in FOREIGN
        assert known, f"{block.source}: {block.protocol} has no {metric!r}"
    shared = Reference(
        block.dataset,
        "",
        block.source,
        source.citation,
        block.protocol,
        runs=source.runs,
        condition=block.condition,
        backbone=block.backbone,
        inputs=block.inputs,
        widths=block.widths,
        split=block.split or corpus.split,
        protocol_stated=block.protocol_stated,
        note=block.note,
    )
    for method, *cells in block.rows:
        assert len(cells) == len(block.columns), f"{block.source}: {method} has {len(cells)} numbers"
        for (metric, unit), printed in zip(block.columns, cells, strict=True):
            if printed == NOT_PRINTED:
                continue
            value, low, high, deviation = read_number(printed, unit)
            numbers = {"value": value, "low": low, "high": high, "deviation": deviation}
            yield replace(shared, method=method, metric=metric, printed=printed, unit=unit, **numbers)


def _without_number(absent: _Absent, dataset: str) -> Reference:
    source, corpus = _file().source[absent.source], _file().dataset[dataset]
    return Reference(
        dataset, absent.method, absent.source, source.citation, runs=source.runs, split=corpus.split, note=absent.note
    )


_NUMBER = r"(\d*\.?\d+)"
_PRINTED = re.compile(rf"{_NUMBER}(?:-{_NUMBER}| \+- {_NUMBER})?")


def read_number(printed: str, unit: Unit) -> tuple[float | None, float | None, float | None, float | None]:
    """Value, low, high and deviation of a printed number, in shares and label units.

    "73.85 +- 1.42" has a deviation; "65.0-66.7" has ends and no value.
    """
    match = _PRINTED.fullmatch(printed)
    assert match, f"published.toml: {printed!r} is no number"
    first, last, spread = match.groups()
    scale = Decimal(100 if unit in _HUNDREDFOLD else 1)
    low, high, deviation = (None if text is None else float(Decimal(text) / scale) for text in (first, last, spread))
    return (low if high is None else None), low, (low if high is None else high), deviation


def decimals_of(reference: Reference) -> int:
    """Digits after the point that the source supports once its number is in our units."""
    match = _PRINTED.fullmatch(reference.printed)
    assert match, "a reference without a number has no digits"
    return len(match[1].partition(".")[2]) + (2 if reference.unit in _HUNDREDFOLD else 0)


def shown(reference: Reference) -> str:
    """The number in our units with the digits of the source; a missing number as words."""
    if reference.low is None or reference.high is None:
        return "not available"
    digits = decimals_of(reference)
    if reference.value is None:
        return f"{reference.low:.{digits}f}–{reference.high:.{digits}f}"
    spread = "" if reference.deviation is None else f" ± {reference.deviation:.{digits}f}"
    return f"{reference.value:.{digits}f}{spread}"


def blocks(references: Sequence[Reference]) -> list[list[Reference]]:
    """References that may share a table: of one source, dataset, protocol, condition and backbone, in their order."""
    grouped: dict[tuple[str, ...], list[Reference]] = {}
    for r in references:
        grouped.setdefault((r.source, r.dataset, r.protocol, r.condition, r.backbone, r.note), []).append(r)
    return list(grouped.values())
