"""The page of the imbalance laboratory, from table.json and ceilings.json.

python benchmarks/imbalance/page.py --out runs/imbalance [--long runs/imbalance-long] [--page FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from grid import mean_sd, paired_interval
from scores import COLUMNS, ETAS
from worlds import WAYS, WORLDS

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
CONTROL, OURS = "predominant head", "imml robust"
LINEAR = ["canonical + logistic", "erm and canonical + logistic, half each"]
DIFFERENCES = (("iid", CONTROL), ("do", "erm"), ("do", CONTROL), ("flip", "erm"))
INTRODUCTION = """\
# The imbalance laboratory

What the methods do on [data with a hidden confounder](../imbalance.md) whose interventional truth is known. What it
means: [IMML: findings](imml.md). This page is made by a script from the kept predictions:

<!-- by hand: an hour and a half on two cores, resumable -->
```bash
python benchmarks/imbalance/run.py --out runs/imbalance
python benchmarks/imbalance/run.py --out runs/imbalance --worlds content-strong --ways
python benchmarks/imbalance/ceilings.py --out runs/imbalance
python benchmarks/imbalance/page.py --out runs/imbalance
```

Every seed (from 200, which no default was chosen on) draws its own mechanism, rows and weights. 3,000 training rows,
3,000 of each test split. All methods: 20 epochs of batches of 128 (60 epochs for 300 rows), learning rate 0.002,
AdamW, the weights of the last epoch. Nothing is tuned and no epoch is chosen: the best epoch in distribution is one
that leans on the shortcut. The training terms are flat over the last five epochs (`context`, 8 seeds: ERM 0.446 and
0.444, the alignment of `imml robust` 4.775 and 4.775). `imml`, `imml robust` and `predominant head` are told which
modality is predominant. `imml robust, by row` is the preset with `alignment = "instance"`. Most worlds have no
environments, so V-REx and `cmir-e` can join only in those that say so.

`iid`, `do`, `flip`: accuracy where the confounder holds, under do(x_p), and reversed. `absent`, `noisy`: accuracy in
distribution without the auxiliary modality and with noise of its own standard deviation. `nll do`: negative
log-likelihood under do(x_p). `context`: b / (\\|b\\| + \\|d\\|), where d and b are the weights of the content D and the
context B in a linear regression of the log-odds on the true (D, B, A) under do(x_p); 0 is right, below 0 the
prediction counts against the context. Means ± standard deviations over seeds; differences are paired over seeds with
95 % t-intervals, not corrected for their number. The Bayes predictors know the latents, without sensor noise.
`canonical + logistic` has no network: the first canonical variate of x_p and its squares with x_a, and a logistic
regression on it and x_a.
"""


def mean(rows: Sequence[Mapping[str, Any]], column: str) -> np.ndarray:
    """(seeds,) values of a column."""
    return np.array([row.get(column, float("nan")) for row in rows])


def difference(rows: Rows, name: str, other: str, column: str) -> str:
    """Paired interval, empty where a row is missing or compared with itself."""
    if other not in rows or name == other:
        return ""
    return paired_interval(mean(rows[name], column), mean(rows[other], column))


def line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def head(cells: Sequence[str]) -> list[str]:
    return [line(cells), "|" + "---|" * len(cells)]


def cell(values: np.ndarray) -> str:
    return "–" if np.isnan(values).any() else mean_sd(values)


def world_table(rows: Rows) -> list[str]:
    """All methods of one world."""
    lines = head(["method", *COLUMNS, *(f"{column} − {other}" for column, other in DIFFERENCES)])
    for name in (name for name in rows if not name.startswith("curve ")):
        differences = [difference(rows, name, other, column) for column, other in DIFFERENCES]
        lines.append(line([name, *(cell(mean(rows[name], column)) for column in COLUMNS), *differences]))
    return lines


def aims(tables: Mapping[str, Rows]) -> list[str]:
    """The two aims, for each prediction that intervenes."""
    names = [f"{OURS} [{answer}]" for answer in ("do", "z-only", "avg")] + LINEAR
    lines = head(
        ["world", "prediction", "do − Bayes-do (aim: −0.03)", "flip − erm (aim: +0.12)", "iid − erm: the price"]
    )
    for world, rows in tables.items():
        for name in names if world in WORLDS else ():
            found = [("do", "Bayes-do"), ("flip", "erm"), ("iid", "erm")]
            lines.append(line([world, name, *(difference(rows, name, other, column) for column, other in found)]))
    return lines


def union_table(rows: Rows) -> list[str]:
    """What compares environments, alone and with IMML inside, against each of the two parts."""
    shown, against = ("iid", "do", "flip", "nll do", "context"), ("erm", "cmir-e", f"{OURS} [do]")
    lines = head(["method", *shown, *(f"do − {other}" for other in against), "flip − cmir-e"])
    for name in (name for name in rows if not name.startswith("curve ")):
        differences = [difference(rows, name, other, "do") for other in against]
        differences.append(difference(rows, name, "cmir-e", "flip"))
        lines.append(line([name, *(cell(mean(rows[name], column)) for column in shown), *differences]))
    return lines


def curve_table(rows: Rows, name: str) -> list[str]:
    """Accuracy of (1 − η) task + η do."""
    curves = rows[f"curve {name}"]
    lines = head(["η", *(str(eta) for eta in ETAS)])
    for column in ("iid", "do", "flip", "valid"):
        lines.append(line([column, *(f"{value:.3f}" for value in np.mean([each[column] for each in curves], 0))]))
    chosen = [ETAS[int(np.argmin(each["nll valid"]))] for each in curves]
    picked = [each["do"][int(np.argmin(each["nll valid"]))] for each in curves]
    return [
        *lines,
        "",
        f"η with the lowest validation risk, by seed: {', '.join(map(str, chosen))}; accuracy under do(x_p) with it "
        f"{mean_sd(picked)}.",
    ]


def ways_table(rows: Rows) -> list[str]:
    """What else was tried, against ERM and the preset."""
    names = ["Bayes-do", "erm", *(f"{OURS} [{answer}]" for answer in ("do", "z-only", "avg")), *LINEAR]
    names += [f"{way} [{answer}]" for way in WAYS for answer in ("do", "z-only", "avg")]
    shown = ("iid", "do", "flip", "nll do", "context")
    lines = head(["way", *shown, "do − erm", "do − preset"])
    for name in (name for name in names if name in rows):
        against = [difference(rows, name, other, "do") for other in ("erm", f"{OURS} [do]")]
        lines.append(line([name, *(cell(mean(rows[name], column)) for column in shown), *against]))
    return lines


def ceilings_table(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """iid / do / flip of predictors from the true latents."""
    rows = [row for row in next(iter(found.values())) if row != "weights of z"]
    lines = head(["world", "E[A \\| x_p] ∝", *(row.replace("|", "\\|") for row in rows)])
    for world, each in found.items():
        d, b = np.mean(each["weights of z"], 0)
        cells = [" / ".join(f"{np.mean(each[row][column]):.3f}" for column in ("iid", "do", "flip")) for row in rows]
        lines.append(line([world, f"{d:.0f} D {b:+.2f} B".replace("-0.00", "+0.00"), *cells]))
    return lines


def long_table(long: Rows, short: Rows) -> list[str]:
    """Twice the steps against the laboratory's, on the seeds of both."""
    lines = head(["method", "iid", "do", "flip", "iid, twice the steps", "do", "flip"])
    for name in (
        name for name in long if name in short and not name.startswith(("curve", "Bayes")) and name not in LINEAR
    ):
        seeds = len(long[name])
        both = [mean(rows[name][:seeds], column) for rows in (short, long) for column in ("iid", "do", "flip")]
        lines.append(line([name, *(f"{values.mean():.3f}" for values in both)]))
    return lines


def _about(world: str) -> str:
    about = ", ".join(f"`{key} = {value!r}`" for key, value in WORLDS[world].items()) or "the defaults"
    return about.replace("'", '"')


def sections(tables: dict[str, Rows], ceilings: Mapping[str, Any], long: Rows | None) -> Iterator[str]:
    """The page, part by part."""
    several = {world: rows for world, rows in tables.items() if world in WORLDS and "cmir-e" in rows}
    worlds = {world: rows for world, rows in tables.items() if world in WORLDS and world not in several}
    yield "## The aims\n\n" + "\n".join(aims(worlds))
    for world, rows in worlds.items():
        yield f"## World: {world}\n\n{_about(world)}; {len(rows['Bayes-do'])} seeds.\n\n" + "\n".join(world_table(rows))
    for world, rows in several.items():
        yield f"## World: {world}\n\n{_about(world)}; {len(rows['Bayes-do'])} seeds.\n\n" + "\n".join(union_table(rows))
    yield "## The price: from plain fusion to the intervention\n\n`imml robust`, (1 − η) `task` + η `do`, accuracy."
    for world in [world for world in worlds if f"curve {OURS}" in worlds[world]]:
        yield f"**{world}**\n\n" + "\n".join(curve_table(worlds[world], OURS))
    for world in [world for world in tables if world.endswith(", ways")]:
        seeds = len(tables[world]["Bayes-do"])
        title = f"## Other settings: {world.removesuffix(', ways')}, {seeds} seeds"
        yield f"{title}\n\n" + "\n".join(ways_table(tables[world]))
    yield (
        "## What a perfect alignment would give\n\n"
        "Accuracy (iid / do / flip) of logistic regressions on the true latents, 20,000 rows, 4 seeds. z is what x_p says "
        "of x_a at best, E[A | D, B], or the content D itself; it is joined with A, "
        "and in the last of each pair also with the context of x_p, which is then averaged out.\n\n"
    ) + "\n".join(ceilings_table(ceilings))
    if long is not None:
        seeds = len(long["Bayes-do"])
        yield f"## Are 20 epochs enough?\n\nWorld `context`, {seeds} seeds.\n\n" + "\n".join(
            long_table(long, tables["context"])
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--long", type=Path)
    parser.add_argument("--page", type=Path, default=Path("docs/findings/imbalance-laboratory.md"))
    options = parser.parse_args()
    tables, ceilings = (json.loads((options.out / f"{name}.json").read_text()) for name in ("table", "ceilings"))
    long = json.loads((options.long / "table.json").read_text())["context"] if options.long else None
    parts = [INTRODUCTION.strip(), *sections(tables, ceilings, long)]
    options.page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(f"wrote {options.page}")


if __name__ == "__main__":
    main()
