"""A `Description` as text for a terminal and as charts in one HTML or SVG file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from deconfound.io.chart_file import check_chart_path, write_chart
from deconfound.io.plain_text import text_of_lines

if TYPE_CHECKING:
    from deconfound.data.describe import Description

_WIDTH = 480
_MOST_CLASSES = 10  # in the text; the charts and the JSON have all


def as_text(description: Description) -> str:
    """Lines for a terminal."""
    lines = [f"{description.name}: {sum(description.rows.values())} rows, {description.task}", "", "rows and target"]
    lines += [
        f"  {split:12} {rows:7}  {_summary(description.target[split])}" for split, rows in description.rows.items()
    ]
    lines += ["", "modalities"]
    for name, modality in description.modalities.items():
        size = "×".join(map(str, (modality["steps"], *modality["shape"])))
        gaps = ", ".join(
            f"{split} {share['rows']:.1%}" for split, share in description.missing[name].items() if share["rows"]
        )
        steps = sum(description.missing[name][split]["steps"] * rows for split, rows in description.rows.items())
        share = steps / sum(description.rows.values())
        lines.append(f"  {name:12} {modality['kind']:9} {size:12} absent: {gaps or 'never'}; steps masked: {share:.1%}")
    if description.groups:
        groups = description.groups
        per_split = ", ".join(f"{split} {count}" for split, count in groups["per_split"].items())
        sizes = f"{groups['smallest']} to {groups['largest']} rows each"
        lines += ["", f"groups by {', '.join(groups['columns'])}: {groups['count']} ({per_split}), {sizes}"]
    lines += ["", *_probe_lines(description)]
    return text_of_lines(lines + [f"warning: {warning}" for warning in description.warnings])


def _summary(target: dict[str, Any]) -> str:
    if "mean" in target:
        spread = f"{target['min']:.3g} to {target['max']:.3g}"
        return f"mean {target['mean']:.3g}, sd {target['sd']:.3g}, median {target['median']:.3g}, {spread}"
    classes = [f"{name} {count}" for name, count in list(target.items())[:_MOST_CLASSES]]
    more = len(target) - len(classes)
    return ", ".join(classes) + (f" and {more} more classes" if more else "")


def _probe_lines(description: Description) -> list[str]:
    if not description.probes:
        return ["no probe: it needs train and valid"]
    metric = description.probes[0].metric
    lines = [f"one modality alone, linear probe, {metric} on valid (a constant: {description.probes[0].constant:.3f})"]
    for probe in description.probes:
        also = (
            f"  mae {probe.mae:.3f}  corr {'-' if probe.corr is None else format(probe.corr, '.3f')}"
            if probe.mae is not None
            else ""
        )
        lines.append(f"  {probe.modality:12} {probe.score:7.3f}  (train {probe.train:.3f}){also}")
    return [*lines, f"best alone: {description.best_alone or 'none; no modality beats a constant'}"]


def draw(description: Description, path: str | Path) -> Path:
    """Write charts of rows, target, absent rows and probes; the HTML needs no network.

    Raises:
        DataError: the extension is neither .html nor .svg.
        RunError: the file cannot be written.
    """
    check_chart_path(path)
    return write_chart(chart(description), path, f"{description.name}: deconfound data describe")


def chart(description: Description) -> Any:
    """The charts as one altair chart."""
    import altair as alt

    splits = list(description.rows)
    rows = [{"split": split, "rows": count} for split, count in description.rows.items()]
    absent = [
        {"modality": name, "split": split, "absent rows": share["rows"]}
        for name, per_split in description.missing.items()
        for split, share in per_split.items()
    ]
    by_split = alt.Y("split:N", sort=splits, title=None)
    parts: list[Any] = [
        _bars(rows, alt.X("rows:Q"), by_split, "Rows per split"),
        _target_chart(description, splits),
        _bars(
            absent, alt.X("absent rows:Q").axis(format="%").scale(domain=[0, 1]), by_split, "Share of rows without it"
        )
        .encode(row=alt.Row("modality:N", title=None, sort=list(description.modalities)))
        .properties(height=18 * len(splits)),
    ]
    if description.probes:
        scores = [{"modality": p.modality, "score": p.score, "on": "valid"} for p in description.probes]
        scores += [{"modality": p.modality, "score": p.train, "on": "train"} for p in description.probes]
        title = f"One modality alone, {description.probes[0].metric} of a linear probe"
        which = alt.Y("modality:N", sort=[p.modality for p in description.probes], title=None)
        bars = _bars(scores, alt.X("score:Q", title=description.probes[0].metric), which, title)
        parts.append(bars.encode(yOffset=alt.YOffset("on:N"), color=alt.Color("on:N", title="rows")))
    title = alt.TitleParams(description.name, subtitle=[description.task, *description.warnings])
    return alt.vconcat(*parts).resolve_scale(color="independent").properties(title=title)


def _bars(values: list[dict[str, Any]], x: Any, y: Any, title: str) -> Any:
    import altair as alt

    return alt.Chart(alt.Data(values=values), title=title, width=_WIDTH).mark_bar(tooltip=True).encode(x=x, y=y)


def _target_chart(description: Description, splits: list[str]) -> Any:
    """Share of rows per bin or class, one line of small bars per split."""
    import altair as alt

    values = []
    for split, target in description.target.items():
        counts = target.get("counts") or list(target.values())
        names = list(zip(description.edges, description.edges[1:], strict=False)) or [(name, name) for name in target]
        for (start, stop), count in zip(names, counts, strict=True):
            share = count / max(1, sum(counts))
            values.append({"split": split, "from": start, "to": stop, "share": share, "rows": count})
    y = alt.Y("share:Q").axis(format="%")
    if description.edges:
        x = alt.X("from:Q", bin=alt.BinParams(binned=True), title="target")
        bars = _bars(values, x, y, "Target").encode(x2=alt.X2("to:Q"))
    else:
        bars = _bars(values, alt.X("from:N", sort=[v["from"] for v in values], title="class"), y, "Target")
    return bars.encode(row=alt.Row("split:N", sort=splits, title=None)).properties(height=70)
