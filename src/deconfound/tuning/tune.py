"""`tune`: search each method's hyper-parameters by validation score, with the same budget for every method.

A trial trains one configuration with every seed of the tuning. Its score is that of the epochs that are kept, by the
criterion of [base.train], averaged over the seeds. Training removes the test rows before it begins, so no trial can see
one. Any number of processes may call `tune` with the same folder: they share the trials. A call after a kill resumes where
the others stopped.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback
from torch import Tensor

from deconfound.data.dataset import Dataset
from deconfound.errors import RunError
from deconfound.io.files import claim_folder, write_json
from deconfound.io.reading import FileKind, object_of, read_json, reading
from deconfound.runs.build import apply_data_spec, build_method, completed, load_data, training_rows
from deconfound.runs.csv_log import read_log
from deconfound.runs.run import Run
from deconfound.sweeps.jobs import JobResult
from deconfound.training.best_epoch import EpochWarning
from deconfound.training.learner import RISK, score_name
from deconfound.training.train import train_run
from deconfound.tuning.result import summarize, write_best
from deconfound.tuning.spec import TuneSpec
from deconfound.tuning.study import ClaimedTrial, Studies

_FILE = FileKind("tuning's file", RunError, "choose another folder")


def tune(
    spec: TuneSpec, out: str | Path, *, dataset: Dataset | None = None, log: Callable[[str], object] | None = None
) -> dict[str, Any]:
    """Run trials until this process and others in the same folder have used the budget of every method.

    Args:
        out: folder of the tuning; made if it does not exist.
        dataset: replaces the dataset that the specification names under [data].
        log: called with a line of progress after each trial.

    Returns:
        The content of `tuning.json`, see `deconfound.tuning.result.summarize`. While other processes still run trials,
        "complete" is False, and the last of them writes the final results.

    Raises:
        SpecError, DataError: a method cannot be trained on the data; raised before any trial.
        RunError: the folder holds another tuning or cannot be written, or Optuna is not installed.
    """
    out = Path(out)
    dataset = dataset if dataset is not None else load_data(spec.data)
    spec = with_tuning_budget(spec, dataset)
    _check_methods(spec, dataset)
    claim_tuning(out, spec, dataset.checksum)
    studies = Studies(spec, out)
    while True:
        with studies.next_trial() as trial:
            if trial is None:
                break
            _run_trial(trial, studies, dataset)
        results = _write_results(studies, dataset)
        if log is not None:
            log(_progress_line(trial, results))
    return _write_results(studies, dataset)


def with_tuning_budget(spec: TuneSpec, dataset: Dataset) -> TuneSpec:
    """The tuning with every number of its budget, the same for all trials.

    Raises:
        DataError: as `with_budget`.
    """
    train = completed(spec.base.train, training_rows(dataset, spec.data))
    return spec.model_copy(update={"base": spec.base.model_copy(update={"train": train})})


def _check_methods(spec: TuneSpec, dataset: Dataset) -> None:
    """Build each method once, so that a mistake is reported before the first trial."""
    for entry in spec.method:
        run = spec.run_spec(entry, {}, spec.seeds[0])
        development = apply_data_spec(dataset, run.data).development()
        build_method(run, development.modalities, development.task)


def claim_tuning(out: Path, spec: TuneSpec, checksum: str) -> None:
    """Make the folder, or check that it holds this tuning; only the number of trials may grow."""
    claim_folder(out, "tuning", "tune.json")
    file = out / "tune.json"
    values = {"spec": json.loads(spec.model_dump_json()), "data": checksum}
    if file.is_file():
        earlier = read_json(file, _FILE)
        with reading(file, _FILE):
            earlier_spec, trials = object_of(earlier["spec"]) | {"trials": spec.trials}, int(earlier["spec"]["trials"])
            _ = earlier["data"]
        differing = [name for name, value in values["spec"].items() if earlier_spec.get(name) != value]
        if differing or earlier["data"] != checksum:
            difference = f"{differing[0]!r} differs" if differing else "the data differ"
            raise RunError(f"{out} holds another tuning ({difference}); choose another folder")
        if trials >= spec.trials:
            if trials > spec.trials:
                raise RunError(f"{out} was started with {trials} trials; give trials = {trials} or more to continue")
            return
    write_json(file, values)


class TrialCallback(Callback):
    """Reports the best validation score so far after each epoch, and may prune the trial before the next epoch.

    Args:
        curves: path of log.csv of the run.
        report: called with the number of the epoch, from 0, and the lowest validation score so far.
        should_prune: returns True to prune the trial.
        term: the logged score, of which lower is better.

    Raises:
        Pruned: `should_prune` returned True.
        Diverged: the loss or the validation risk is not finite.
    """

    def __init__(
        self, curves: Path, report: Callable[[int, float], None], should_prune: Callable[[], bool], term: str = RISK
    ) -> None:
        self.curves, self.report, self.should_prune, self.term = curves, report, should_prune, term
        self.best = math.inf
        self.total_loss: Tensor | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch:  # resumed: the new trial needs the reports that the killed one had
            for epoch, score in past_scores(self.curves, self.term):
                if epoch < trainer.current_epoch:
                    self.observe(epoch, score)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.total_loss = None
        if trainer.current_epoch and self.should_prune():
            raise Pruned

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Tensor) -> None:
        self.total_loss = loss.detach() if self.total_loss is None else self.total_loss + loss.detach()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        score = float(trainer.callback_metrics[self.term])
        if not math.isfinite(score) or self.total_loss is None or not math.isfinite(float(self.total_loss)):
            raise Diverged(
                f"the loss or the validation risk became infinite in epoch {trainer.current_epoch}; lower the range of "
                "learning_rate"
            )
        self.observe(trainer.current_epoch, score)

    def observe(self, epoch: int, score: float) -> None:
        """Report the validation score of an epoch."""
        self.best = min(self.best, score)
        self.report(epoch, self.best)


class Pruned(Exception):  # noqa: N818 (a decision, not an error)
    """The trial is worse than the median of the others and stops."""


class Diverged(Exception):  # noqa: N818 (a result of the trial, not an error of the user)
    """The loss or the validation score is not finite."""


def past_scores(log: Path, term: str = RISK) -> list[tuple[int, float]]:
    """(epoch, value) of a logged score for each epoch of a log.csv, in order."""
    return [(row["epoch"], row["value"]) for row in read_log(log) if f"{row['split']}/{row['term']}" == term]


def _run_trial(trial: ClaimedTrial, studies: Studies, dataset: Dataset) -> None:
    """Train one trial with every seed and record how it ended."""
    scores: dict[str, float] = {}
    try:
        for number, seed in enumerate(studies.spec.seeds):
            scores[str(seed)] = _train(trial, studies.spec, dataset, number, list(scores.values()))
    except Pruned:
        result = JobResult(trial.id, "pruned")
    except Diverged as error:
        result = JobResult(trial.id, "failed", error=str(error))
    else:
        result = JobResult(trial.id, "done", sum(scores.values()) / len(scores))
    studies.record(trial, result, scores)


def _train(trial: ClaimedTrial, spec: TuneSpec, dataset: Dataset, number: int, earlier: list[float]) -> float:
    """Train the seed with this number and return the score of the epoch that it keeps.

    The value reported at an epoch is the mean of the scores of the earlier seeds and the best one so far of this seed.
    So a trial is compared with others at the same seed and epoch.
    """
    seed, folder = spec.seeds[number], trial.folder / str(spec.seeds[number])
    done = Run.open(folder).done if (folder / "spec.json").is_file() else None

    def report(epoch: int, best: float) -> None:
        step = number * spec.base.train.budget.epochs + epoch + 1
        trial.trial.report((sum(earlier) + best) / (number + 1), step)

    term = score_name(spec.base.train.criterion)
    callback = TrialCallback(folder / "log.csv", report, trial.trial.should_prune, term)
    if done is not None:  # finished by a worker that was killed in a later seed
        for epoch, score in past_scores(callback.curves, term):
            callback.observe(epoch, score)
    run_spec = spec.run_spec(trial.entry, trial.drawn, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EpochWarning)  # one for each of many trials; their notes keep it
        run = train_run(run_spec, folder, dataset=dataset, callbacks=[callback], progress=False)
    assert run.done is not None, "training returned before it was finished"
    return run.done["score"]


def _write_results(studies: Studies, dataset: Dataset) -> dict[str, Any]:
    """Write tuning.json, and the best specifications once all trials have ended."""
    with studies.locked():
        results = summarize(studies, dataset)
        if results["complete"]:
            write_best(studies, results)
        write_json(studies.out / "tuning.json", results)
    return results


def _progress_line(claimed: ClaimedTrial, results: dict[str, Any]) -> str:
    method = results["methods"][claimed.entry.title]
    trial = next(trial for trial in method["trials"] if trial["id"] == claimed.id)
    score = "" if trial["score"] is None else f" {trial['score']:.4g}"
    best = "" if method["score"] is None else f", best {method['score']:.4g}"
    ended = sum(trial["state"] != "running" for trial in method["trials"])
    return f"{claimed.id}: {trial['state']}{score} ({ended} of {results['budget']['trials']}{best})"


def log_to_stderr(line: str) -> None:
    """Print a line of progress on standard error."""
    print(line, file=sys.stderr, flush=True)
