"""The arguments of a report: run directories, and sweep directories for the runs that their selection chose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deconfound.data.splits import LEFT_OUT
from deconfound.errors import RunError, SpecError, did_you_mean
from deconfound.results.run_result import Run, read_object, read_run, text_of, whole_of, with_variants

ORACLE = "oracle"
"""The rule that looks at test rows."""


@dataclass(frozen=True)
class Only:
    """Which runs are wanted.

    Args:
        methods: their labels; a model's other predictions have labels of their own, as "imml [do]". All if empty.
        datasets: names of the data they were trained on. All if empty.
    """

    methods: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The same on the command line."""
        methods = [word for method in self.methods for word in ("--method", method)]
        return (*methods, *(word for dataset in self.datasets for word in ("--dataset", dataset)))

    def of(self, runs: Iterable[Run]) -> tuple[Run, ...]:
        """Those that are wanted."""
        return tuple(
            run
            for run in runs
            if (not self.methods or run.label in self.methods) and (not self.datasets or run.dataset in self.datasets)
        )

    def check(self, runs: Sequence[Run]) -> None:
        """Refuse a name that no run has.

        Raises:
            SpecError: it.
        """
        for wanted, known in (
            (self.methods, {run.label for run in runs}),
            (self.datasets, {run.dataset for run in runs}),
        ):
            for name in wanted:
                if name not in known:
                    raise SpecError(f"no run is called or trained on {name!r}{did_you_mean(name, known)}")


@dataclass(frozen=True)
class Gathered:
    """What was found.

    Args:
        runs: to be compared, each followed by the other predictions of its model that were measured.
        trials: finished runs of the sweeps that were not chosen.
    """

    runs: tuple[Run, ...]
    trials: tuple[Run, ...]


def gather(paths: Sequence[Path], only: Only | None = None) -> Gathered:
    """Read run directories; of a sweep directory the runs named in selection.json, and its other runs as trials.

    Args:
        paths: directories; one named twice counts once.
        only: leaves out the others.

    Raises:
        SpecError: `only` names what no run has.
        RunError: a directory that is neither, a sweep without a selection or with a damaged one, or what `read_run`
            refuses.
    """
    runs: dict[Path, Run] = {}
    trials: dict[Path, Run] = {}
    for path in paths:
        if (path / "sweep.json").exists() or (path / "selection.json").exists():
            rule, budget, chosen = _selection(path)
            for name in chosen:
                runs.setdefault((path / "runs" / name).resolve(), read_run(path / "runs" / name, rule, budget))
            for folder in _finished(path / "runs"):
                if folder.name not in chosen:
                    trials.setdefault(folder.resolve(), read_run(folder))
        elif path.resolve() not in runs:
            runs[path.resolve()] = read_run(path)
    tried = [run for place, run in trials.items() if place not in runs and not _left_out(run)]
    found, wanted = [each for run in runs.values() for each in with_variants(run)], only or Only()
    wanted.check(found)
    return Gathered(wanted.of(found), wanted.of(tried))


def _selection(path: Path) -> tuple[str, str, list[str]]:
    """The rule, its budget in words, and the names of the chosen runs."""
    file = path / "selection.json"
    given = read_object(file, "the sweep has not selected yet; run 'deconfound sweep' again to finish it")
    try:
        rule, budget = text_of(given["rule"]), _budget(given.get("budget"))
        chosen = [_name(name) for entry in given["chosen"] for name in entry["runs"]]
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{file} is damaged ({error}); remove it and run 'deconfound sweep' again") from error
    if not chosen:
        raise RunError(f"{file} chose no run; see 'deconfound sweep status {path}' for what failed")
    return rule, budget, list(dict.fromkeys(chosen))


def _budget(given: Any) -> str:
    """Such as "3 draws judged by 1 of 5 seeds"; "" for a selection that does not say."""
    if given is None:
        return ""
    draws, seeds = whole_of(given["draws"]), whole_of(given["seeds"])
    judging = whole_of(given.get("judging_seeds", seeds))
    if draws == 1:
        return "one configuration, the default"
    if given["rule"] in LEFT_OUT:
        return f"{draws} draws judged by {judging} seed{'s' * (judging != 1)} for each left-out environment"
    return f"{draws} draws judged by {judging} of {seeds} seeds"


def _name(value: Any) -> str:
    """A folder's own name: nothing that leads out of the sweep."""
    name = text_of(value)
    if name != Path(name).name or name in ("", "..", "."):
        raise ValueError(f"{name!r:.80} is not the name of a run")
    return name


def _finished(folder: Path) -> list[Path]:
    """Runs that were trained to the end and measured, by name."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [run for run in found if (run / "done.json").is_file() and (run / "records.jsonl").is_file()]


def _left_out(run: Run) -> bool:
    """True for a run that was validated on an environment of its own: its values are about other rows."""
    data = run.spec.get("data")
    return isinstance(data, dict) and data.get("leave_out") is not None
