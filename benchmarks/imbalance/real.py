"""IMML, its control and the baselines of imbalance on real data: runs the sweeps of `real/`, writes their tables.

    python benchmarks/imbalance/real.py --out runs/imbalance-real [--workers 2]

Needs the stores that `benchmarks/data/build.py` makes under runs/stores. A second call does only what is missing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from folds import fold_table

HERE = Path(__file__).parent
PAGE = Path("docs/findings/imbalance-real.md")
BASELINES = {"mosi": ("erm", "erm, text alone"), "crema-d": ("erm",), "av-digits": ("erm",)}
INTRODUCTION = """# IMML on real data

Made by `python benchmarks/imbalance/real.py`. One configuration, the default of every argument; epochs by validation. MOSI and
CREMA-D: ten seeds. AV digits: six speakers left out in turn with two seeds each, and a random split. What it says:
[findings](imml.md#real-data).
"""


def call(*words: str) -> str:
    """What a command of this program prints; its error stops this script."""
    command = [sys.executable, "-W", "ignore", "-m", "deconfound.cli", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def table(folder: Path, name: str, baseline: str, show: str) -> str:
    """One table per dataset of a sweep."""
    part = ["--dataset", "av-digits-random"] if name == "av-digits" else []
    return call("table", str(folder), "--baseline", baseline, "--show", show, *part)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/imbalance-real"))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    text = [INTRODUCTION]
    for name, baselines in BASELINES.items():
        folder = options.out / name
        spec = str(HERE / "real" / f"{name}.toml")
        call("sweep", "run", spec, "--out", str(folder), "--executor", "processes", "--workers", str(options.workers))
        text += [f"## {name}", "", table(folder, name, "erm", "sd")]
        for baseline in baselines:
            text += [f"### {name}: differences from {baseline}", "", table(folder, name, baseline, "difference")]
        if name == "av-digits":
            text += ["### Speakers left out", "", fold_table(folder, "test-ood", "accuracy", ())]
    PAGE.write_text("\n".join(text).rstrip() + "\n", encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
