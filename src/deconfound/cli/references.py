"""`deconfound references`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from deconfound.references import Reference


def references(
    dataset: Annotated[str | None, typer.Option(help="Such as mosi, ch-sims-v2 or hfm; default: all.")] = None,
    method: Annotated[str | None, typer.Option(help="Part of the name of a method.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Such as mmsa-regression.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Show published numbers.

    Each source, protocol and condition has its own table.

    Values are shares and label units, whatever the source prints. A report shows them beside yours only if protocol,
    splits and inputs are the same.

    Example: deconfound references --dataset mosi --method misa
    """
    from deconfound.references import select_references

    selected = select_references(dataset=dataset, method=method, protocol=protocol)
    print(json.dumps([asdict(r) for r in selected]) if as_json else references_text(selected))


def references_text(references: list[Reference]) -> str:
    """The tables as text for a terminal."""
    from deconfound.references.published import blocks, corpora

    notes = [
        f"note: {corpora()[name].note}" for name in dict.fromkeys(r.dataset for r in references) if corpora()[name].note
    ]
    return "\n\n".join([*(_block_text(block) for block in blocks(references)), *notes]) or "no published numbers match"


def _block_text(block: list[Reference]) -> str:
    from deconfound.references.published import shown

    first = block[0]
    if not first.metric:
        methods = ", ".join(dict.fromkeys(r.method for r in block))
        return f"{first.dataset}: {methods}: not available ({first.note}; {first.citation})"
    metrics = list(dict.fromkeys(r.metric for r in block))
    cells = {(r.method, r.metric): shown(r) for r in block}
    methods = list(dict.fromkeys(r.method for r in block))
    rows = [["", *metrics], *([m, *(cells.get((m, metric), "–") for metric in metrics)] for m in methods)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  " + "  ".join(c.ljust(w) if not i else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    return "\n".join([*_head(first), *(line.rstrip() for line in lines)])


def _head(first: Reference) -> list[str]:
    protocol = first.protocol if first.protocol_stated else f"{first.protocol}? (not stated)"
    rows = "/".join(f"{first.split[name]}" for name in ("train", "valid", "test") if name in first.split)
    facts = [
        f"protocol {protocol}",
        f"{'/'.join(first.split)} {rows} rows" if rows else "",
        first.inputs,
        first.backbone,
        first.runs,
        first.note,
    ]
    condition = f", {first.condition}" if first.condition else ""
    return [f"{first.dataset}{condition}: {first.citation}", f"  {'; '.join(part for part in facts if part)}"]
