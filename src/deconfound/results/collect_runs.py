"""Runs to compare, read from run directories and, for sweep directories, from the runs that their selection chose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deconfound.data.splits import LEFT_OUT
from deconfound.errors import RunError, SpecError, did_you_mean
from deconfound.io.reading import reading, resolved
from deconfound.results.corpus_results import with_corpora
from deconfound.results.run_result import RunResult, integer_of, read_object, read_run, text_of, with_variants
from deconfound.runs.run_files import RUN

ORACLE = "oracle"
"""The rule that looks at test rows."""


@dataclass(frozen=True)
class RunFilter:
    """Which runs to keep.

    Args:
        methods: labels to keep; a model's other predictions have labels of their own, such as "imml [do]". All if empty.
        datasets: names of the corpora to keep that runs were evaluated on; that of folded data stands for all of its
            folds. All if empty.
    """

    methods: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """The filter as command-line arguments."""
        methods = [argument for method in self.methods for argument in ("--method", method)]
        return (*methods, *(argument for dataset in self.datasets for argument in ("--dataset", dataset)))

    def apply(self, runs: Iterable[RunResult]) -> tuple[RunResult, ...]:
        """The runs that pass, in their order."""
        return tuple(
            run
            for run in runs
            if (not self.methods or run.label in self.methods)
            and (not self.datasets or not _datasets(run).isdisjoint(self.datasets))
        )

    def check(self, runs: Sequence[RunResult]) -> None:
        """Check that every name belongs to some run.

        Raises:
            SpecError: no run has a name of the filter.
        """
        for names, known in (
            (self.methods, {run.label for run in runs}),
            (self.datasets, {name for run in runs for name in _datasets(run)}),
        ):
            for name in names:
                if name not in known:
                    raise SpecError(f"no run is called or evaluated on {name!r}{did_you_mean(name, known)}")


def _datasets(run: RunResult) -> set[str]:
    """Names of the evaluated corpus: its own, and that of the data it is a fold of."""
    return {run.evaluated_on, *([run.fold.of] if run.fold is not None and run.corpus is None else [])}


@dataclass(frozen=True)
class CollectedRuns:
    """Runs read from directories.

    Args:
        runs: runs to compare, each followed by the other measured predictions of its model, and both by the results on
            other corpora.
        trials: finished runs of the sweeps that their selection did not choose.
    """

    runs: tuple[RunResult, ...]
    trials: tuple[RunResult, ...]


def collect_runs(paths: Sequence[Path], only: RunFilter | None = None) -> CollectedRuns:
    """Read run directories; of a sweep directory the runs named in selection.json, and its other runs as trials.

    Args:
        paths: directories; a directory named twice counts once.
        only: filter of the runs; all runs if None.

    Raises:
        SpecError: `only` names what no run has.
        RunError: a directory holds neither a run nor a sweep, the selection of a sweep is missing or damaged, or
            `read_run` refuses a run.
    """
    runs: dict[Path, RunResult] = {}
    trials: dict[Path, RunResult] = {}
    for path in paths:
        if _is_sweep(path):
            rule, budget, chosen = _selection(path)
            for name in chosen:
                runs.setdefault(resolved(path / "runs" / name, RUN), read_run(path / "runs" / name, rule, budget))
            for folder in _finished(path / "runs"):
                if folder.name not in chosen:
                    trials.setdefault(resolved(folder, RUN), read_run(folder))
        elif resolved(path, RUN) not in runs:
            runs[resolved(path, RUN)] = read_run(path)
    unchosen = [run for directory, run in trials.items() if directory not in runs and not _left_out(run)]
    variants = [variant for run in runs.values() for result in with_corpora(run) for variant in with_variants(result)]
    run_filter = only or RunFilter()
    run_filter.check(variants)
    return CollectedRuns(run_filter.apply(variants), run_filter.apply(unchosen))


def chosen_folders(path: Path) -> list[Path]:
    """Directories of the runs that the selection of a sweep chose; of any other directory, itself.

    Raises:
        RunError: the selection is missing or damaged.
    """
    return [path / "runs" / name for name in _selection(path)[2]] if _is_sweep(path) else [path]


def _is_sweep(path: Path) -> bool:
    with reading(path, RUN):
        return (path / "sweep.json").exists() or (path / "selection.json").exists()


def _selection(path: Path) -> tuple[str, str, list[str]]:
    """The rule, its budget in words, and the names of the chosen runs."""
    file = path / "selection.json"
    selection = read_object(file, "the sweep has not selected yet; run 'deconfound sweep' again to finish it")
    try:
        rule, budget = text_of(selection["rule"]), _budget(selection.get("budget"))
        chosen = [_name(name) for entry in selection["chosen"] for name in entry["runs"]]
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{file} is damaged ({error}); remove it and run 'deconfound sweep' again") from error
    if not chosen:
        raise RunError(f"{file} chose no run; see 'deconfound sweep status {path}' for what failed")
    return rule, budget, list(dict.fromkeys(chosen))


def _budget(budget: Any) -> str:
    """Such as "3 draws judged by 1 of 5 seeds"; "" for a selection without a budget."""
    if budget is None:
        return ""
    draws, seeds = integer_of(budget["draws"]), integer_of(budget["seeds"])
    judging = integer_of(budget.get("judging_seeds", seeds))
    if draws == 1:
        return "one configuration, the default"
    if budget["rule"] in LEFT_OUT:
        return f"{draws} draws judged by {judging} seed{'s' * (judging != 1)} for each left-out environment"
    return f"{draws} draws judged by {judging} of {seeds} seeds"


def _name(value: Any) -> str:
    """The name of a run's folder; a path that leaves the sweep is refused."""
    name = text_of(value)
    if name != Path(name).name or name in ("", "..", "."):
        raise ValueError(f"{name!r:.80} is not the name of a run")
    return name


def _finished(folder: Path) -> list[Path]:
    """Runs that were trained to the end and measured, by name."""
    folders = sorted(folder.iterdir()) if folder.is_dir() else []
    return [run for run in folders if (run / "done.json").is_file() and (run / "records.jsonl").is_file()]


def _left_out(run: RunResult) -> bool:
    """True for a run that was validated on an environment of its own: its values are about other rows."""
    data = run.spec.get("data")
    return isinstance(data, dict) and data.get("leave_out") is not None
