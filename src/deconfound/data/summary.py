"""A dataset in five lines for a terminal, and as a small table for a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from deconfound.data.schema import DatasetParts

_MOST_CLASSES = 6
_MOST_CHARACTERS = 160


def summary_lines(dataset: DatasetParts) -> list[str]:
    """Five lines: name and task, splits, modalities, environments and groups, and where the rows come from.

    Only sizes are read, no values.
    """
    splits = ", ".join(f"{name} {len(rows)}" for name, rows in dataset.splits.items())
    modalities = ", ".join(map(str, dataset.modalities.values()))
    lines = [
        f"Dataset {dataset.name!r}: {len(dataset)} rows, {_task(dataset)}",
        f"  splits: {splits}",
        f"  modalities: {modalities}",
        f"  environment: {_named(dataset, dataset.environment)}; group: {_named(dataset, dataset.group)}",
        f"  source: {_source(dataset.provenance)}",
    ]
    return [_short(line) for line in lines]


def summary_html(dataset: DatasetParts) -> str:
    """The same as a table with one row per modality; all names are escaped."""
    head, splits, _, groups, source = (line.strip() for line in summary_lines(dataset))
    cells = [
        (name, modality.kind, "×".join(map(str, (modality.steps, *modality.shape))), _absent(dataset, name))
        for name, modality in dataset.modalities.items()
    ]
    rows = [_row("td", cell) for cell in cells]
    caption = "<br>".join(escape(line) for line in (head, splits, groups, source))
    header = _row("th", ("modality", "kind", "steps × shape", "absent"))
    return f"<table><caption style='text-align: left'>{caption}</caption>{header}{''.join(rows)}</table>"


def _row(tag: str, texts: tuple[str, ...]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts) + "</tr>"


def _absent(dataset: DatasetParts, name: str) -> str:
    """Share of rows without the modality."""
    return f"{1 - float(dataset.signals[name].present.float().mean()):.1%}"


def _task(dataset: DatasetParts) -> str:
    classes = dataset.task.classes
    if not classes:
        return f"regression ({dataset.task.protocol})"
    more = ", …" if len(classes) > _MOST_CLASSES else ""
    kind = "classification of {} classes" if dataset.task.kind == "classification" else "multilabel of {} labels"
    return f"{kind.format(len(classes))}: {', '.join(classes[:_MOST_CLASSES])}{more}"


def _named(dataset: DatasetParts, columns: tuple[str, ...]) -> str:
    named = [f"{name} ({len(dataset.columns[name].codes.unique())})" for name in columns]
    return ", ".join(named) or "none"


def _source(provenance: Mapping[str, Any]) -> str:
    """Notes about conversions where there are any, else format and file."""
    notes = provenance.get("notes") or [f"{provenance.get('format', 'Python')} {provenance.get('file', '')}".strip()]
    return "; ".join(notes)


def _short(line: str) -> str:
    flat = " ".join(line.split())
    indent = line[: len(line) - len(line.lstrip())]
    return indent + (flat if len(flat) <= _MOST_CHARACTERS else flat[: _MOST_CHARACTERS - 1] + "…")
