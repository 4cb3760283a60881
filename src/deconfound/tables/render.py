"""A `ComparisonTable` as Markdown, as LaTeX for booktabs, and as CSV in full precision."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from itertools import groupby
from typing import Literal

from deconfound.io.csv_text import csv_row_writer
from deconfound.results.collect_runs import ORACLE
from deconfound.statistics import smallest_p
from deconfound.tables.build import ComparisonTable
from deconfound.tables.compare_methods import ComparisonCell
from deconfound.tables.escape import escape_latex, escape_markdown
from deconfound.tables.fold_facts import fold_facts

Show = Literal["sd", "interval", "difference"]
_TESTS = {"t": "paired t-test", "permutation": "paired permutation test (sign flips)", "wilcoxon": "Wilcoxon's test"}
_CORRECTIONS = {"holm": "Holm", "benjamini-hochberg": "Benjamini–Hochberg", "bonferroni": "Bonferroni", "none": "no"}


def decimals(half: float | None, value: float) -> int:
    """Decimals that an uncertainty supports; negative ones stand left of the point.

    The uncertainty is given to two digits where its three leading digits are at most 354, else to one, and the value to
    the same place. Without an uncertainty the value has three digits. Source: Particle Data Group, Review, 5.3.

    Args:
        half: half the width of the interval of the mean.
    """
    if not half:
        return 2 - math.floor(math.log10(abs(value))) if value else 2
    place = math.floor(math.log10(half))
    return 1 - place if round(half / 10.0 ** (place - 2)) <= 354 else -place


def number(value: float, digits: int) -> str:
    """Rounded, with a true minus sign; zero has none."""
    text = f"{round(value, digits):.{max(0, digits)}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def cell_text(cell: ComparisonCell, show: Show = "sd") -> str:
    """mean ± sd, or with its interval; a dash where nothing was measured, "undefined" where no seed defines the metric.

    Args:
        show: "difference" gives method − baseline with its interval, and the mean where there is no such difference.
    """
    measured = cell.spread
    if measured.mean is None:
        return "undefined" if measured.total else "—"
    interval = cell.interval
    if show == "difference" and cell.difference is not None:
        interval = cell.difference
    mean = measured.mean if interval is None else interval.mean
    low, high = (None, None) if interval is None else (interval.low, interval.high)
    digits = decimals(None if high is None else high - mean, mean)
    text = number(mean, digits)
    if interval is not None and interval is cell.difference and mean > 0:
        text = f"+{text}"
    if show == "sd" and measured.sd is not None:
        text += f" ± {number(measured.sd, digits)}"
    if show != "sd" and low is not None and high is not None:
        text += f" [{number(low, digits)}, {number(high, digits)}]"
    if measured.defined < measured.total:
        text += f" ({measured.defined} of {measured.total} {cell.over})"
    if cell.groups is not None and cell.groups.note:
        text += f" [{cell.groups.note}]"
    return text


def signs(cell: ComparisonCell) -> str:
    """What stands behind a value: † not significantly worse than the best, ⁺ ⁻ against the baseline, ? not tested."""
    return {"tied": "†", "untested": "?"}.get(cell.mark, "") + {"better": "⁺", "worse": "⁻"}.get(cell.verdict, "")


def facts(table: ComparisonTable, show: Show = "sd") -> list[str]:
    """What a reader must know, as sentences: protocol, selection, seeds, digits, marks, tests, columns."""
    level = f"{100 * table.settings.level:g} %"
    return [
        f"Dataset {table.dataset}, protocol {table.protocol}; shares and target units.",
        *([f"Trained on other data: {', '.join(table.trained_on)}; all splits are tests."] if table.trained_on else []),
        *_selection(table.rules),
        *(fold_facts(table, show, level) if table.folds else _seed_facts(table, show, level)),
        *_tests(table),
        *dict.fromkeys(f"{column.note}." for column in table.columns if column.note),
    ]


def _seed_facts(table: ComparisonTable, show: Show, level: str) -> list[str]:
    """Which seeds, and what a cell is over."""
    seeds = {line.seeds for line in table.lines}
    return [
        f"Seeds: {', '.join(map(str, next(iter(seeds))))}." if len(seeds) == 1 else "Seeds differ between methods.",
        {
            "sd": f"Mean ± standard deviation over seeds, to the digits that the {level} interval of the mean supports.",
            "interval": f"Mean over seeds [{level} interval].",
            "difference": f"Method − {table.baseline or 'baseline'} over common seeds [{level} interval, not corrected for "
            "the number of methods]; the baseline: mean over seeds.",
        }[show],
    ]


def _selection(rules: Sequence[tuple[str, str]]) -> list[str]:
    sentences = []
    for rule, budget in rules:
        among = f"; {budget}" if budget else ""
        if rule == ORACLE:
            sentences.append(
                f"Selection: ORACLE, made on test rows{among}; it bounds what selection could gain and is no result."
            )
        elif rule:
            sentences.append(f"Selection: {rule}, on validation rows alone{among}.")
    if ("", "") in rules:
        sentences.append("Selection: runs as given; the epoch of each by its validation risk.")
    return sentences


def _tests(table: ComparisonTable) -> list[str]:
    cells = [cell for line in table.lines for cell in line.cells]
    if len(table.lines) < 2:
        return ["One method: nothing is compared."]
    tested = [cell for cell in cells if cell.p_best is not None]
    if not tested:
        return ["Bold: best mean. Nothing is tested: that takes two or more common seeds."]
    level, alpha = f"{100 * table.settings.level:g} %", f"α = {1 - table.settings.level:.3g}"
    sentences = [
        f"Test: {_TESTS[table.settings.test]} over {_unit(table)}, two-sided, {alpha}.",
        "Bold: best mean. †: not significantly worse than the best (Bonferroni over the methods): in each column the bold "
        f"and † methods hold the truly best one with {level} confidence.",
    ]
    if table.baseline is None:
        sentences.append("Baseline: none.")
    else:
        how = _CORRECTIONS[table.settings.correction]
        sentences.append(
            f"⁺, ⁻: significantly better, worse than the baseline {table.baseline} ({how} correction over the methods)."
        )
    if any(cell.mark == "untested" for cell in cells):
        sentences.append(
            "?: not tested; fewer than two seeds in common with the best, or seeds so few or equal that the smallest "
            "p-value they can have is above the level."
        )
    return sentences + _powerless(table)


def _unit(table: ComparisonTable) -> str:
    if table.folds:
        return "folds, one value for each"
    if table.settings.test != "t":
        return "seeds, the rows as given"
    units = [unit for unit in dict.fromkeys(table.units) if unit]
    reasons = [reason for reason in dict.fromkeys(table.reasons) if reason]
    if not units:
        return f"seeds alone ({', '.join(reasons)})"
    alone = f"; over seeds alone where {', '.join(reasons)}" if reasons else ""
    return f"seeds and {' or '.join(units)}{alone}"


def _powerless(table: ComparisonTable) -> list[str]:
    """A warning where an exact test of so few seeds can find nothing."""
    if table.settings.test == "t":
        return []
    seeds = len(table.folds) or max(len(line.seeds) for line in table.lines)
    methods, least, what = len(table.lines), smallest_p(seeds), "folds" if table.folds else "seeds"
    if least * (methods - 1) <= 1 - table.settings.level:
        return []
    return [
        f"With {seeds} {what} this test gives p ≥ {least:.3g} before the correction and can find nothing among {methods} "
        f"methods; take more {what} or the t-test."
    ]


def _heading(table: ComparisonTable, number_: int) -> str:
    column = table.columns[number_]
    return f"{column.title} {'↑' if column.measure.higher_is_better else '↓'}"


def to_markdown(table: ComparisonTable, show: Show = "sd") -> str:
    """A pipe table and below it what a reader must know."""
    heads = ["Method", "Seeds", *(_heading(table, number_) for number_ in range(len(table.columns)))]
    rows = ["| " + " | ".join(map(escape_markdown, heads)) + " |", "|---|--:" + "|--:" * len(table.columns) + "|"]
    for line in table.lines:
        cells = [
            (f"**{text}**" if cell.mark == "best" else text)
            + (f" {escape_markdown(signs(cell))}" if signs(cell) else "")
            for cell in line.cells
            for text in [escape_markdown(cell_text(cell, show))]
        ]
        rows.append("| " + " | ".join([escape_markdown(line.label), str(len(line.seeds)), *cells]) + " |")
    return "\n".join(rows) + "\n\n" + escape_markdown(" ".join(facts(table, show))) + "\n"


def to_latex(table: ComparisonTable, show: Show = "sd") -> str:
    """A `table` environment; needs \\usepackage{booktabs}."""
    groups = [
        (metric, len(list(columns))) for metric, columns in groupby(table.columns, key=lambda column: column.metric)
    ]
    arrows = {c.metric: r"$\uparrow$" if c.measure.higher_is_better else r"$\downarrow$" for c in table.columns}
    spans, rules, column_number = [], [], 3
    for metric, width in groups:
        spans.append(rf"\multicolumn{{{width}}}{{c}}{{{escape_latex(metric)} {arrows[metric]}}}")
        rules.append(rf"\cmidrule(lr){{{column_number}-{column_number + width - 1}}}")
        column_number += width
    titles = [f"{c.scenario}" + ("" if c.group == "all" else f" {c.group}") for c in table.columns]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(' '.join(facts(table, show)))}}}",
        rf"\begin{{tabular}}{{lr{'r' * len(table.columns)}}}",
        r"\toprule",
        " & ".join(["", "", *spans]) + r" \\",
        " ".join(rules),
        " & ".join(["Method", "Seeds", *map(escape_latex, titles)]) + r" \\",
        r"\midrule",
    ]
    for line in table.lines:
        cells = []
        for cell in line.cells:
            text = escape_latex(cell_text(cell, show))
            cells.append((rf"\textbf{{{text}}}" if cell.mark == "best" else text) + escape_latex(signs(cell)))
        lines.append(" & ".join([escape_latex(line.label), str(len(line.seeds)), *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def to_csv(table: ComparisonTable, *, raw: bool = False) -> str:
    """One line per method and column, nothing rounded, nothing in percent; an empty field is undefined or not tested.

    Args:
        raw: write names as they are; else a spreadsheet computes none of them, see `deconfound.io.csv_text.defuse`.
    """
    text = io.StringIO()
    records = [record for line in table.lines for record in _records(table, line.label)]
    write_row = csv_row_writer(text, raw=raw)
    for row in (records[0], *(record.values() for record in records)):
        write_row(row)
    return text.getvalue()


def _records(table: ComparisonTable, label: str) -> list[dict[str, object]]:
    line = next(line for line in table.lines if line.label == label)
    return [
        {
            "dataset": table.dataset,
            "checksum": table.checksum,
            "trained_on": "; ".join(table.trained_on) or table.dataset,
            "protocol": table.protocol,
            "selection": "; ".join(rule or "as given" for rule, _ in table.rules),
            "budget": "; ".join(budget for _, budget in table.rules),
            "method": line.label,
            "folds": len(table.folds) or None,
            "seeds": " ".join(map(str, line.seeds)),
            "metric": column.metric,
            "higher_is_better": column.measure.higher_is_better,
            "scenario": column.scenario,
            "split": column.split,
            "group": column.group,
            "rows": table.rows[number_] or None,
            **_numbers(cell),
            "level": table.settings.level,
            "unit": None if cell.interval is None else "folds" if cell.over == "folds" else cell.interval.unit,
            "resampled": table.units[number_] or "nothing",
            "baseline": table.baseline,
            "test": table.settings.test,
            "correction": table.settings.correction,
            "mark": cell.mark,
            "against_baseline": "untested" if cell.baseline_untested else cell.verdict,
        }
        for number_, (column, cell) in enumerate(zip(table.columns, line.cells, strict=True))
    ]


def _numbers(cell: ComparisonCell) -> dict[str, float | int | None]:
    interval, difference = cell.interval, cell.difference
    return {
        "groups": cell.groups and cell.groups.groups,
        "undefined_groups": cell.groups and cell.groups.undefined,
        "mean": cell.spread.mean,
        "sd": cell.spread.sd,
        "defined_seeds": cell.spread.defined,
        "low": interval and interval.low,
        "high": interval and interval.high,
        "difference": difference and difference.mean,
        "difference_low": difference and difference.low,
        "difference_high": difference and difference.high,
        "p": cell.p_baseline,
        "p_corrected": cell.p_baseline_corrected,
        "p_best": cell.p_best,
    }
