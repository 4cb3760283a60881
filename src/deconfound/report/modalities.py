"""Modalities against each other: which is right where two disagree, what they contribute during training, and which
input features a method depends on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from deconfound.errors import RunError
from deconfound.report.chart import Figure, declare
from deconfound.report.reliability import kept_predictions
from deconfound.results.run_result import RunResult, read_object, text_of
from deconfound.results.sections import PRESENT, Row, Section
from deconfound.statistics.predominance import Conflict, conflicts

CONTRIBUTION = "contribution/"
"""Prefix of the logged terms that hold the contribution of a modality."""
MASKED = "masked.json"
BLOCK = 22


def disagreement_figures(section: Section) -> list[Figure]:
    """One figure per split: how often each of two modalities alone is right where the two disagree.

    It uses the kept predictions with a single modality present; without them there is no figure.

    Raises:
        RunError: a file of predictions is damaged.
    """
    splits = dict.fromkeys(split for scenario, split in section.scenarios() if scenario.startswith(PRESENT))
    by_split = [(split, list(_disagreements(section, split))) for split in splits]
    return [_disagreement_figure(section, split, rows) for split, rows in by_split if rows]


def _disagreements(section: Section, split: str) -> Iterator[tuple[Any, ...]]:
    """(method, pair, outcome, share, rows, of, order) with all seeds of a method together."""
    word = "right" if section.protocol.kind == "classification" else "nearer"
    for row in section.rows:
        pooled: dict[tuple[str, str], list[Conflict]] = {}
        for conflict in _conflicts(section, row, split):
            pooled.setdefault((conflict.first, conflict.second), []).append(conflict)
        for (first, second), of_pair in pooled.items():
            count = sum(conflict.rows for conflict in of_pair)
            parts = {
                f"first {word}": sum(conflict.wins for conflict in of_pair),
                "neither": sum(conflict.neither for conflict in of_pair),
                f"second {word}": sum(conflict.losses for conflict in of_pair),
            }
            share = sum(conflict.share for conflict in of_pair) / len(of_pair)
            for order, (outcome, part) in enumerate(parts.items()):
                if count:
                    yield row.label, f"{first} – {second}", outcome, part / count, part, share, order


def _conflicts(section: Section, row: Row, split: str) -> Iterator[Conflict]:
    names = [modality.rpartition(" (")[0] for modality in row.runs[0].modalities]
    kind = section.protocol.kind
    if kind == "multilabel":  # which of two sets of labels is nearer to the row's depends on the measure
        return
    for run in row.runs:
        alone = {name: kept_predictions(run, f"{PRESENT}{name}") for name in names}
        known = {
            name: predictions
            for name, predictions in alone.items()
            if predictions is not None and predictions.split == split
        }
        if len(known) < 2:
            continue
        target = next(iter(known.values())).target
        outputs = {
            name: predictions.output[0, 0]
            for name, predictions in known.items()
            if len(predictions.target) == len(target)
        }
        pairs = set(combinations(outputs, 2))
        yield from (
            conflict for conflict in conflicts(outputs, target, kind) if (conflict.first, conflict.second) in pairs
        )


def _disagreement_figure(section: Section, split: str, rows: list[tuple[Any, ...]]) -> Figure:
    import altair as alt

    outcomes = list(dict.fromkeys(row[2] for row in rows))
    labels = [row.label for row in section.rows]
    axis = alt.Axis(labelLimit=190, domain=False, ticks=False)
    y = alt.Y("pair:N", sort=None, title=None, axis=axis, scale=alt.Scale(paddingInner=0.3))
    tint = alt.Color("outcome:N", title=None, sort=outcomes, scale=alt.Scale(domain=outcomes))
    numbers = [alt.Tooltip("share:Q", format=".1%"), "rows:Q", alt.Tooltip("disagree:Q", format=".1%")]
    bars = (
        alt.Chart(alt.NamedData("rows"))
        .mark_bar()
        .encode(
            y=y,
            yOffset=alt.YOffset("method:N", sort=labels),
            x=alt.X("share:Q", title=None, stack="zero", axis=alt.Axis(format="%", tickCount=5)),
            color=tint,
            order="order:Q",
            tooltip=["method:N", "pair:N", "outcome:N", *numbers],
        )
    )
    note = (
        f"Rows of {split} where the predictions from one modality alone differ, all seeds together; within a pair one bar per "
        "method, in the order of the tables."
    )
    if section.protocol.kind == "regression":
        note += " Two predictions differ if their distance exceeds half a standard deviation of the labels."
    columns = ("method", "pair", "outcome", "share", "rows", "disagree", "order")
    height = {"step": BLOCK, "for": "offset"}
    return Figure(
        "Who is right where two disagree", note, declare([bars], height), columns, rows, "outcome", follows=()
    )


def contribution_figures(section: Section) -> list[Figure]:
    """One figure per method that logs contributions: each modality's contribution by epoch, mean over seeds."""
    return [figure for row in section.rows if (figure := _contribution_figure(row)) is not None]


def _contribution_figure(row: Row) -> Figure | None:
    import altair as alt

    rows: list[tuple[Any, ...]] = []
    terms = dict.fromkeys(
        term for run in row.runs for split, term in run.curves if split == "train" and term.startswith(CONTRIBUTION)
    )
    for term in terms:
        pooled: dict[int, list[float]] = {}
        for run in row.runs:
            for epoch, value in run.curves.get(("train", term), {}).items():
                pooled.setdefault(epoch, []).append(value)
        name = term.removeprefix(CONTRIBUTION)
        rows += [(name, epoch, sum(values) / len(values), len(values)) for epoch, values in sorted(pooled.items())]
    if not rows:
        return None
    x = alt.X("epoch:Q", title="epoch", axis=alt.Axis(grid=False, tickMinStep=1, format="d", labelOverlap="greedy"))
    tint = alt.Color(
        "modality:N", title=None, sort=list(dict.fromkeys(r[0] for r in rows)), scale=alt.Scale(range="category")
    )
    line = (
        alt.Chart(alt.NamedData("rows"))
        .mark_line(strokeWidth=2)
        .encode(
            x=x,
            y=alt.Y("value:Q", title=None, axis=alt.Axis(tickCount=5)),
            color=tint,
            tooltip=["modality:N", "epoch:Q", alt.Tooltip("value:Q", format=".3~f"), alt.Tooltip("n:Q", title="seeds")],
        )
    )
    note = "Contribution of each modality to the validation score (Shapley value) at the start of the epoch; mean over seeds."
    columns = ("modality", "epoch", "value", "n")
    return Figure(
        f"{row.label}: contributions", note, declare([line], 170), columns, rows, follows=(), method=row.label
    )


def masked_figures(section: Section) -> list[Figure]:
    """One figure per method: the loss from masking each block of input features, of the first run that has measured it.

    Raises:
        RunError: such a file is damaged.
    """
    figures = []
    for row in section.rows:
        run = next((r for r in row.runs if not r.variant and (r.directory / MASKED).is_file()), None)
        figure = None if run is None else _masked_figure(row.label, run)
        figures += [figure] if figure else []
    return figures


def _masked_figure(label: str, run: RunResult) -> Figure | None:
    import altair as alt

    path = run.directory / MASKED
    masked = read_object(path, "run 'deconfound predominance RUN --mask'")
    try:
        if (masked["best_epoch"], masked["best_risk"]) != (run.best_epoch, run.best_risk):
            return None  # of other weights, from before a new training
        rows = [
            (text_of(name), block_number, f"{int(block['first'])} – {int(block['last'])}", float(block["loss"]))
            for name, blocks in masked["losses"].items()
            for block_number, block in enumerate(blocks)
        ]
        measure = text_of(masked["measure"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(
            f"{path} is damaged ({error}); remove it and run 'deconfound predominance --mask' again"
        ) from error
    widest = max((abs(row[3]) for row in rows), default=0.0) or 1.0
    shade = alt.Color("loss:Q", title=None, scale=alt.Scale(scheme="redblue", domain=[widest, -widest]))
    chart = alt.Chart(alt.NamedData("rows")).mark_rect()
    layer = chart.encode(
        x=alt.X("block:O", title="block of features", axis=alt.Axis(labels=False, ticks=False)),
        y=alt.Y("modality:N", sort=None, title=None),
        color=shade,
        tooltip=["modality:N", "features:N", alt.Tooltip("loss:Q", format=".4~f")],
    )
    note = (
        f"{measure} lost on validation rows where one block of input features is masked by its mean; seed {run.seed}."
    )
    columns = ("modality", "block", "features", "loss")
    height = 40 * max(1, len({row[0] for row in rows}))
    return Figure(f"{label}: masked features", note, declare([layer], height), columns, rows, follows=(), method=label)
