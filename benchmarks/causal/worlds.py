"""The worlds of the causal laboratory: knobs of `synthetic` for families A and B, and the scenarios they are judged under."""

from __future__ import annotations

from typing import Any

ROWS = 3000
_A = {"rows": ROWS, "rho": [0.9, 0.6, 0.2], "flip": -0.9}
_B = {**_A, "shared": 0.9}

WORLDS: dict[str, dict[str, Any]] = {
    "A": _A,
    "A strong": {**_A, "amplitude": 2.0},
    "A fragile": {**_A, "amplitude": 0.15, "noise": 0.03},
    "A linear": {**_A, "nonlinearity": 0.0},
    "A content shift": {**_A, "content_shift": 0.5},
    "B one": {**_B, "spurious_modalities": 1},
    "B all": _B,
}
"""A: every modality has causes of its own and a shortcut. B: the causes are shared; one or all modalities have a shortcut.

Strong and fragile: shortcuts twice as large as the causes, or nearly lost in the input. Content shift: the causes move too.
"""

EXTRA: dict[str, dict[str, Any]] = {
    "A sequences": {**_A, "steps": 8},
    "A classes": {**_A, "task": "classification", "classes": 3},
}
"""The same as sequences of 4 to 8 steps, and with three classes; a smaller table of their own."""

TUNED_ON = {"A": "A", "B": "B one"}
"""Family → the world on which its hyper-parameters are chosen; the other worlds of the family take them over."""

SCENARIOS = [
    {"name": "test-iid", "split": "test-iid"},
    {"name": "test-flip", "split": "test-flip"},
    {"name": "test-zero", "split": "test-zero"},
    {"name": "noise", "split": "test-iid", "corruption": "gaussian", "severities": [1.0]},
    {"name": "present=m1+m2", "split": "test-iid", "present": ["m1", "m2"]},
    {"name": "present=m1+m3", "split": "test-iid", "present": ["m1", "m3"]},
    {"name": "present=m2+m3", "split": "test-iid", "present": ["m2", "m3"]},
]


def family(world: str) -> str:
    """ "A" or "B"."""
    return world[0]


def data(world: str, seed: int, **knobs: Any) -> dict[str, Any]:
    """The [data] of one drawing of a world: mechanism and rows follow the seed."""
    return {"synthetic": {**{**WORLDS, **EXTRA}[world], "seed": seed, "name": world, **knobs}}
