"""Who competes in the causal laboratory. What stands under `arguments` is fixed; the rest is drawn, in equal numbers."""

from __future__ import annotations

from typing import Any

POOL = {"encoders": {"m1": "pool", "m2": "pool", "m3": "pool"}}
"""CmIR's splitter is a two-layer MLP of its own, so it stands in for the encoder that the others have: equal depth."""
_SPLIT = {"dim": 8, "hidden": 64, "decorrelation": 0.05}
_PAPER = {**_SPLIT, "environments": 3, "directed_strength": 2.0, "reconstruction": 0.5}
_DIRECTED = {**_SPLIT, "dim": 64, "strength": 0.1, "reconstruction": 0.3}
_NOISE = {"source": "directed", "environments": 2, "predict_on": "both", "invariance": 1.0}
_SDN = {**_SPLIT, **_NOISE, "strength": 0.2, "reconstruction": 0.3}


def _cmir(label: str, **more: Any) -> dict[str, Any]:
    return {"name": "cmir", "label": label, "backbone": POOL, **more}


CONTENDERS: list[dict[str, Any]] = [
    {"name": "erm"},
    {"name": "erm", "label": "noise", "augmentations": {"noise": {}}},
    _cmir("cmir (paper)", arguments=_PAPER),
    {"name": "erm", "label": "irm", "penalties": {"irm": {}}},
    {"name": "erm", "label": "v-rex", "penalties": {"vrex": {}}},
    {"name": "erm", "label": "group-dro", "penalties": {"group-dro": {}}},
    {"name": "erm", "label": "coral", "penalties": {"coral": {}}},
    {"name": "erm", "label": "dann", "penalties": {"dann": {}}},
    {"name": "erm", "label": "moments", "penalties": {"moments": {}}},
    _cmir("cmir sdn", arguments=_SDN),
    _cmir("cmir + moments", arguments={**_PAPER, "strength": 0.2, "invariance": 0.3}, penalties={"moments": {}}),
    {"name": "cmir-e", "backbone": POOL, "arguments": _DIRECTED},
    {
        "name": "cmir-e",
        "label": "cmir-e + noise",
        "backbone": POOL,
        "arguments": _DIRECTED,
        "augmentations": {"noise": {}},
    },
    {"name": "cmir-xm", "backbone": POOL, "arguments": {**_SPLIT, "strength": 0.2, "reconstruction": 0.5}},
]

ENCODED = {"name": "cmir-e", "label": "cmir-e, MLP encoders", "arguments": {**_DIRECTED, "noise_at": "raw"}}
"""The same with encoders before the splitter and noise on the raw inputs."""


def label(entry: dict[str, Any]) -> str:
    """As it stands in tables."""
    return entry.get("label", entry["name"])
