"""What is compared: name → the tables of a specification that differ from the defaults. SET_GROUP is the set's column."""

from __future__ import annotations

from typing import Any

from registry import GROUP

SET_GROUP = "the column of groups of the set"

CONTROLS: dict[str, dict[str, Any]] = {
    name: {"method": name} for name in ("constant", "linear", "late-linear", "boosted-trees")
}
SCALES: dict[str, dict[str, Any]] = {
    f"erm {scale}": {"method": "erm", "data": {"scale": scale}} for scale in ("standard", "rank-gauss", "robust")
}
PER_GROUP: dict[str, dict[str, Any]] = {
    f"{name} per group": {**tables, "data": {**tables.get("data", {}), "scale_by": SET_GROUP}}
    for name, tables in {**{n: CONTROLS[n] for n in ("linear", "boosted-trees")}, **SCALES}.items()
    if name != "erm robust"
}
CONTENDERS = {**CONTROLS, **SCALES, **PER_GROUP}


def tables_for(name: str, chosen: str, fold: int) -> dict[str, Any] | None:
    """The values of a specification for a set; None where the set lacks the column that it needs."""
    tables = CONTENDERS[chosen]
    data = dict(tables.get("data", {}))
    if data.get("scale_by") == SET_GROUP:
        if name not in GROUP:
            return None
        data["scale_by"] = GROUP[name]
    return {
        **tables,
        "data": data,
        "seed": fold,
        "train": {"threads": 1, "accelerator": "cpu", **tables.get("train", {})},
    }
