"""What a perfect alignment would give: predictors from the true latents of the imbalance worlds, fitted to 20,000 rows.

    python benchmarks/imbalance/ceilings.py --out runs/imbalance [--seeds 4]

Instance alignment can at best teach z what x_p says of the other modality, here E[A | D, B]. Each predictor is a
logistic regression: on all of (D, B, A); on z and A; and on z, A and the context B together, averaged over B as it is
in training. Writes ceilings.json: world → predictor → column → accuracy per seed, and world → "weights of z" → (D, B)
per seed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sklearn.linear_model import LinearRegression, LogisticRegression
from worlds import knobs

from deconfound.data.dataset import Dataset
from deconfound.datasets.imbalance import imbalance

LOOKED_AT = ("context", "content", "content-strong", "strong-auxiliary", "weak-auxiliary", "child", "collider")
SPLITS = ("test-iid", "test-do", "test-flip")
ROWS, DRAWS = 20_000, 200
Rows = Mapping[str, np.ndarray]


def rows_of(data: Dataset, split: str) -> Rows:
    """Variables of the graph, the Bayes predictors and the label "y" of a split, (N,) each."""
    cut = slice(data.rows(split).start, data.rows(split).stop)
    names = {
        "C/predominant": "D",
        "S/predominant": "B",
        "C/auxiliary": "A",
        "bayes-do": "bayes-do",
        "bayes-iid": "bayes-iid",
    }
    known = {short: data.latents[name][cut, 0].double().numpy() for name, short in names.items()}
    return known | {"y": data.target[cut].numpy()}


def columns(*parts: np.ndarray) -> np.ndarray:
    """(N,) each → (N, parts)."""
    return np.stack(parts, 1)


def accuracy(p: np.ndarray, y: np.ndarray) -> float:
    """Share of rows in which (N,) probabilities of class 1 are on the right side."""
    return float(((p > 0.5) == (y == 1)).mean())


def averaged(model: LogisticRegression, z: np.ndarray, a: np.ndarray, contexts: np.ndarray) -> np.ndarray:
    """(N,) the mean over contexts of P(Y = 1 | z, a, b)."""
    weights = np.asarray(model.coef_)
    score = columns(z, a) @ weights[0, :2] + float(np.asarray(model.intercept_)[0])
    return (1 / (1 + np.exp(-(score[:, None] + weights[0, 2] * contexts)))).mean(1)


def from_z(z: Mapping[str, np.ndarray], rows: Mapping[str, Rows]) -> dict[str, dict[str, float]]:
    """Column → accuracy of the predictor on (z, A), and of the one averaged over B."""
    train = rows["train"]
    plain = LogisticRegression(C=1e6).fit(columns(z["train"], train["A"]), train["y"])
    joint = LogisticRegression(C=1e6).fit(columns(z["train"], train["A"], train["B"]), train["y"])
    found: dict[str, dict[str, float]] = {"z and a": {}, "averaged over x'": {}}
    for split in SPLITS:
        a, y, name = rows[split]["A"], rows[split]["y"], split.removeprefix("test-")
        found["z and a"][name] = accuracy(plain.predict_proba(columns(z[split], a))[:, 1], y)
        found["averaged over x'"][name] = accuracy(averaged(joint, z[split], a, train["B"][:DRAWS]), y)
    return found


def world(name: str, seed: int) -> tuple[dict[str, dict[str, float]], list[float]]:
    """Predictor → column → accuracy, and the weights of D and B in the best z."""
    data = imbalance(**{**knobs(name, seed), "rows": ROWS, "test_rows": ROWS // 2})
    rows = {split: rows_of(data, split) for split in ("train", *SPLITS)}
    seen = {split: columns(each["D"], each["B"], each["A"]) for split, each in rows.items()}
    plain = LogisticRegression(C=1e6).fit(seen["train"], rows["train"]["y"])
    align = LinearRegression().fit(seen["train"][:, :2], rows["train"]["A"])
    found: dict[str, dict[str, float]] = {"Bayes-do": {}, "Bayes-iid": {}, "all of x and a": {}}
    for split in SPLITS:
        each, column = rows[split], split.removeprefix("test-")
        for bayes in ("bayes-do", "bayes-iid"):
            found[bayes.capitalize()][column] = accuracy(each[bayes], each["y"])
        found["all of x and a"][column] = accuracy(plain.predict_proba(seen[split])[:, 1], each["y"])
    best = {split: align.predict(each[:, :2]) for split, each in seen.items()}
    true = {split: each["D"] for split, each in rows.items()}
    for label, z in (("z = E[A | x]", best), ("z = D", true)):
        found |= {f"{label}, {kind}": values for kind, values in from_z(z, rows).items()}
    return found, [float(weight) for weight in align.coef_ / np.abs(align.coef_[0])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=4)
    options = parser.parse_args()
    found = {}
    for name in LOOKED_AT:
        drawn = [world(name, 100 + seed) for seed in range(options.seeds)]
        found[name] = {
            "weights of z": [weights for _, weights in drawn],
            **{key: {c: [each[key][c] for each, _ in drawn] for c in drawn[0][0][key]} for key in drawn[0][0]},
        }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "ceilings.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
