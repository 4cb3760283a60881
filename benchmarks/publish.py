"""The published benchmark: build the stores, run every sweep of `benchmarks/tables/`, write the tables and the report page.

    python benchmarks/publish.py --corpora FOLDER [--out runs/tables] [--workers 2]

A second call does only what is missing. Writes `docs/benchmark-tables.md` and `docs/benchmark.html`. Without --corpora only
the synthetic sweep is run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE, DOCS, STORES = Path("benchmarks"), Path("docs"), Path("runs/stores")
"""Relative to the root of the repository: the report prints the paths it was given."""
SCENARIOS = {
    "synthetic": ["test-iid", "test-flip", "test-zero", "gaussian"],
    "mosi": ["test", "gaussian", "drop-frames"],
    "crema-d": ["test-iid", "test-ood", "gaussian"],
    "av-digits": ["test-iid", "test-ood", "gaussian"],
}
"""Sweep → columns of its tables; a scenario with severities is the area under its curve."""
BASELINES = {"mosi": "erm text"}
"""Sweep → method that the others are compared with, where it is not erm."""


def call(*words: str) -> str:
    """Run a command of this program, or stop with its error."""
    done = subprocess.run(
        [sys.executable, "-m", "deconfound.cli", *words], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=Path, help="holds mosi/, crema-d-votes/ and av-digits/")
    parser.add_argument("--out", type=Path, default=Path("runs/tables"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.corpora:
        options.corpora = options.corpora.resolve()
    os.chdir(Path(__file__).parents[1])
    sweeps = ["synthetic"]
    if options.corpora:
        build = [sys.executable, str(HERE / "data" / "build.py"), str(options.corpora), "--out", str(STORES)]
        subprocess.run(build, check=True)
        sweeps = list(SCENARIOS)
    text = [
        "# Tables of the benchmark",
        "",
        "Made by `make benchmark`; each table says its protocol, selection rule, seeds and test. "
        "[What they show](benchmarks.md), [all figures](benchmark.html).",
        "",
    ]
    for name in sweeps:
        folder = options.out / name
        spec = HERE / "tables" / f"{name}.toml"
        call("sweep", str(spec), "--out", str(folder), "--executor", "processes", "--workers", str(options.workers))
        words = [word for scenario in SCENARIOS[name] for word in ("--scenario", scenario)]
        words += ["--baseline", BASELINES.get(name, "erm")]
        text += [f"## {name}", "", call("table", str(folder), *words), ""]
        text += [f"### {name}: differences", "", call("table", str(folder), *words, "--show", "difference"), ""]
    (DOCS / "benchmark-tables.md").write_text("\n".join(text).rstrip() + "\n", encoding="utf-8")
    call("report", *[str(options.out / name) for name in sweeps], "--out", str(DOCS / "benchmark.html"))


if __name__ == "__main__":
    main()
