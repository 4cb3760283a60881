"""The claims about CmIR as experiments: where the assumptions hold, and where one of them is broken.

    python benchmarks/causal/claims.py --out runs/causal/claims [--workers 2] [--seeds 4]

Each claim is a sweep over synthetic worlds with fixed hyper-parameters (those of `contenders.py` at their defaults). A second
call does only what is missing. Writes claims.csv, one row per claim, world, method and seed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from contenders import CONTENDERS, POOL, label
from measure import measured
from running import BASE, sweep, write
from worlds import SCENARIOS, WORLDS

BY_LABEL = {label(each): each for each in CONTENDERS}
PAPER = BY_LABEL["cmir (paper)"]["arguments"] | {"strength": 0.2, "invariance": 0.3}

SPELT = {"name": "cmir", "backbone": POOL, "penalties": {"vrex": {"weight": 5.0}}}
DIRECTED: dict[str, Any] = {
    **{
        "source": "directed",
        "dim": 64,
        "environments": 2,
        "strength": 0.1,
        "directed_strength": 4.0,
        "noise_at": "raw",
    },
    **{"movement": "slopes", "invariance": 0.3, "reconstruction": 0.3},
}
"""`cmir-e` spelt out, for what the preset does not offer."""


def of(*labels: str) -> list[dict[str, Any]]:
    """Contenders by label."""
    return [BY_LABEL[each] for each in labels]


def paper(name: str, **changes: Any) -> dict[str, Any]:
    """The published method with other arguments."""
    return {"name": "cmir", "label": name, "backbone": POOL, "arguments": {**PAPER, **changes}}


def wide(name: str, encoder: int) -> dict[str, Any]:
    """ERM with another width, a control for capacity."""
    return {"name": "erm", "label": name, "backbone": {"hidden": encoder}}


A, B = WORLDS["A"], WORLDS["B one"]
MIRROR = {"rows": 3000, "mirror": True}
CLAIMS: dict[str, tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]] = {
    "mirror": (
        {"one environment": {**MIRROR, "rho": [0.7], "flip": -0.7}, "three": {**MIRROR, "rho": [0.9, 0.6, 0.2]}},
        [*of("erm", "noise", "cmir (paper)"), paper("cmir, strong", strength=0.5, invariance=3.0)],
    ),
    "mirror with environments": (
        {"three": {**MIRROR, "rho": [0.9, 0.6, 0.2], "flip": -0.9}},
        of("v-rex", "moments", "cmir sdn", "cmir-e"),
    ),
    "amplitude": (
        {f"amplitude {a:g}": {**A, "amplitude": a} for a in (0.1, 0.3, 1.0, 2.0)},
        [*of("erm", "noise", "cmir (paper)"), paper("cmir, strong", strength=0.5, invariance=3.0)],
    ),
    "environments": (
        {
            f"rho {' '.join(map(str, rho))}": {**A, "rho": list(rho)}
            for rho in ((0.8, 0.4), (0.9, 0.0), (0.8, 0.0, -0.2), (0.9, 0.6, 0.3, 0.0))
        },
        of("erm", "v-rex", "cmir-e"),
    ),
    "wrong environments": (
        {f"wrong {share:g}": {**A, "wrong": share} for share in (0.0, 0.3, 1.0)},
        of("v-rex", "moments", "cmir-e"),
    ),
    "alignment": (
        {"private causes": A, "shared causes": B},
        [
            *of("erm", "cmir-xm"),
            {**BY_LABEL["cmir-xm"], "label": "cmir-xm, unguarded", "arguments": {"alignment_needs": -1.0}},
        ],
    ),
    "ablation": (
        {"A": A},
        [
            paper("full"),
            paper("no invariance", invariance=0.0),
            paper("no decorrelation", decorrelation=0.0),
            paper("no reconstruction", reconstruction=0.0),
            paper("K = 2", environments=2),
            paper("K = 5", environments=5),
            paper("strength 0.05", strength=0.05),
            paper("strength 0.8", strength=0.8),
            paper("strong", strength=0.5, invariance=3.0),
            paper("cosine", distance="cosine"),
            paper("both views", predict_on="both"),
            paper("xcov", decorrelate="xcov", decorrelation=1.0),
            paper("hsic", decorrelate="hsic", decorrelation=1.0),
            paper("club", decorrelate="club", decorrelation=0.1),
            wide("erm", 64),
            wide("erm, twice as wide", 128),
        ],
    ),
    "ablation of cmir-e": (
        {"A": A},
        [
            *of("cmir-e"),
            {**BY_LABEL["cmir-e"], "label": "no directed noise", "arguments": {"directed_strength": 0.0}},
            {**BY_LABEL["cmir-e"], "label": "no V-REx", "arguments": {"vrex": 0.0}},
            {**BY_LABEL["cmir-e"], "label": "no invariance", "arguments": {"invariance": 0.0}},
            {**BY_LABEL["cmir-e"], "label": "no reconstruction", "arguments": {"reconstruction": 0.0}},
            {**BY_LABEL["cmir-e"], "label": "weaker noise", "arguments": {"directed_strength": 1.0}},
            {
                **BY_LABEL["cmir-e"],
                "label": "directed noise alone",
                "arguments": dict.fromkeys(("vrex", "invariance", "decorrelation", "reconstruction"), 0.0),
            },
            {**BY_LABEL["cmir-e"], "label": "parts of 8", "arguments": {"dim": 8}},
            {**SPELT, "label": "clean and noisy views", "arguments": {**DIRECTED, "predict_on": "both"}},
            {**SPELT, "label": "clean views", "arguments": {**DIRECTED, "predict_on": "clean"}},
            {"name": "cmir-e", "label": "MLP encoders, noise on features", "arguments": {"noise_at": "features"}},
            {"name": "cmir-e", "label": "MLP encoders, noise on inputs"},
        ],
    ),
}
"""Claim → worlds and methods."""
PROBED = ["A"]
"""World of the ablations, whose parts are probed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/causal/claims"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--only", choices=CLAIMS, action="append", help="One claim; may be given several times.")
    options = parser.parse_args()
    rows = []
    for claim, (worlds, methods) in CLAIMS.items():
        folder = options.out / claim.replace(" ", "-")
        if options.only is None or claim in options.only:
            drawn = [
                {"name": f"{world} {seed}", "synthetic": {**knobs, "seed": seed, "name": world}}
                for world, knobs in worlds.items()
                for seed in range(options.seeds)
            ]
            mirrored = any("mirror" in knobs for knobs in worlds.values())
            scenarios = [*SCENARIOS, *([{"name": "test-mirror", "split": "test-mirror"}] if mirrored else [])]
            values = {"name": claim, "seeds": 1, "base": BASE, "dataset": drawn, "method": methods}
            sweep({**values, "evaluation": {"tables": scenarios}}, folder / "sweep", options.workers)
        probed = PROBED if claim.startswith("ablation") else []
        rows += [{"claim": claim, **row} for row in measured(folder, probed, options.workers)]
        write(options.out / "claims.csv", rows)
        print(f"{claim}: done", flush=True)


if __name__ == "__main__":
    main()
