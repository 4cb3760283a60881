"""Tables as data: headers and cells with their numbers in full beside the text that is shown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from deconfound.evaluation.records import WORST
from deconfound.results.sections import PRESENT, Row, Section
from deconfound.results.spread import Spread, spread
from deconfound.statistics.paired import corrected
from deconfound.statistics.student import LEVEL, Interval, paired_interval

ABSENT = "—"
UNDEFINED = "undefined"
WORST_GROUP = "Worst group"
MAX_GROUPS = 24
"""Groups of one split that a page lists; with more, only the worst ones."""


@dataclass(frozen=True)
class ValueCell:
    """One cell.

    Args:
        text: the mean, "undefined", or a dash where nothing was measured.
        value: the mean in full.
        sd: standard deviation in full.
        detail: the text after the mean: "± 0.01" or an interval.
        note: a remark below.
        mark: "best", "better", "worse" or "".
    """

    text: str
    value: float | None = None
    sd: float | None = None
    detail: str = ""
    note: str = ""
    mark: str = ""


@dataclass(frozen=True)
class ScenarioColumn:
    """A header: `group` spans neighbours of the same group, `note` stands below the title."""

    title: str
    group: str = ""
    note: str = ""


@dataclass(frozen=True)
class ResultLine:
    """A table row: `style` is the number of the row's colour and shape, None where it stands for no method."""

    label: str
    note: str
    style: int | None
    cells: tuple[ValueCell, ...]


@dataclass(frozen=True)
class ResultTable:
    """A caption, headers and lines, about one metric."""

    metric: str
    caption: str
    first: str
    columns: tuple[ScenarioColumn, ...]
    lines: tuple[ResultLine, ...]

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Neighbouring columns of one group, as (group, width)."""
        spans: list[tuple[str, int]] = []
        for column in self.columns:
            if spans and spans[-1][0] == column.group:
                spans[-1] = (column.group, spans[-1][1] + 1)
            else:
                spans.append((column.group, 1))
        return spans


def decimals(values: Iterable[float | None]) -> int:
    """Decimals for a table: 3 where the largest value lies in [0.1, 10), else four significant digits of it, 1 to 7."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    if largest == 0 or 0.1 <= largest < 10:
        return 3
    return min(7, max(1, 3 - math.floor(math.log10(largest))))


def number(value: float, digits: int) -> str:
    """Fixed decimals with a true minus sign; zero has none."""
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def duration(seconds: float) -> str:
    """42 s, 3 min 10 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def spread_cell(measured: Spread, digits: int, note: str = "") -> ValueCell:
    """mean ± sd; "undefined" where no value is defined, a dash where nothing was measured."""
    if measured.mean is None:
        return ValueCell(UNDEFINED if measured.total else ABSENT)
    if measured.defined < measured.total:
        note = " · ".join([f"{measured.defined} of {measured.total} seeds defined", *([note] if note else [])])
    detail = "" if measured.sd is None else f"± {number(measured.sd, digits)}"
    return ValueCell(number(measured.mean, digits), measured.mean, measured.sd, detail, note)


def results_table(section: Section, metric: str) -> ResultTable:
    """In distribution, each shifted split, gap, worst groups and other rows, one line per method."""
    columns, spreads = _columns(section, metric)
    digits = decimals(s.mean for line in spreads for s in line)
    gap = next((i for i, column in enumerate(columns) if column.group == "Gap"), -1)
    best = [_best(section, metric, [line[i] for line in spreads]) if i != gap else None for i in range(len(columns))]
    lines = []
    for number_, (row, line) in enumerate(zip(section.rows, spreads, strict=True)):
        cells = []
        for i, measured in enumerate(line):
            note = f"at {section.worst_split(row, metric)}" if i == gap and measured.mean is not None else ""
            if columns[i].group == WORST_GROUP and section.in_split:
                count = section.group_count(row, metric, section.in_split, _worst_name(columns[i]))
                note = count.note if count else ""
            cell = spread_cell(measured, digits, note)
            is_best = best[i] is not None and measured.mean == best[i] and measured.defined == measured.total
            cells.append(ValueCell(**{**vars(cell), "mark": "best"}) if is_best else cell)
        lines.append(ResultLine(row.label, row_note(section, row), number_, tuple(cells)))
    caption = f"{metric} ({section.better(metric)} is better), mean ± standard deviation over seeds"
    return ResultTable(metric, caption, "Method", tuple(columns), tuple(lines))


def row_note(section: Section, row: Row) -> str:
    """Seeds of a row, and its modalities where the rows of a section differ in them."""
    count = len(row.seeds)
    note = f"{count} seed{'s' * (count != 1)}"
    if len({r.runs[0].modalities for r in section.rows}) > 1:
        note += f" · {', '.join(row.runs[0].modalities)}"
    return note


def _columns(section: Section, metric: str) -> tuple[list[ScenarioColumn], list[list[Spread]]]:
    """Headers, and for each row the spread of each column."""
    rows = {split: n for row in section.rows for split, n in row.runs[0].splits.items()} if section.checksum else {}
    measured: list[tuple[ScenarioColumn, Sequence[Mapping[int, float | None]]]] = []

    def add(column: ScenarioColumn, split: str, group: str = "all", scenario: str | None = None) -> None:
        measured.append((column, [section.clean(row, metric, split, group, scenario) for row in section.rows]))

    ordered = ([section.in_split] if section.in_split else []) + list(section.out_splits)
    for split in ordered:
        kind = "In distribution" if split == section.in_split else "Out of distribution"
        add(ScenarioColumn(split, kind, f"{rows[split]} rows" if split in rows else ""), split)
    if section.in_split and section.out_splits:
        sign = "negative" if section.better(metric) == "higher" else "positive"
        gaps = [section.gap(row, metric) for row in section.rows]
        measured.append((ScenarioColumn("worst out − in", "Gap", f"{sign}: worse when shifted"), gaps))
    for group in section.groups(section.in_split) if section.in_split else []:
        if group.startswith(WORST):
            name = group.removeprefix(WORST).removesuffix(")")
            add(ScenarioColumn(f"by {name}", WORST_GROUP, f"of {section.in_split}"), section.in_split or "", group)
    for scenario, split in section.scenarios():
        if not scenario.startswith(PRESENT) and section.severities(scenario, split) == [0.0]:
            add(ScenarioColumn(scenario, "Other rows", f"of {split}"), split, scenario=scenario)
    columns = [column for column, _ in measured]
    return columns, [[spread(values[i].values()) for _, values in measured] for i in range(len(section.rows))]


def _worst_name(column: ScenarioColumn) -> str:
    return f"{WORST}{column.title.removeprefix('by ')})"


def _best(section: Section, metric: str, column: Sequence[Spread]) -> float | None:
    """The best mean over seeds that all define the metric: leaving the undefined ones out would reward a method."""
    means = [s.mean for s in column if s.mean is not None and s.defined == s.total]
    if len(column) < 2 or not means or len(set(means)) == 1:
        return None
    return max(means) if section.better(metric) == "higher" else min(means)


def paired_table(section: Section, metric: str) -> ResultTable | None:
    """Each method against the reference: paired differences over common seeds; None with a single method."""
    if len(section.rows) < 2:
        return None
    reference, higher = section.reference, section.better(metric) == "higher"
    columns = _columns(section, metric)[0]
    keep = [c for c in columns if c.group in ("In distribution", "Out of distribution", "Gap")]
    compared: list[list[Interval | None]] = []
    for row in section.rows[1:]:
        pairs = [
            (section.gap(row, metric), section.gap(reference, metric))
            if column.group == "Gap"
            else (section.clean(row, metric, column.title), section.clean(reference, metric, column.title))
            for column in keep
        ]
        compared.append([paired_interval(ours, theirs) for ours, theirs in pairs])
    digits = decimals(interval.mean for line in compared for interval in line if interval)
    standings = list(
        zip(*(_standings(list(column), higher=higher) for column in zip(*compared, strict=True)), strict=True)
    )
    lines = [
        ResultLine(row.label, "", style, tuple(_paired_cell(*cell, digits) for cell in zip(line, words, strict=True)))
        for style, (row, line, words) in enumerate(zip(section.rows[1:], compared, standings, strict=True), 1)
    ]
    caption = (
        f"{metric} ({section.better(metric)} is better): method − {reference.label}, paired over seeds, "
        "with the 95 % t-interval of the mean difference; better and worse at 5 % by Holm’s correction over the methods, "
        "untested where seeds are so equal that no test reaches it"
    )
    return ResultTable(metric, caption, "Method", tuple(ScenarioColumn(c.title, c.group) for c in keep), tuple(lines))


def _standings(column: Sequence[Interval | None], *, higher: bool) -> list[str]:
    """ "better", "worse", "unclear" or "untested" for each method, with Holm's correction over the methods."""
    adjusted = corrected([interval and interval.p for interval in column])
    count = sum(p is not None for p in adjusted)
    words = []
    for interval, p in zip(column, adjusted, strict=True):
        if interval is not None and p is not None and p <= 1 - LEVEL:
            words.append("better" if (interval.mean > 0) == higher else "worse")
        else:
            untested = interval is None or interval.least_p * count > 1 - LEVEL
            words.append("untested" if untested else "unclear")
    return words


def _paired_cell(interval: Interval | None, standing: str, digits: int) -> ValueCell:
    if interval is None:
        return ValueCell(ABSENT, note="no common seed")
    text = number(interval.mean, digits)
    text = f"+{text}" if interval.mean > 0 else text
    if interval.seeds == 1:
        return ValueCell(text, interval.mean, note="1 common seed, no interval")
    mark = standing if standing in ("better", "worse") else ""
    note = f"{standing} · {interval.seeds} "
    if interval.low is None or interval.high is None:
        return ValueCell(text, interval.mean, note=note + "equal seeds, no interval", mark=mark)
    detail = f"[{number(interval.low, digits)}, {number(interval.high, digits)}]"
    return ValueCell(text, interval.mean, None, detail, note + "seeds", mark)


def groups_table(section: Section, metric: str) -> ResultTable | None:
    """Every environment group of every test split; only the worst ones of splits with many groups."""
    measured_groups: list[tuple[str, str, list[Spread]]] = []
    for split in section.splits:
        groups = section.groups(split)
        shown = groups if len(groups) <= MAX_GROUPS else [g for g in groups if g.startswith(WORST)]
        for group in sorted(shown, key=lambda g: (not g.startswith(WORST), g)):
            measured = [spread(section.clean(row, metric, split, group).values()) for row in section.rows]
            measured_groups.append((split, group, measured))
    if not measured_groups:
        return None
    digits = decimals(s.mean for _, _, measured in measured_groups for s in measured)
    lines = [
        ResultLine(
            group,
            split,
            None,
            tuple(
                spread_cell(s, digits, count.note if (count := section.group_count(row, metric, split, group)) else "")
                for row, s in zip(section.rows, measured, strict=True)
            ),
        )
        for split, group, measured in measured_groups
    ]
    caption = f"{metric} ({section.better(metric)} is better) by group, mean ± standard deviation over seeds"
    return ResultTable(metric, caption, "Group", tuple(ScenarioColumn(row.label) for row in section.rows), tuple(lines))
