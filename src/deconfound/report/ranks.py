"""Mean ranks of methods: over the metrics of one dataset, and over datasets with Nemenyi's critical difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deconfound.report.chart import SHAPES, Figure, base_chart, declare, labels_of
from deconfound.results.sections import Section
from deconfound.results.spread import mean_or_none
from deconfound.statistics import critical_difference, ranks

INSIDE, OUTSIDE = "in distribution", "out of distribution"
FEW = 10
"""Datasets below which Nemenyi's test has little power."""


def rank_blocks(section: Section, labels: Sequence[str]) -> dict[str, list[list[float]]]:
    """Where → one list of ranks, in the order of `labels`, for each split and metric that all seeds define."""
    rows = [next(row for row in section.rows if row.label == label) for label in labels]
    inside = [section.in_split] if section.in_split else []
    blocks: dict[str, list[list[float]]] = {INSIDE: [], OUTSIDE: []}
    for where, splits in ((INSIDE, inside), (OUTSIDE, section.out_splits)):
        for split in splits:
            for metric in section.metrics:
                means = [mean_or_none(section.clean(row, metric, split).values()) for row in rows]
                known = [mean for mean in means if mean is not None]
                if len(known) == len(rows):
                    higher = section.better(metric) == "higher"
                    blocks[where].append(ranks(np.array([known]), higher_is_better=higher)[0].tolist())
    return {where: blocks for where, blocks in blocks.items() if blocks}


def rank_figure(section: Section) -> Figure | None:
    """Mean ranks on one dataset; None for a single method."""
    labels = labels_of(section)
    blocks = rank_blocks(section, labels) if len(labels) > 1 else {}
    if not blocks:
        return None
    rows = [
        (label, where, rank, len(rankings))
        for where, rankings in blocks.items()
        for label, rank in zip(labels, np.mean(rankings, axis=0).tolist(), strict=True)
    ]
    note = (
        "1 is best. Mean over splits and metrics of the ranks of the means over seeds, among all methods, shown or not. "
        "Splits and metrics that a seed leaves undefined are left out. Splits and metrics of one dataset are not "
        "independent, so nothing is tested here."
    )
    spec = _spans(list(blocks), len(labels), _order(rows))
    return Figure("Mean rank", note, spec, ("method", "where", "rank", "blocks"), rows, follows=())


def _order(rows: Sequence[tuple[Any, ...]]) -> list[str]:
    """Labels by their rank under shift, the last one measured, then by name."""
    last = {row[0]: row[2] for row in rows}
    return sorted(last, key=lambda label: (last[label], label))


def _spans(wheres: Sequence[str], methods: int, order: Sequence[str]) -> dict[str, Any]:
    import altair as alt

    axis = alt.Axis(labelLimit=170, domain=False, ticks=False)
    scale = alt.Scale(domain=[1, methods], nice=False, padding=8)
    x = alt.X("rank:Q", title="mean rank", scale=scale, axis=alt.Axis(tickMinStep=1, tickCount=6, format="~g"))
    base = base_chart(needs="rank").encode(y=alt.Y("method:N", sort=list(order), title=None, axis=axis))
    span = base.mark_rule(strokeWidth=1.5, opacity=0.45).encode(
        x=alt.X("min(rank):Q", title="mean rank", scale=scale), x2=alt.X2("max(rank):Q")
    )
    of_where = alt.Scale(domain=list(wheres))
    dots = base.mark_point(size=95, filled=True, opacity=1).encode(
        x=x,
        color=alt.Color("where:N", title=None, scale=of_where),
        shape=alt.Shape("where:N", title=None, scale=alt.Scale(domain=list(wheres), range=list(SHAPES[: len(wheres)]))),
        tooltip=["method:N", "where:N", alt.Tooltip("rank:Q", format=".2f"), alt.Tooltip("blocks:Q", title="rankings")],
    )
    return declare([span, dots], {"step": 36})


def dataset_ranks(sections: Sequence[Section]) -> tuple[list[str], dict[str, list[list[float]]]]:
    """Labels that every dataset has, and where → one list of mean ranks per dataset.

    The metrics, splits and protocols of one dataset are averaged first, since they are not independent: a dataset is one
    block of Nemenyi's test, whose variance is then an upper bound.
    """
    labels = [label for label in labels_of(sections[0]) if all(label in labels_of(s) for s in sections)]
    by_dataset: dict[str, dict[str, list[list[float]]]] = {}
    for section in sections if len(labels) > 1 else ():
        for where, blocks in rank_blocks(section, labels).items():
            by_dataset.setdefault(where, {}).setdefault(section.dataset, []).extend(blocks)
    return labels, {where: _averaged(by_dataset[where]) for where in (INSIDE, OUTSIDE) if where in by_dataset}


def _averaged(blocks: Mapping[str, list[list[float]]]) -> list[list[float]]:
    return [np.mean(rankings, axis=0).tolist() for rankings in blocks.values()]


def critical_figures(sections: Sequence[Section]) -> list[Figure]:
    """Mean rank over datasets with half a critical difference to either side, in and out of distribution.

    Empty below two datasets or two methods that all of them have.
    """
    trained = [section for section in sections if section.trained_here]
    labels, by_where = dataset_ranks(trained) if trained else ([], {})
    return [_critical(labels, where, blocks) for where, blocks in by_where.items() if len(blocks) > 1]


def _critical(labels: Sequence[str], where: str, blocks: Sequence[Sequence[float]]) -> Figure:
    import altair as alt

    difference = critical_difference(len(labels), len(blocks))
    means = dict(zip(labels, np.mean(blocks, axis=0).tolist(), strict=True))
    order = sorted(means, key=lambda label: (means[label], label))
    rows = [(label, means[label], means[label] - difference / 2, means[label] + difference / 2) for label in order]
    best = means[order[0]]
    axis = alt.Axis(labelLimit=170, domain=False, ticks=False)
    x_axis, free = alt.Axis(tickMinStep=1, tickCount=6, format="~g"), alt.Scale(zero=False)
    chart = base_chart(needs="rank").encode(y=alt.Y("label:N", sort=order, title=None, axis=axis))
    tooltip = ["label:N", *(alt.Tooltip(f"{name}:Q", format=".2f") for name in ("rank", "low", "high"))]
    layers = [
        chart.mark_rule(strokeWidth=6, opacity=0.35).encode(
            x=alt.X("low:Q", title="mean rank", axis=x_axis, scale=free), x2=alt.X2("high:Q")
        ),
        chart.mark_point(style="accent", size=90, filled=True, opacity=1).encode(
            x=alt.X("rank:Q", title="mean rank", axis=x_axis, scale=free), tooltip=tooltip
        ),
    ]
    near = [label for label in order if means[label] - best <= difference]
    note = (
        f"1 is best; {len(labels)} methods on {len(blocks)} datasets; the metrics of a dataset are averaged first. Two "
        f"methods whose bars do not overlap differ by Nemenyi’s test at 5 % (critical difference {difference:.2f}). "
        f"Not significantly worse than the best: {', '.join(near)}."
    )
    if difference >= len(labels) - 1:
        note += " With so few datasets no difference can be found."
    elif len(blocks) < FEW:
        note += " With so few datasets only large differences are found."
    columns = ("label", "rank", "low", "high")
    return Figure(f"Mean rank {where}", note, declare(layers, {"step": 28}), columns, rows, follows=())
