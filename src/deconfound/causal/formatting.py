"""Assessments and estimated effects as text and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deconfound.causal.advice import Assessment
from deconfound.causal.criterion import Identifiability
from deconfound.causal.effects import FORMULAS
from deconfound.causal.estimate import Band, Effect, Effects
from deconfound.causal.graph import Graph
from deconfound.io.plain_text import text_of_lines

_MOST_LINES = 40


def assessment_json(graph: Graph, assessment: Assessment) -> dict[str, Any]:
    """JSON values of a graph and its assessment."""
    criteria = {
        "naive": assessment.naive,
        "front_door": assessment.front_door,
        "beta_front_door": assessment.beta_front_door,
        "joint_mediators": assessment.joint_mediators,
        "back_door": assessment.back_door,
        "mediator": assessment.mediator,
    }
    roles = {"treatment": graph.treatment, "mediator": graph.mediator, "outcome": graph.outcome}
    return {
        "name": graph.name,
        "roles": {**roles, "auxiliary": list(graph.auxiliary)},
        "verdicts": {name: _criterion_json(criterion) for name, criterion in criteria.items()},
        "alpha_paths": [str(path) for path in assessment.beta_front_door.alpha_paths],
        "beta_paths": [str(path) for path in assessment.beta_front_door.beta_paths],
        "reduces_to_front_door": assessment.reduces,
        "auxiliary_independent_of_treatment": assessment.unrelated,
        "warranted": dict(assessment.exact),
        "positivity": assessment.beta_front_door.positivity,
        "advice": assessment.advice,
    }


def _criterion_json(criterion: Identifiability) -> dict[str, Any]:
    conditions = [
        {"name": c.name, "says": c.says, "holds": c.holds, "path": None if c.path is None else str(c.path)}
        for c in criterion.conditions
    ]
    return {"holds": criterion.holds, "conditions": conditions}


def assessment_text(graph: Graph, assessment: Assessment) -> str:
    """What a graph allows, for a terminal."""
    lines = [f"{graph.name}: {graph.treatment} -> {graph.mediator} -> {graph.outcome}{_conditioning(graph)}"]
    criteria = [assessment.front_door, assessment.beta_front_door] if graph.auxiliary else [assessment.front_door]
    for criterion in criteria:
        lines += ["", f"{criterion.criterion} criterion: {'holds' if criterion.holds else 'FAILS'}"]
        lines += [
            f"  {c.name} {'holds' if c.holds else 'FAILS'}  {c.says}{'' if c.path is None else f': {c.path}'}"
            for c in criterion.conditions
        ]
    x, z, a = graph.treatment, graph.mediator, ", ".join(graph.auxiliary)
    beta = assessment.beta_front_door
    lines += ["", f"α-paths, which {x} blocks: {_joined(beta.alpha_paths)}"]
    if a:
        lines += [f"β-paths, which {a} blocks: {_joined(beta.beta_paths)}", ""]
        lines.append(_criterion_line("joint mediators", assessment.joint_mediators))
    lines.append(_criterion_line("back-door adjustment" if a else "no adjustment", assessment.back_door))
    if a and assessment.reduces:
        lines.append(f"{z} is independent of {a} given {x}: (2) reduces to the plain front-door")
    if a and assessment.unrelated:
        lines.append(f"{a} is independent of {x}: the joint-mediator form equals (2)")
    return text_of_lines([*lines, "", f"positivity: {beta.positivity}", f"advice: {assessment.advice}"])


def _conditioning(graph: Graph) -> str:
    return f", given {', '.join(graph.auxiliary)}" if graph.auxiliary else ""


def _joined(paths: tuple[object, ...]) -> str:
    return "; ".join(map(str, paths)) or "none"


def _criterion_line(name: str, criterion: Identifiability) -> str:
    broken = next((c for c in criterion.conditions if not c.holds), None)
    return f"{name}: holds" if broken is None else f"{name}: FAILS, {broken.path}"


def effects_text(effects: Effects) -> str:
    """Effects for a terminal: one block per formula with its intervals, then warnings and advice."""
    graph, levels = effects.graph, effects.counts.levels
    y = levels["y"] if len(levels["y"]) > 2 else levels["y"][1:]
    columns = [len(levels["y"]) - len(y) + i for i in range(len(y))]
    head = [f"{graph.outcome}={value}" for value in y]
    units = "" if effects.counts.clusters is None else f" in {int(effects.counts.clusters.max()) + 1} clusters"
    lines = [f"{graph.name}: {effects.counts.rows} rows{units}; effect of {graph.treatment} on {graph.outcome}"]
    for effect in effects.effects.values():
        lines += ["", f"{effect.formula}: {FORMULAS[effect.formula].says}", f"  {_warrant(effect, effects)}"]
        rows = _rows(effect, levels, graph.treatment, columns)
        lines += _aligned([["", *head], *rows[:_MOST_LINES]])
        if len(rows) > _MOST_LINES:
            lines.append(f"  … {len(rows) - _MOST_LINES} more lines: --json has all")
    lines += ["", *(f"positivity warning: {text}" for text in effects.warnings)]
    return text_of_lines([*lines, f"advice: {effects.assessment.advice}"])


def _warrant(effect: Effect, effects: Effects) -> str:
    if effect.formula == "randomised-mediator" and not effect.warranted:
        z, x = effects.graph.mediator, effects.graph.treatment
        verb = "estimates" if effects.assessment.mediator.holds else "is meant for, but not warranted as,"
        return f"{verb} the effect of setting {z} to a random draw, not the effect of {x}"
    within = f" within each value of {', '.join(effects.graph.auxiliary)}" if effect.formula.endswith("given") else ""
    return f"the effect{within}, if the graph is right" if effect.warranted else "not warranted by the graph"


def _rows(
    effect: Effect, levels: Mapping[str, Sequence[str]], treatment: str, columns: Sequence[int]
) -> list[list[str]]:
    """Probabilities, then differences from the first value of the treatment."""
    shape, strata = effect.probabilities.values.shape[:-1], list(levels["a"])
    rows = []
    for band, sign in ((effect.probabilities, ""), (effect.differences, "+")):
        for x, *stratum in np.ndindex(*shape):
            if x or not sign:
                less = f" less {levels['x'][0]}" if sign else ""
                name = ", ".join((f"{treatment}={levels['x'][x]}{less}", *(str(strata[i]) for i in stratum)))
                rows.append([name, *(_cell(band, (x, *stratum, y), sign) for y in columns)])
    return rows


def _cell(band: Band, index: tuple[int, ...], sign: str) -> str:
    value, low, high = (float(part[index]) for part in (band.values, band.low, band.high))
    if math.isnan(value):
        return "no rows"
    interval = "[?]" if math.isnan(low) else f"[{low:{sign}.3f}, {high:{sign}.3f}]"
    return f"{value:{sign}.3f} {interval}"


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def effects_json(effects: Effects) -> dict[str, Any]:
    """JSON values: arrays as nested lists in the order of `levels`, null where undefined."""
    graph = effects.graph
    return {
        "graph": graph.name,
        "rows": effects.counts.rows,
        "roles": {
            "treatment": graph.treatment,
            "mediator": graph.mediator,
            "outcome": graph.outcome,
            "auxiliary": list(graph.auxiliary),
        },
        "levels": {letter: list(values) for letter, values in effects.counts.levels.items()},
        "effects": {name: _effect_json(effect) for name, effect in effects.effects.items()},
        "warnings": list(effects.warnings),
        "advice": effects.assessment.advice,
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
