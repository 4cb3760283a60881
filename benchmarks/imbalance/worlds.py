"""The worlds, the methods and the training of the imbalance laboratory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deconfound.evaluation.scenario import Scenario

_SEVERAL = {"context": [0.95, 0.8, 0.4]}
"""Three environments in which the context tells the confounder more or less well."""
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
    "environments": {**_SEVERAL},
    "content, environments": {**_SEVERAL, "content": 0.5},
    "child, environments": {**_SEVERAL, "auxiliary": "child"},
    "collider, environments": {**_SEVERAL, "auxiliary": "collider"},
}
TAKEN = {"predominant": "predominant"}
ROBUST = {"name": "imml-robust", **TAKEN}
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
    "imml robust": {"method": ROBUST},
    "imml robust, by row": {"method": {**ROBUST, "alignment": "instance"}},
    "qmf + imml": {"method": {"name": "imml", **TAKEN}, "backbone": {"fusion": "qmf"}},
}


UNION: dict[str, dict[str, Any]] = {
    "v-rex": {"method": {"name": "erm", "penalties": {"vrex": {"weight": 5.0}}}},
    "imml + v-rex": {"method": {"name": "imml", **TAKEN, "penalties": {"vrex": {"weight": 5.0}}}},
    "imml robust + v-rex": {"method": {**ROBUST, "penalties": {"vrex": {"weight": 5.0}}}},
    "cmir": {"method": "cmir"},
    "cmir (imml)": {"method": {"name": "cmir", "inner": {"name": "imml", **TAKEN}}},
    "cmir-e": {"method": "cmir-e"},
    "cmir-e (imml)": {"method": {"name": "cmir-e", "inner": {"name": "imml", **TAKEN}}},
    "cmir-e (imml robust)": {"method": {"name": "cmir-e", "inner": ROBUST}},
    "cmir-e (imml robust, by row)": {"method": {"name": "cmir-e", "inner": {**ROBUST, "alignment": "instance"}}},
}
"""What compares environments, and its union with IMML; for worlds that have several."""
ALONE = ("erm", "predominant head", "imml", "imml robust", "imml robust, by row")


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


def methods_of(world: str) -> tuple[str, ...]:
    """What is trained on a world."""
    return (*ALONE, *UNION) if isinstance(WORLDS[world].get("context"), list) else tuple(METHODS)


def single(name: str) -> bool:
    """Whether a method sees the predominant modality alone."""
    return "data" in METHODS.get(name, {})


def configuration(world: str, name: str, seed: int, epochs: int | None = None) -> Mapping[str, Any]:
    """The specification of one run, without its seed of training."""
    given = (METHODS | UNION | WAYS)[name]
    data = {"synthetic": {"model": "imbalance", **knobs(world, seed)}, **given.get("data", {})}
    steps = epochs or (SMALL_EPOCHS if WORLDS[world].get("rows", 3000) < 1000 else EPOCHS)
    return {"name": name, **given, "data": data, "train": {**TRAIN, "epochs": steps}}
