"""`tune`: search each method's hyper-parameters by validation risk, with the same budget for every method.

A trial trains one configuration with every seed of the tuning; its score is the mean over the seeds of the best validation
risk. Training cuts the test rows off before it begins, so no trial can see one. Any number of processes may call `tune` with
the same folder: they share the trials. A call after a kill goes on where the others stopped.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback
from torch import Tensor

from deconfound.data.dataset import Dataset
from deconfound.errors import RunError
from deconfound.io.files import atomic_write
from deconfound.runs.build import apply_data_spec, build_method, load_data
from deconfound.runs.csv_log import read_log
from deconfound.runs.run import Run
from deconfound.training.learner import SELECTION
from deconfound.training.train import train_run
from deconfound.tuning.result import summary, write_best
from deconfound.tuning.spec import TuneSpec
from deconfound.tuning.study import Studies, Turn


def tune(
    spec: TuneSpec, out: str | Path, *, dataset: Dataset | None = None, say: Callable[[str], object] | None = None
) -> dict[str, Any]:
    """Do trials until the budget of every method is used, by this process and others that work in the same folder.

    Args:
        out: folder of the tuning; made if it does not exist.
        dataset: replaces what the specification names under [data].
        say: is told a line after each trial.

    Returns:
        what `tuning.json` holds, see `deconfound.tuning.result.summary`. Where other processes still have trials at work,
        "complete" is False and they write the rest.

    Raises:
        SpecError, DataError: a configuration or data that cannot be trained, before any trial.
        RunError: the folder holds another tuning or cannot be written, or Optuna is not installed.
    """
    out = Path(out)
    whole = dataset if dataset is not None else load_data(spec.data)
    _rehearse(spec, whole)
    _claim(out, spec, whole.checksum)
    studies = Studies(spec, out)
    while True:
        with studies.turn() as turn:
            if turn is None:
                break
            _do(turn, spec, whole)
        found = _keep(studies, whole)
        if say is not None:
            say(_told(turn, found))
    return _keep(studies, whole)


def _rehearse(spec: TuneSpec, whole: Dataset) -> None:
    """Build each method once, so that a mistake is told before the first trial."""
    for entry in spec.method:
        run = spec.run_spec(entry, {}, spec.seeds[0])
        development = apply_data_spec(whole, run.data).development()
        build_method(run, development.modalities, development.task)


def _claim(out: Path, spec: TuneSpec, checksum: str) -> None:
    """Make the folder, or make sure that it is this tuning's; only the number of trials may have grown."""
    file = out / "tune.json"
    wanted = {"spec": json.loads(spec.model_dump_json()), "data": checksum}
    if file.is_file():
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            begun, trials = found["spec"] | {"trials": spec.trials}, int(found["spec"]["trials"])
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{file} is damaged ({error}); choose another folder") from error
        differing = [name for name, value in wanted["spec"].items() if begun.get(name) != value]
        if differing or found["data"] != checksum:
            what = f"{differing[0]!r} differs" if differing else "the data differ"
            raise RunError(f"{out} holds another tuning ({what}); choose another folder")
        if trials >= spec.trials:
            if trials > spec.trials:
                raise RunError(f"{out} was begun with {trials} trials; give trials = {trials} or more to go on")
            return
    elif out.is_dir() and any(entry.name[0] != "." for entry in out.iterdir()):
        raise RunError(f"{out} is not empty and not a tuning; choose another folder")
    with atomic_write(file) as handle:
        json.dump(wanted, handle, indent=1)


class Watch(Callback):
    """Reports the best validation risk so far after each epoch, and may give the run up before the next one.

    Args:
        curves: log.csv of the run.
        report: takes the number of the epoch, from 0, and the lowest validation risk up to it.
        hopeless: True if the run is to be given up; raises `GivenUp`.
    """

    def __init__(self, curves: Path, report: Callable[[int, float], None], hopeless: Callable[[], bool]) -> None:
        self.curves, self.report, self.hopeless = curves, report, hopeless
        self.best = math.inf
        self.total: Tensor | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch:  # resumed: what was reported to a trial that is gone is reported again
            for epoch, risk in past_risks(self.curves):
                if epoch < trainer.current_epoch:
                    self._note(epoch, risk)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.total = None
        if trainer.current_epoch and self.hopeless():
            raise Pruned

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Tensor) -> None:
        self.total = loss.detach() if self.total is None else self.total + loss.detach()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        risk = float(trainer.callback_metrics[SELECTION])
        if not math.isfinite(risk) or self.total is None or not math.isfinite(float(self.total)):
            raise Diverged(f"the loss or the validation risk became infinite in epoch {trainer.current_epoch}")
        self._note(trainer.current_epoch, risk)

    def _note(self, epoch: int, risk: float) -> None:
        self.best = min(self.best, risk)
        self.report(epoch, self.best)


class Pruned(Exception):  # noqa: N818 (no error: a decision)
    """The trial is worse than the median and is not trained on."""


class Diverged(Exception):  # noqa: N818 (no error of the user: an outcome of the trial)
    """The loss is not a number any more."""


def past_risks(log: Path) -> list[tuple[int, float]]:
    """(epoch, validation risk) of a log, in order."""
    return [(row["epoch"], row["value"]) for row in read_log(log) if f"{row['split']}/{row['term']}" == SELECTION]


def _do(turn: Turn, spec: TuneSpec, whole: Dataset) -> None:
    """Train one trial and tell the study how it ended."""
    from optuna.trial import TrialState

    scores: dict[str, float] = {}
    try:
        for number, seed in enumerate(spec.seeds):
            scores[str(seed)] = _train(turn, spec, whole, number, list(scores.values()))
    except Pruned:
        turn.trial.set_user_attr("scores", scores)
        turn.study.tell(turn.trial, state=TrialState.PRUNED)
    except Diverged as error:
        turn.trial.set_user_attr("scores", scores)
        turn.trial.set_user_attr("error", str(error))
        turn.study.tell(turn.trial, state=TrialState.PRUNED)  # not FAIL: the sampler is to learn from it
    else:
        turn.trial.set_user_attr("scores", scores)
        turn.study.tell(turn.trial, sum(scores.values()) / len(scores))


def _train(turn: Turn, spec: TuneSpec, whole: Dataset, number: int, before: list[float]) -> float:
    """Train the seed with this number and return its best validation risk.

    What is reported at an epoch is the mean of the earlier seeds' scores and this one's best risk so far, so that
    a trial is compared with others at the same seed and epoch.
    """
    seed, folder = spec.seeds[number], turn.folder / str(spec.seeds[number])
    done = Run.open(folder).done if (folder / "spec.json").is_file() else None

    def report(epoch: int, best: float) -> None:
        turn.trial.report((sum(before) + best) / (number + 1), number * spec.base.train.epochs + epoch + 1)

    watch = Watch(folder / "log.csv", report, turn.trial.should_prune)
    if done is not None:  # finished by a worker that was killed in a later seed
        for epoch, risk in past_risks(watch.curves):
            watch._note(epoch, risk)
    wanted = spec.run_spec(turn.entry, turn.drawn, seed)
    run = train_run(wanted, folder, dataset=whole, callbacks=[watch], progress=False)
    assert run.done is not None, "training returned without an end"
    return run.done["best_risk"]


def _keep(studies: Studies, whole: Dataset) -> dict[str, Any]:
    """Write tuning.json, and the best specifications once all trials have ended."""
    with studies.alone():
        found = summary(studies, whole)
        if found["complete"]:
            write_best(studies, found)
        with atomic_write(studies.out / "tuning.json") as file:
            json.dump(found, file, indent=1, allow_nan=False)
    return found


def _told(turn: Turn, found: dict[str, Any]) -> str:
    method = found["methods"][turn.entry.title]
    trial = next(each for each in method["trials"] if each["id"] == turn.id)
    score = "" if trial["score"] is None else f" {trial['score']:.4g}"
    best = "" if method["score"] is None else f", best {method['score']:.4g}"
    ended = sum(each["state"] != "running" for each in method["trials"])
    return f"{turn.id}: {trial['state']}{score} ({ended} of {found['budget']['trials']}{best})"


def say_to_terminal(line: str) -> None:
    """Progress for people: on standard error."""
    print(line, file=sys.stderr, flush=True)
