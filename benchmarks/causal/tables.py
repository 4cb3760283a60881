"""Markdown tables and figures of the causal laboratory, from results.csv and claims.csv.

    python benchmarks/causal/tables.py --out runs/causal

Writes docs/findings/causal-laboratory.md and the figures that it shows.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
from claims import CLAIMS
from contenders import CONTENDERS, ENCODED, label
from scipy import stats
from worlds import EXTRA, TUNED_ON, WORLDS

DOCS = Path(__file__).parents[2] / "docs" / "findings"
ERRORS = {
    "test-iid": "in distribution",
    "test-flip": "every ρ = −0.9",
    "test-zero": "ρ = 0",
    "test-iid worst": "worst training environment",
    "noise": "sensor noise of one standard deviation",
    "drop": "one modality missing, mean over the three",
}
PROBES = (
    "On rows with ρ = 0: R² of causes and shortcuts from each part by a kernel probe (linear probe); MCC, the mean "
    "correlation of matched dimensions of Z_inv and causes; disentanglement, completeness and informativeness of all "
    "dimensions about all latents."
)
PARTS = ("C|inv", "S|inv", "C|spu", "S|spu")


def mean_sd(values: pd.Series) -> str:
    """ "0.226 ± 0.004", the standard deviation over seeds."""
    return f"{values.mean():.3f} ± {values.std(ddof=1):.3f}" if len(values) > 1 else f"{values.mean():.3f}"


def table(rows: pd.DataFrame, column: str, worlds: Sequence[str], lower: bool = True) -> list[str]:
    """Methods × worlds; the best mean is bold, and so is what does not differ from it by a paired t-test at 5 %."""
    methods = list(dict.fromkeys(rows.method))
    lines = ["| method | " + " | ".join(worlds) + " |", "|---" * (len(worlds) + 1) + "|"]
    best = {world: _best(rows[rows.world == world], column, lower) for world in worlds}
    for method in methods:
        cells = [method]
        for world in worlds:
            values = rows[(rows.world == world) & (rows.method == method)][column]
            text = mean_sd(values) if len(values) else "–"
            cells.append(f"**{text}**" if method in best[world] else text)
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _best(rows: pd.DataFrame, column: str, lower: bool) -> set[str]:
    seeds = rows[rows.method != "oracle"].pivot_table(index="seed", columns="method", values=column)
    if seeds.empty:
        return set()
    leader = seeds.mean().idxmin() if lower else seeds.mean().idxmax()
    found = {leader}
    for method in seeds.columns.drop(leader):
        both = seeds[[leader, method]].dropna()
        if len(both) > 1 and stats.ttest_rel(both[leader], both[method]).pvalue > 0.05:
            found.add(method)
    return found


def against(rows: pd.DataFrame, column: str, worlds: Sequence[str], baseline: str) -> list[str]:
    """Mean paired difference from a baseline with its 95 % t-interval over seeds."""
    methods = [m for m in dict.fromkeys(rows.method) if m not in (baseline, "oracle")]
    lines = ["| method | " + " | ".join(worlds) + " |", "|---" * (len(worlds) + 1) + "|"]
    for method in methods:
        cells = [method]
        for world in worlds:
            seeds = rows[rows.world == world].pivot_table(index="seed", columns="method", values=column)
            if method not in seeds or baseline not in seeds:
                cells.append("–")
                continue
            gap = (seeds[method] - seeds[baseline]).dropna()
            low, high = stats.ttest_1samp(gap, 0).confidence_interval(0.95) if len(gap) > 1 else (np.nan, np.nan)
            cells.append(f"{gap.mean():+.3f} [{low:+.3f}, {high:+.3f}]")
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def ratios(rows: pd.DataFrame, worlds: Sequence[str]) -> list[str]:
    """Flipped error over that of ERM and over that of the oracle, ratio of means."""
    flip = rows.pivot_table(index="method", columns="world", values="test-flip")
    flip = flip.reindex(list(dict.fromkeys(rows.method)))
    lines = ["| method | " + " | ".join(worlds) + " |", "|---" * (len(worlds) + 1) + "|"]
    for method in flip.index.drop("oracle"):
        cells = [f"{flip[w][method] / flip[w]['erm']:.2f} / {flip[w][method] / flip[w]['oracle']:.2f}" for w in worlds]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def recovered(rows: pd.DataFrame, world: str) -> list[str]:
    """R² of causes and shortcuts from each part, kernel probe (linear probe); MCC of Z_inv and C; DCI of both parts."""
    scores = [name for name in ("MCC", "D", "C", "I") if name in rows]
    titles = [*(f"R² of {factor} in Z_{part}" for factor, part in (name.split("|") for name in PARTS)), *scores]
    lines = ["| method | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    here = rows[rows.world == world].drop(columns=["world"]).groupby("method", sort=False).mean(numeric_only=True)
    for method in here.index.drop("oracle", errors="ignore"):
        cells = []
        for part in PARTS:
            value = here.get(f"R2 kernel {part}", pd.Series(dtype=float)).get(method, np.nan)
            linear = here.get(f"R2 linear {part}", pd.Series(dtype=float)).get(method, np.nan)
            cells.append("–" if pd.isna(value) else f"{value:.2f} ({linear:.2f})")
        cells += [f"{here[name][method]:.2f}" for name in scores]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def chosen(out: Path, rule: str) -> list[str]:
    """What a rule chose: the drawn arguments, with the flipped error of the tuning world."""
    folder = out / f"tune-{rule}"
    if not (folder / "selection.json").is_file():
        return []
    plan = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    names = {each["id"]: each for each in plan["jobs"]}
    lines = ["| family | method | chosen | flipped error there |", "|---|---|---|---|"]
    for each in json.loads((folder / "selection.json").read_text(encoding="utf-8"))["chosen"]:
        run = folder / "runs" / each["runs"][0]
        records = [json.loads(line) for line in (run / "records.jsonl").read_text(encoding="utf-8").splitlines()]
        error = next(r["value"] for r in records if r["scenario"] == "test-flip" and r["metric"] == "mse")
        key = names.get(each["runs"][0], {}).get("key", each.get("key", ""))
        lines.append(f"| {each['dataset']} | {each['method']} | {key} | {error:.3f} |")
    return [*lines, ""]


def flips(rows: pd.DataFrame, worlds: Sequence[str], path: Path) -> None:
    """Flipped error per world and method with the standard deviation over seeds."""
    kept = rows[rows.world.isin(worlds)][["world", "method", "test-flip"]].rename(columns={"test-flip": "error"})
    order = list(dict.fromkeys(rows.method))
    base = alt.Chart(kept).encode(y=alt.Y("method:N", sort=order, title=None))
    points = base.mark_point(filled=True, size=40).encode(x=alt.X("mean(error):Q", title="MSE at ρ = −0.9"))
    spread = base.mark_errorbar(extent="stdev").encode(x=alt.X("error:Q", title="MSE at ρ = −0.9"))
    chart = (
        (spread + points).properties(width=170, height=240).facet(alt.Facet("world:N", sort=list(worlds)), columns=4)
    )
    chart.save(path)


SECTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "mirror": ("One environment cannot tell (T4)", ("test-iid", "test-flip", "test-mirror")),
    "mirror with environments": ("Environments tell them apart (T2)", ("test-iid", "test-flip", "test-mirror")),
    "amplitude": ("Isotropic noise charges what is small in the input (P5)", ("test-iid", "test-flip", "noise")),
    "environments": ("Number and diversity of environments", ("test-iid", "test-flip")),
    "wrong environments": ("Wrong and random environments", ("test-iid", "test-flip")),
    "alignment": ("Alignment is right for shared causes only", ("test-iid", "test-flip")),
    "ablation": ("The published method, part by part", ("test-iid", "test-flip", "noise")),
    "ablation of cmir-e": ("cmir-e, part by part", ("test-iid", "test-flip", "noise")),
}


def claims(rows: pd.DataFrame) -> list[str]:
    """One section per claim: errors, and for ablations what the parts hold."""
    lines: list[str] = []
    for claim, (title, columns) in SECTIONS.items():
        here = rows[rows.claim == claim]
        if here.empty:
            continue
        worlds, order = list(CLAIMS[claim][0]), [label(each) for each in CLAIMS[claim][1]]
        here = here.sort_values("method", key=lambda names, order=order: names.map(order.index), kind="stable")
        lines += [f"## {title}", ""]
        for column in columns:
            lines += [f"`{column}`, MSE, {here.seed.nunique()} seeds", "", *table(here, column, worlds)]
        if claim.startswith("ablation"):
            lines += [PROBES, "", *recovered(here, worlds[0])]
    return lines


def page(out: Path) -> list[str]:
    rows = pd.read_csv(out / "results.csv")
    order = ["oracle", *map(label, CONTENDERS), label(ENCODED)]
    rows = rows.sort_values("method", key=lambda names: names.map(order.index), kind="stable")
    worlds = [w for w in WORLDS if w in set(rows.world)]
    seeds = rows[rows.world.isin(worlds)].groupby("world").seed.nunique().min()
    lines = [
        "# The causal laboratory",
        "",
        f"Made by `python benchmarks/causal/lab.py`, `claims.py` and `tables.py`. Mean squared error, mean ± standard "
        f"deviation over {seeds} seeds; each seed draws another mechanism, other rows and other weights. Hyper-parameters: "
        f"equal numbers of draws, chosen by the worst left-out environment on {' and '.join(TUNED_ON.values())} with data of "
        "their own. Bold: the best mean and what a paired t-test at 5 % does not tell from it.",
        "",
        "![Flipped error](causal-laboratory.svg)",
        "",
    ]
    flips(rows, worlds, DOCS / "causal-laboratory.svg")
    for column, title in ERRORS.items():
        if column in rows:
            lines += [f"## Error: {title}", "", *table(rows, column, worlds)]
    lines += ["## Flipped error relative to ERM / to the oracle", "", *ratios(rows, worlds)]
    lines += ["## Flipped error minus that of ERM, paired", "", *against(rows, "test-flip", worlds, "erm")]
    for world in [w for w in ("A", "B one") if w in worlds]:
        lines += [f"## What the parts hold in world {world}", "", PROBES, "", *recovered(rows, world)]
    extra = [w for w in EXTRA if w in set(rows.world)]
    for world in extra:
        lower = "classes" not in world
        here = rows[rows.world == world].assign(world="value")
        title = f"## {world}: {'MSE' if lower else 'accuracy'}, {here.seed.nunique()} seeds"
        lines += [title, "", "Hyper-parameters are those of world A, also where the risk has another scale.", ""]
        for column in ("test-iid", "test-flip", "noise"):
            lines += [f"`{column}`", "", *table(here, column, ["value"], lower)]
    for rule in ("worst-left-out-environment", "leave-one-environment-out", "valid"):
        found = chosen(out, rule)
        lines += [f"## Chosen by {rule}", "", *found] if found else []
    if (out / "claims" / "claims.csv").is_file():
        lines += claims(pd.read_csv(out / "claims" / "claims.csv"))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/causal"))
    options = parser.parse_args()
    DOCS.mkdir(exist_ok=True)
    text = "\n".join(page(options.out)).rstrip() + "\n"
    (DOCS / "causal-laboratory.md").write_text(text, encoding="utf-8")
    print(f"wrote {DOCS / 'causal-laboratory.md'}")


if __name__ == "__main__":
    main()
