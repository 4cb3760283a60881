"""The studies of a tuning: one per method, in one journal file that all workers share.

A tuning has `trials` slots per method. A worker takes the next free slot, claims the folder of the slot and trains there.
The system frees the claim however the worker ends. The slot of a killed worker goes to the next worker with the same values,
so its half-finished runs resume. All locks are `flock` locks, which every node of a cluster sees on a shared file system.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deconfound.errors import RunError
from deconfound.io.limits import LINES
from deconfound.io.lock import wait_for_lock
from deconfound.io.reading import FileKind, object_of, parse_json, read_bytes, reading
from deconfound.sweeps.jobs import JobResult, claim_job, is_claimed
from deconfound.sweeps.search_space import Dimension
from deconfound.training.loaders import derive_seed
from deconfound.tuning.spec import TuneSpec, slug

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

    from deconfound.sweeps.spec import MethodEntry


_JOURNAL = FileKind("journal", RunError, "choose another folder", LINES)


@dataclass(frozen=True, eq=False)
class ClaimedTrial:
    """A trial that this process is to run.

    Args:
        entry: its method.
        slot: its number within the method, from 0.
        drawn: `Dimension.key` → value.
        folder: folder of its runs, which are one folder per seed.
        trial: Optuna's trial, for intermediate values.
    """

    entry: MethodEntry
    slot: int
    drawn: dict[str, Any]
    folder: Path
    trial: Trial

    @property
    def id(self) -> str:
        """ "cmir-007"."""
        return self.folder.name


class Studies:
    """One study per method in one journal.

    Args:
        spec: specification of the tuning.
        out: folder of the tuning.

    Raises:
        RunError: Optuna is not installed, or the folder cannot be written.
    """

    def __init__(self, spec: TuneSpec, out: Path) -> None:
        try:
            import optuna
        except ImportError as error:
            raise RunError("tuning needs Optuna; install it with: pip install 'deconfound[tune]'") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.spec, self.out = spec, out
        self.pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
        if spec.pruning.enabled:
            self.pruner = optuna.pruners.MedianPruner(spec.pruning.startup_trials, spec.pruning.warmup_epochs)
        (out / "trials").mkdir(parents=True, exist_ok=True)
        with self.locked(), reading(out / "journal.log", _JOURNAL):
            self.storage = _open_journal(out / "journal.log")
            for entry in spec.method:
                optuna.create_study(
                    storage=self.storage, study_name=entry.title, direction="minimize", load_if_exists=True
                )

    def locked(self) -> AbstractContextManager[None]:
        """Keep all other workers from the tuning's journal and results while the block runs; wait for them first."""
        return wait_for_lock(self.out / ".study")

    @contextmanager
    def next_trial(self) -> Iterator[ClaimedTrial | None]:
        """Claim the next free slot while the block runs; None if all slots are taken.

        The method with the fewest taken slots comes first, so the budgets stay equal at every moment.
        """
        with ExitStack() as claims:
            trial = None
            with self.locked():
                free = [(slots[0], number) for number, slots in enumerate(self._free_slots()) if slots]
                if free:
                    slot, number = min(free)
                    trial = self._start_trial(self.spec.method[number], slot)
                    claimed = claims.enter_context(claim_job(trial.folder))
                    assert claimed, f"slot {trial.id} is free and claimed"
            yield trial

    def record(self, trial: ClaimedTrial, result: JobResult, scores: Mapping[str, float]) -> None:
        """Tell the study how a trial ended.

        Args:
            scores: seed → best validation risk, of the seeds that were trained to the end.
        """
        from optuna.trial import TrialState

        trial.trial.set_user_attr("scores", dict(scores))
        if result.error:
            trial.trial.set_user_attr("error", result.error)
        study = trial.trial.study
        if result.value is None:
            study.tell(trial.trial, state=TrialState.PRUNED)  # not FAIL: the sampler is to learn from it
        else:
            study.tell(trial.trial, result.value)

    def trials(self, entry: MethodEntry) -> list[FrozenTrial]:
        """One trial per taken slot, in the order of the slots; trials of killed workers are left out."""
        from optuna.trial import TrialState

        trials = self._study(entry).get_trials(deepcopy=False)
        kept = [trial for trial in trials if trial.state != TrialState.FAIL and "slot" in trial.user_attrs]
        with reading(self.out / "journal.log", _JOURNAL):
            for trial in kept:
                _check_trial(trial)
        return sorted(kept, key=lambda trial: trial.user_attrs["slot"])

    def folder(self, entry: MethodEntry, slot: int) -> Path:
        """Folder of the runs of a slot."""
        return self.out / "trials" / f"{slug(entry.title)}-{slot:03d}"

    def _free_slots(self) -> list[list[int]]:
        """The free slots of each method, after those of killed workers were freed; call it in `locked`."""
        from optuna.trial import TrialState

        free = []
        for entry in self.spec.method:
            study = self._study(entry)
            for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
                slot = trial.user_attrs.get("slot")
                if slot is None or not is_claimed(self.folder(entry, slot)):
                    study.tell(trial.number, state=TrialState.FAIL)
            taken = {trial.user_attrs["slot"] for trial in self.trials(entry)}
            free.append([slot for slot in range(self.spec.trials) if slot not in taken])
        return free

    def _start_trial(self, entry: MethodEntry, slot: int) -> ClaimedTrial:
        """Start a trial with the values that the slot had before, else with the defaults in slot 0, else with new draws."""
        study, space = self._study(entry), self.spec.space(entry)
        earlier = [t for t in study.get_trials(deepcopy=False) if t.user_attrs.get("slot") == slot]
        values = dict(earlier[-1].params) if earlier else (_defaults(space) if slot == 0 else None)
        # the seed does not depend on the process, or a restart would repeat draws
        seed = derive_seed(self.spec.seed, *entry.title.encode(), slot)
        study.sampler = _sampler(seed) if values is None else _fixed_sampler(values)
        trial = study.ask(fixed_distributions={d.key: _distribution(d) for d in space})
        trial.set_user_attr("slot", slot)
        folder = self.folder(entry, slot)
        folder.mkdir(exist_ok=True)
        return ClaimedTrial(entry, slot, dict(trial.params), folder, trial)

    def _study(self, entry: MethodEntry) -> Study:
        import optuna

        return optuna.load_study(
            study_name=entry.title, storage=self.storage, sampler=_sampler(self.spec.seed), pruner=self.pruner
        )


def _distribution(dimension: Dimension) -> BaseDistribution:
    from optuna.distributions import FloatDistribution, IntDistribution

    if dimension.integer:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _defaults(space: Sequence[Dimension]) -> dict[str, Any] | None:
    """The values without tuning; None if one of them is outside its range."""
    inside = all(d.default is not None and d.low <= d.default <= d.high for d in space)
    return {d.key: d.default for d in space} if inside else None


def _sampler(seed: int) -> BaseSampler:
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed)


def _fixed_sampler(values: Mapping[str, Any]) -> BaseSampler:
    """A sampler that draws exactly these values."""
    from optuna.samplers import BaseSampler

    class FixedSampler(BaseSampler):
        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            return {}

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
            return {}

        def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
            return values[param_name]

    return FixedSampler()


def _open_journal(path: Path) -> BaseStorage:
    """Open Optuna's journal with a lock that ends with its process, and repair a line that a killed writer left unfinished."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    _check_journal(path)
    lock = _JournalLock(path)
    lock.acquire()
    lock.release()
    with reading(path, _JOURNAL):
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))  # type: ignore[arg-type]


def _check_trial(trial: FrozenTrial) -> None:
    """Raise ValueError for a trial whose notes have a type that `Studies` does not write."""
    slot, error, scores = (trial.user_attrs.get(name) for name in ("slot", "error", "scores"))
    numbers = isinstance(slot, int) and isinstance(trial.value, float | int | None) and isinstance(scores or {}, dict)
    numbers = numbers and all(isinstance(score, int | float) for score in (scores or {}).values())
    if not numbers or not isinstance(error or "", str):
        raise ValueError(f"the notes of trial {trial.number} are not those of a tuning")


def _check_journal(path: Path) -> None:
    """Refuse what Optuna would not survive: pipes, huge files, and values of hyper-parameters nested without end."""
    with reading(path, _JOURNAL):
        if not path.exists():
            return
    content = read_bytes(path, _JOURNAL)
    with reading(path, _JOURNAL):
        for line in content[: content.rfind(b"\n") + 1].splitlines():  # a line that is cut short is repaired later
            object_of(parse_json(line, infinite=True))


class _JournalLock:
    """The lock that Optuna takes before it appends; its own locks are files that a killed worker would leave behind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held = ExitStack()

    def acquire(self) -> bool:
        self.held.enter_context(wait_for_lock(self.path.with_name(".journal")))
        _repair(self.path)
        return True

    def release(self) -> None:
        self.held.close()


def _repair(path: Path) -> None:
    """Cut off a last line without a line end; call it under the lock of the journal."""
    if not path.is_file():
        return
    with open(path, "rb+") as file:
        size = file.seek(0, os.SEEK_END)
        end = size
        while end:
            start = max(0, end - 65536)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            end = start if newline < 0 else start + newline + 1
            if newline >= 0:
                break
        if end < size:
            file.truncate(end)
