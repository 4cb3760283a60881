"""Loss curves that a change must not move unless it means to.

After a change that is meant to: python tests/golden/test_golden.py
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from deconfound.runs.csv_log import read_log
from support.small import FAST, small_run

CURVES = Path(__file__).with_name("curves.json")
SPECS: dict[str, dict[str, Any]] = {
    "erm": {"method": "erm"},
    "cmir": {"method": "cmir"},
    "cmir pair both": {"method": {"name": "cmir", "environments": 5, "predict_on": "both", "decorrelate": "xcov"}},
    "cmir-e": {"method": "cmir-e", "data": {"synthetic": {"rows": 200}}},
    "imml": {"method": {"name": "imml", "warmup": 1, "predict": "auto"}},
    "penalties": {"method": {"name": "erm", "penalties": {"vrex": {}, "moments": {}}, "augmentations": {"noise": {}}}},
    "erm sequences": {
        "method": "erm",
        "data": {"synthetic": {"rows": 64, "steps": 4, "task": "classification"}},
        "backbone": {"hidden": 8, "fusion": "gated", "encoders": {"m1": "gru", "m2": "transformer", "m3": "pool"}},
    },
}


def curves(name: str, out: Path) -> dict[str, list[float]]:
    run = small_run(out, train={**FAST, "epochs": 4}, **SPECS[name])
    series: dict[str, list[float]] = {}
    for row in read_log(run.path / "log.csv"):
        series.setdefault(f"{row['split']}/{row['term']}", []).append(row["value"])
    return series


@pytest.mark.parametrize("name", SPECS)
def test_the_curves_are_the_same_as_ever(name, tmp_path):
    golden = json.loads(CURVES.read_text())[name]
    measured = curves(name, tmp_path / "run")
    assert measured.keys() == golden.keys()
    for term, values in golden.items():
        assert measured[term] == pytest.approx(values, rel=1e-4, abs=1e-6), term


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        CURVES.write_text(json.dumps({name: curves(name, Path(folder) / name) for name in SPECS}, indent=1) + "\n")
