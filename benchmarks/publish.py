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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from folds import fold_table
from overview import main_table

from deconfound.sweeps.spec import SweepSpec

HERE, DOCS, STORES = Path("benchmarks"), Path("docs"), Path("runs/stores")
"""Relative to the root of the repository: the report prints the paths it was given."""


@dataclass(frozen=True)
class Published:
    """What is published of a sweep.

    Args:
        scenarios: columns of its tables; a scenario with severities is the area under its curve.
        baselines: methods that all are compared with, one table of differences each.
        worst: group and scenarios of a further table, "" for none.
        folds: scenarios of tables over the datasets, each of which leaves something out, instead of all others.
    """

    scenarios: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ("erm",)
    worst: str = ""
    worst_scenarios: tuple[str, ...] = ()
    folds: tuple[str, ...] = ()


SWEEPS = {
    "synthetic": Published(
        ("test-iid", "test-flip", "test-zero", "gaussian"),
        worst="worst(environment)",
        worst_scenarios=("test-iid", "test-flip"),
    ),
    "mosi": Published(
        ("test", "gaussian", "drop-frames"), ("erm, text alone", "erm"), worst="worst(video)", worst_scenarios=("test",)
    ),
    "crema-d": Published(
        ("test-iid", "test-ood", "gaussian"), worst="worst(sex)", worst_scenarios=("test-iid", "test-ood")
    ),
    "av-digits": Published(folds=("test-ood", "test-iid")),
}
"""In the order of the page."""
INTERVENING = ("imml", "imml-robust")
"""Methods whose other predictions get a table."""
PAGE_METHODS = (
    *("erm", "erm, text alone", "erm + noise", "erm + vrex", "cmir", "cmir-e", "imml", "imml-robust"),
    *("predominant-head", "qmf"),
)
PAGE_DATASETS = {
    "synthetic": ("private causes", "shared causes"),
    "mosi": ("mosi",),
    "crema-d": ("crema-d-votes-levels",),
    "av-digits": ("av-digits-shift-george",),
}
"""What the report page shows: with all methods of all datasets it would be many times as large."""
INTRODUCTION = """# Tables of the benchmark

Made by `make benchmark`; each table says its protocol, selection rule, budget, seeds and test.
[What they show](benchmarks.md), [figures of the main methods](benchmark.html).
"""
MAIN = """## Main table

Of erm the mean, of the others the difference from it, with 95 % intervals over seeds and test rows (of the digits: over
speakers). ⁺, ⁻: significantly better, worse than erm (Holm correction over the methods of a column).
"""


def call(*words: str) -> str:
    """Run a command of this program, or stop with its error."""
    done = subprocess.run(
        [sys.executable, "-m", "deconfound.cli", *words], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def options_of(name: str, values: Sequence[str]) -> list[str]:
    """An option once for each value."""
    return [word for value in values for word in (name, value)]


def tables(name: str, folder: Path, methods: tuple[str, ...]) -> list[str]:
    """All tables of a sweep, as Markdown.

    Args:
        methods: labels of the sweep; the other predictions of a model have their own table.
    """
    shown = SWEEPS[name]
    others = [each for method in INTERVENING for each in (method, *(f"{method} [{v}]" for v in variants(method)))]
    if shown.folds:
        text = [f"## {name}", ""]
        for scenario in shown.folds:
            text += [f"### {name}: {scenario}", "", fold_table(folder, scenario, "accuracy", methods), ""]
        made = fold_table(folder, shown.folds[0], "accuracy", ["erm", *others])
        return [*text, f"### {name}: the predictions of one model", "", made, ""]
    own, columns = options_of("--method", methods), options_of("--scenario", shown.scenarios)
    first = ["--baseline", shown.baselines[0]]
    text = [f"## {name}", "", call("table", str(folder), *own, *columns, *first), ""]
    for baseline in shown.baselines:
        made = call("table", str(folder), *own, *columns, "--baseline", baseline, "--show", "difference")
        text += [f"### {name}: differences from {baseline}", "", made, ""]
    if shown.worst:
        groups = [*options_of("--scenario", shown.worst_scenarios), "--group", shown.worst]
        text += [f"### {name}: worst group", "", call("table", str(folder), *own, *groups, *first), ""]
    asked = options_of("--method", (shown.baselines[0], *others))
    made = call("table", str(folder), *asked, *columns, *first, "--show", "difference")
    return [*text, f"### {name}: the predictions of one model", "", made, ""]


def variants(method: str) -> tuple[str, ...]:
    """Names of the predictions beside a method's own."""
    own = {"imml": "task", "imml-robust": "do"}[method]
    return tuple(name for name in ("task", "do", "avg", "z-only") if name != own)


def publish(names: list[str], out: Path, workers: int) -> None:
    """Run the sweeps, write their tables and the page."""
    text, methods = [INTRODUCTION], {}
    for name in names:
        folder, spec = out / name, HERE / "tables" / f"{name}.toml"
        call("sweep", str(spec), "--out", str(folder), "--executor", "processes", "--workers", str(workers))
        methods[name] = tuple(method.title for method in SweepSpec.read(spec).method)
        text += tables(name, folder, methods[name])
    text.insert(1, f"{MAIN}\n{main_table(out, list(methods.items()))}\n")
    (DOCS / "benchmark-tables.md").write_text("\n".join(text).rstrip() + "\n", encoding="utf-8")
    shown = [label for label in PAGE_METHODS if any(label in labels for labels in methods.values())]
    words = [
        *options_of("--method", shown),
        *options_of("--dataset", [d for name in names for d in PAGE_DATASETS[name]]),
    ]
    call("report", *[str(out / name) for name in names], *words, "--out", str(DOCS / "benchmark.html"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=Path, help="holds mosi/, crema-d-votes/ and av-digits/")
    parser.add_argument("--sweep", choices=SWEEPS, action="append", help="one of them; may be given several times")
    parser.add_argument("--out", type=Path, default=Path("runs/tables"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.corpora:
        options.corpora = options.corpora.resolve()
    os.chdir(Path(__file__).parents[1])
    if options.corpora:
        build = [sys.executable, str(HERE / "data" / "build.py"), str(options.corpora), "--out", str(STORES)]
        subprocess.run(build, check=True)
    names = options.sweep or (list(SWEEPS) if options.corpora else ["synthetic"])
    publish(names, options.out, options.workers)


if __name__ == "__main__":
    main()
