"""Contents of the representations of runs, for the runs with a diagnosis of `deconfound diagnose`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deconfound.errors import RunError
from deconfound.report.chart import Figure, base_chart, declare
from deconfound.report.page_model import DiagnosticVerdict, Panel, VerdictSentence
from deconfound.report.result_tables import ResultLine, ResultTable, ScenarioColumn, spread_cell
from deconfound.results.run_result import RunResult, integer_of, read_object, text_of
from deconfound.results.run_result import number_of as number
from deconfound.results.sections import Section
from deconfound.results.spread import spread

VERSION = 1
"""Version of the files that can be read, `deconfound.diagnostics.result.VERSION`."""
MOST_PICTURED = 4
"""Most methods whose parts are drawn."""
MOST_POINTS = 400
MOST_NAMED = 8
INTRO = (
    "Probes and tests of the trained representations, made by deconfound diagnose with frozen weights. They describe "
    "what is in a part, not what causes the label; a method is not to be chosen by what they show on test rows."
)
HELP = "remove it and run 'deconfound diagnose' again"


def read_diagnoses(run: RunResult) -> dict[str, Mapping[str, Any]]:
    """Split → the diagnosis that a run keeps; diagnoses of other weights, from before a new training, are ignored.

    Raises:
        RunError: a file is damaged.
    """
    by_split = {}
    for path in sorted(run.directory.glob("diagnosis*.json")):
        try:
            diagnosis = read_object(path)
            if integer_of(diagnosis["version"]) != VERSION:
                raise ValueError(f"version {diagnosis['version']} is not {VERSION}")
            if (diagnosis["best_epoch"], diagnosis["best_risk"]) == (run.best_epoch, run.best_risk):
                by_split[text_of(diagnosis["split"])] = _checked(diagnosis)
        except (RunError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise RunError(f"{path} is damaged ({str(error)[:160]}); {HELP}") from error
    return by_split


def diagnosis_panels(section: Section) -> list[Panel]:
    """The panel, or none where no run was diagnosed.

    Raises:
        RunError: a diagnosis is damaged.
    """
    diagnoses = {row.label: [read_diagnoses(run) for run in row.runs] for row in section.rows}
    splits = sorted(
        {split for runs in diagnoses.values() for run in runs for split in run}, key=lambda s: (s != "valid", s)
    )
    if not splits:
        return []
    tables = [_table(section, diagnoses, split) for split in splits]
    verdicts = [
        _verdict(label, run[split])
        for split in splits
        for label, runs in diagnoses.items()
        for run in runs
        if split in run
    ]
    drawn = [label for label, runs in diagnoses.items() if any(runs)][:MOST_PICTURED]
    figures = [(figure, "") for label in drawn for figure in _figures(label, next(filter(None, diagnoses[label])))]
    return [Panel("diagnosis", "Representations", INTRO, figures, "many", tables=tables, verdicts=verdicts)]


def _checked(diagnosis: Mapping[str, Any]) -> Mapping[str, Any]:
    """The diagnosis, after a check of every field that the page shows."""
    for finding in diagnosis["verdict"]:
        _ = text_of(finding["question"]), text_of(finding["answer"]), text_of(finding["text"]), bool(finding["alarm"])
    for take in COLUMNS.values():
        take(diagnosis)
    for picture in diagnosis["pictures"]:
        points = list(zip(picture["x"], picture["y"], picture["label"], picture["environment"], strict=True))
        for x, y, label, environment in points:
            _ = number(x), number(y), label if isinstance(label, str) else number(label), text_of(environment)
        _ = text_of(picture["part"]), [number(share) for share in picture["explained"]]
    _ = (
        text_of(diagnosis["run"]),
        text_of(diagnosis["method"]),
        integer_of(diagnosis["rows"]),
        bool(diagnosis["splits_features"]),
    )
    return diagnosis


def _probe(part: str) -> Callable[[Mapping[str, Any]], float | None]:
    def take(diagnosis: Mapping[str, Any]) -> float | None:
        scores = [
            number(probe["score"])
            for probe in diagnosis["probes"]
            if (probe["asks"], probe["part"], probe["modality"]) == ("label", part, "all")
            and probe["score"] is not None
        ]
        return max(scores, default=None)

    return take


def _leak(diagnosis: Mapping[str, Any]) -> float | None:
    """Balanced accuracy above chance, as a share of what is above chance."""
    tests = [
        t["found"] for t in diagnosis["leakage"] if (t["part"], t["modality"]) == ("predictive", "all") and t["found"]
    ]
    shares = [(number(t["score"]) - number(t["chance"])) / (1 - number(t["chance"])) for t in tests]
    return max(shares, default=None)


def _shift(diagnosis: Mapping[str, Any]) -> float | None:
    tests = [
        t["found"] for t in diagnosis["shifts"] if (t["part"], t["modality"]) == ("predictive", "all") and t["found"]
    ]
    return number(tests[0]["size"]) if tests else None


def _alike(diagnosis: Mapping[str, Any]) -> float | None:
    """Mean over modalities."""
    known = [
        number(d["found"]["similarity"]) for d in diagnosis["dependence"] if d["found"] and d["found"]["similarity"]
    ]
    return sum(known) / len(known) if known else None


COLUMNS: dict[str, Callable[[Mapping[str, Any]], float | None]] = {
    "Label from Z_inv": _probe("predictive"),
    "Label from Z_spu": _probe("spurious"),
    "Environment from Z_inv": _leak,
    "Shift of Z_inv": _shift,
    "Z_inv and Z_spu alike": _alike,
}
NOTES = {
    "Environment from Z_inv": "label fixed; 0 chance, 1 sure",
    "Shift of Z_inv": "label fixed; deviations",
    "Z_inv and Z_spu alike": "HSIC, at most 1",
}


def _table(section: Section, diagnoses: Mapping[str, Sequence[Mapping[str, Any]]], split: str) -> ResultTable:
    score = "R²" if section.protocol.kind == "regression" else "balanced accuracy"
    lines = []
    for style, row in enumerate(section.rows):
        known = [run[split] for run in diagnoses[row.label] if split in run]
        measured = [
            [value for diagnosis in known if (value := take(diagnosis)) is not None] for take in COLUMNS.values()
        ]
        cells = tuple(spread_cell(spread(values), 3) for values in measured)
        lines.append(ResultLine(row.label, f"{len(known)} diagnosed", style, cells))
    caption = (
        f"Rows of {split}, mean ± standard deviation over seeds. Label: {score} of the better of a linear and a kernel "
        "probe, cross-validated. For a method that does not split, Z_inv is all that it predicts from"
    )
    return ResultTable(
        "", caption, "Method", tuple(ScenarioColumn(name, note=NOTES.get(name, "")) for name in COLUMNS), tuple(lines)
    )


def _verdict(label: str, diagnosis: Mapping[str, Any]) -> DiagnosticVerdict:
    sentences = (
        VerdictSentence(finding["question"], finding["answer"], finding["text"], bool(finding["alarm"]))
        for finding in diagnosis["verdict"]
    )
    return DiagnosticVerdict(
        f"{label}: {diagnosis['run']}, {diagnosis['rows']} rows of {diagnosis['split']}", tuple(sentences)
    )


def _figures(label: str, diagnoses: Mapping[str, Mapping[str, Any]]) -> list[Figure]:
    """Each part by label and, where there are several, by environment; of the first split that was diagnosed."""
    diagnosis = diagnoses.get("valid") or next(iter(diagnoses.values()))
    figures = []
    for picture in (picture for picture in diagnosis["pictures"] if picture["x"]):
        columns = [picture[name][:MOST_POINTS] for name in ("x", "y", "label", "environment")]
        rows = list(zip(*columns, strict=True))
        several = len(set(picture["environment"])) > 1
        part = {"predictive": "Z_inv", "spurious": "Z_spu"}.get(picture["part"], picture["part"])
        title = f"{label}: {part if diagnosis['splits_features'] else 'representation'}"
        shares = " and ".join(f"{share:.0%}" for share in picture["explained"])
        note = f"Principal components ({shares} of the variance) of {diagnosis['run']}, rows of {diagnosis['split']}."
        for colour in ("label", "environment") if several else ("label",):
            names = len(set(picture[colour]))
            spec = _declare(colour, isinstance(picture["label"][0], int | float), names)
            named = ("x", "y", "label", "environment")
            figures.append(Figure(f"{title} by {colour}", note, spec, named, rows, follows=(), method=label))
    return figures


def _declare(colour: str, real: bool, names: int) -> dict[str, Any]:
    """One part, coloured; beyond `MOST_NAMED` names without a legend."""
    import altair as alt

    continuous = colour == "label" and real
    scale = alt.Scale(scheme="viridis" if continuous else "tableau10")
    axis = alt.Axis(tickCount=3)
    named = None if names > MOST_NAMED else alt.Legend(columns=2, symbolLimit=MOST_NAMED, labelLimit=110)
    legend = alt.Legend() if continuous else named
    dots = base_chart(needs="x").mark_point(filled=True, size=22, opacity=0.75)
    encoded = dots.encode(
        x=alt.X("x:Q", title=None, axis=axis),
        y=alt.Y("y:Q", title=None, axis=axis),
        color=alt.Color(f"{colour}:{'Q' if continuous else 'N'}", title=None, scale=scale, legend=legend),
        tooltip=["label:N", "environment:N"],
    )
    return declare([encoded], 220)
