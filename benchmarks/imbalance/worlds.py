"""The worlds, the methods and the training of the imbalance laboratory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deconfound.scenario import Scenario

WORLDS: dict[str, dict[str, Any]] = {
    "context": {},
    "content": {"content": 0.5},
    "content-strong": {"content": 0.5, "effect_content": 1.0},
    "small": {"rows": 300},
    "strong-auxiliary": {"effect_auxiliary": 0.8},
    "weak-auxiliary": {"effect_auxiliary": 0.1},
    "child": {"auxiliary": "child"},
    "collider": {"auxiliary": "collider"},
    "interaction": {"effect_both": 0.4},
    "nothing-shared": {"shared": 0.0},
    "unconfounded": {"context": 0.0},
}
DEFAULT_WORLDS = ("context", "content", "small", "child")
TAKEN = {"predominant": "predominant"}
METHODS: dict[str, dict[str, Any]] = {
    "erm": {"method": "erm"},
    "predominant only": {"method": "erm", "data": {"modalities": ["predominant"]}},
    "predominant head": {"method": {"name": "predominant-head", **TAKEN}},
    "late": {"method": "erm", "backbone": {"fusion": "late"}},
    "modality dropout": {"method": {"name": "erm", "augmentations": {"modality-dropout": {}}}},
    "ogm-ge": {"method": "ogm-ge"},
    "pmr": {"method": "pmr"},
    "mmpareto": {"method": "mmpareto"},
    "gradient blending": {"method": "gradient-blending"},
    "qmf": {"method": "qmf"},
    "imml": {"method": {"name": "imml", **TAKEN}},
    "imml robust": {"method": {"name": "imml-robust", **TAKEN}},
    "imml robust, by row": {"method": {"name": "imml-robust", **TAKEN, "alignment": "instance"}},
    "qmf + imml": {"method": {"name": "imml", **TAKEN}, "backbone": {"fusion": "qmf"}},
}


def _plug(**changes: Any) -> dict[str, Any]:
    """`imml-robust` spelt out, with changes that the preset does not offer."""
    chosen = {"alignment": "both", "training": "plug", "form": "additive", "head": "mc-cond", "dim": 4}
    return {"method": {"name": "imml", **TAKEN, **chosen, "predict": "do", **changes}}


WAYS: dict[str, dict[str, Any]] = {
    "z of 8": _plug(dim=8),
    "z of 16": _plug(dim=16),
    "full f": _plug(form="full"),
    "x' matched on a": _plug(weights="similar"),
}
"""What else was tried where the mediator is confounded."""
TRAIN = {"batch_size": 128, "learning_rate": 2e-3, "keep": "last"}
"""A fixed number of steps for all, and the last weights: the best in-distribution epoch leans on the shortcut."""
EPOCHS, SMALL_EPOCHS = 20, 60
"""480 steps of 3,000 rows, 180 of 300."""
CLEAN = [Scenario(name, name) for name in ("test-iid", "test-do", "test-flip", "valid")]
DAMAGED = [
    Scenario("absent", "test-iid", present=("predominant",)),
    Scenario("noisy", "test-iid", corruption="gaussian", arguments={"modalities": ["auxiliary"]}, severities=(1.0,)),
]


def knobs(world: str, seed: int) -> dict[str, Any]:
    """Arguments of `imbalance`: each seed draws its own mechanism and rows."""
    return {"name": world, **WORLDS[world], "seed": seed}


def single(name: str) -> bool:
    """Whether a method sees the predominant modality alone."""
    return "data" in METHODS.get(name, {})


def configuration(world: str, name: str, seed: int, epochs: int | None = None) -> Mapping[str, Any]:
    """The specification of one run, without its seed of training."""
    given = (METHODS | WAYS)[name]
    data = {"synthetic": {"model": "imbalance", **knobs(world, seed)}, **given.get("data", {})}
    steps = epochs or (SMALL_EPOCHS if WORLDS[world].get("rows", 3000) < 1000 else EPOCHS)
    return {"name": name, **given, "data": data, "train": {**TRAIN, "epochs": steps}}
