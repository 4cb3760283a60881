"""Estimated effects as text and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deconfound.causal.effects import FORMULAS
from deconfound.causal.estimate import Band, Effect, Effects

_MOST_LINES = 40


def effects_text(found: Effects) -> str:
    """For a terminal: one block per formula, what the graph says of each, intervals in brackets, warnings, advice."""
    graph, levels = found.graph, found.counts.levels
    y = levels["y"] if len(levels["y"]) > 2 else levels["y"][1:]
    shown = [len(levels["y"]) - len(y) + place for place in range(len(y))]
    head = [f"{graph.outcome}={value}" for value in y]
    units = "" if found.counts.clusters is None else f" in {int(found.counts.clusters.max()) + 1} clusters"
    lines = [f"{graph.name}: {found.counts.rows} rows{units}; effect of {graph.treatment} on {graph.outcome}"]
    for effect in found.effects.values():
        lines += ["", f"{effect.formula}: {FORMULAS[effect.formula].says}", f"  {_standing(effect, found)}"]
        rows = _rows(effect, levels, graph.treatment, shown)
        lines += _aligned([["", *head], *rows[:_MOST_LINES]])
        if len(rows) > _MOST_LINES:
            lines.append(f"  … {len(rows) - _MOST_LINES} more lines: --json has all")
    lines += ["", *(f"positivity warning: {text}" for text in found.warnings)]
    return "\n".join([*lines, f"advice: {found.assessment.advice}"])


def _standing(effect: Effect, found: Effects) -> str:
    if effect.formula == "randomised-mediator" and not effect.warranted:
        z, x = found.graph.mediator, found.graph.treatment
        does = "estimates" if found.assessment.mediator.holds else "is meant for, but not warranted as,"
        return f"{does} the effect of setting {z} to a random draw, not the effect of {x}"
    inside = f" within each value of {', '.join(found.graph.auxiliary)}" if effect.formula.endswith("given") else ""
    return f"the effect{inside}, if the graph is right" if effect.warranted else "not warranted by the graph"


def _rows(effect: Effect, levels: Mapping[str, Sequence[str]], treatment: str, shown: Sequence[int]) -> list[list[str]]:
    """Probabilities, then differences from the first value of the treatment."""
    shape, beside = effect.probabilities.values.shape[:-1], list(levels["a"])
    rows = []
    for band, sign in ((effect.probabilities, ""), (effect.differences, "+")):
        for at, *inside in np.ndindex(*shape):
            if at or not sign:
                less = f" less {levels['x'][0]}" if sign else ""
                name = ", ".join((f"{treatment}={levels['x'][at]}{less}", *(str(beside[i]) for i in inside)))
                rows.append([name, *(_cell(band, (at, *inside, y), sign) for y in shown)])
    return rows


def _cell(band: Band, place: tuple[int, ...], sign: str = "") -> str:
    value, low, high = (float(part[place]) for part in (band.values, band.low, band.high))
    if math.isnan(value):
        return "no rows"
    interval = "[?]" if math.isnan(low) else f"[{low:{sign}.3f}, {high:{sign}.3f}]"
    return f"{value:{sign}.3f} {interval}"


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def effects_json(found: Effects) -> dict[str, Any]:
    """JSON values: arrays as nested lists in the order of `levels`, null where undefined."""
    graph = found.graph
    return {
        "graph": graph.name,
        "rows": found.counts.rows,
        "roles": {
            "treatment": graph.treatment,
            "mediator": graph.mediator,
            "outcome": graph.outcome,
            "auxiliary": list(graph.auxiliary),
        },
        "levels": {letter: list(values) for letter, values in found.counts.levels.items()},
        "effects": {name: _effect_json(effect) for name, effect in found.effects.items()},
        "warnings": list(found.warnings),
        "advice": found.assessment.advice,
    }


def _effect_json(effect: Effect) -> dict[str, Any]:
    return {
        "formula": FORMULAS[effect.formula].says,
        "axes": FORMULAS[effect.formula].result,
        "warranted": effect.warranted,
        "probabilities": _band_json(effect.probabilities),
        "differences": _band_json(effect.differences),
        "support": {
            "missing": _plain(effect.support.missing),
            "thin": _plain(effect.support.thin),
            "cells": list(effect.support.cells),
        },
    }


def _band_json(band: Band) -> dict[str, Any]:
    return {"values": _plain(band.values), "low": _plain(band.low), "high": _plain(band.high)}


def _plain(values: np.ndarray) -> Any:
    """Nested lists with None for NaN."""
    if values.ndim == 0:
        return float(values) if np.isfinite(values) else None
    return [_plain(np.asarray(part)) for part in values]
