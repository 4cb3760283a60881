"""The study of a tuning: whose turn it is, kept in one journal file that any number of workers share.

A tuning has `trials` slots per method. A worker takes the next free slot under a lock, trains it, and holds a lock on the
slot's folder meanwhile. The system frees that lock however the worker ends; the slot of a worker that was killed is given to
the next one with the same values, so that its half-finished runs go on. All locks are `flock`, which every node of a
cluster sees on a shared file system.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from deconfound.errors import RunError
from deconfound.training.loaders import derive_seed
from deconfound.tuning.spec import Dimension, TuneSpec, slug

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

    from deconfound.sweeps.spec import MethodEntry


@dataclass(frozen=True, eq=False)
class Turn:
    """A trial that this process is to do.

    Args:
        entry: its method.
        slot: its number within the method, from 0.
        drawn: `Dimension.key` → value.
        folder: its runs, one folder per seed.
        trial: to report to.
    """

    entry: MethodEntry
    slot: int
    drawn: dict[str, Any]
    folder: Path
    study: Study
    trial: Trial

    @property
    def id(self) -> str:
        """ "cmir-007"."""
        return self.folder.name


class Studies:
    """One study per method in one journal.

    Args:
        spec: the tuning.
        out: its folder.

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
        with self.alone():
            self.storage = _open_journal(out / "journal.log")
            for entry in spec.method:
                optuna.create_study(
                    storage=self.storage, study_name=entry.title, direction="minimize", load_if_exists=True
                )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the tuning against all other workers."""
        handle = _lock(self.out / ".study", wait=True)
        assert handle is not None, "a lock that is waited for is had"
        with handle:
            yield

    @contextmanager
    def turn(self) -> Iterator[Turn | None]:
        """Take the next slot and hold it while the block runs; None where all slots are taken.

        The method with the fewest taken slots comes first, so the budgets stay equal at every moment.
        """
        lock: IO[str] | None = None
        found: Turn | None = None
        try:
            with self.alone():
                free = [(slots[0], number) for number, slots in enumerate(self._free()) if slots]
                if free:
                    slot, number = min(free)
                    found = self._take(self.spec.method[number], slot)
                    lock = _lock(found.folder / ".trial", wait=False)
                    assert lock is not None, f"slot {found.id} is free and held"
            yield found
        finally:
            if lock is not None:
                lock.close()

    def trials(self, entry: MethodEntry) -> list[FrozenTrial]:
        """One per taken slot, in the order of the slots; trials whose worker was killed are left out."""
        from optuna.trial import TrialState

        found = self._study(entry).get_trials(deepcopy=False)
        kept = [t for t in found if t.state != TrialState.FAIL and "slot" in t.user_attrs]
        return sorted(kept, key=lambda trial: trial.user_attrs["slot"])

    def _free(self) -> list[list[int]]:
        """Per method the free slots, after those of killed workers were freed. Call it alone."""
        from optuna.trial import TrialState

        free = []
        for entry in self.spec.method:
            study = self._study(entry)
            for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
                slot = trial.user_attrs.get("slot")
                if slot is None or not is_held(self.folder(entry, slot) / ".trial"):
                    study.tell(trial.number, state=TrialState.FAIL)
            taken = {trial.user_attrs["slot"] for trial in self.trials(entry)}
            free.append([slot for slot in range(self.spec.trials) if slot not in taken])
        return free

    def folder(self, entry: MethodEntry, slot: int) -> Path:
        """Where the runs of a slot are."""
        return self.out / "trials" / f"{slug(entry.title)}-{slot:03d}"

    def _take(self, entry: MethodEntry, slot: int) -> Turn:
        """Begin a trial: with the values that the slot had before, with the defaults in slot 0, else drawn."""
        study, space = self._study(entry), self.spec.space(entry)
        before = [t for t in study.get_trials(deepcopy=False) if t.user_attrs.get("slot") == slot]
        fixed = dict(before[-1].params) if before else (_defaults(space) if slot == 0 else None)
        seed = derive_seed(
            self.spec.seed, *entry.title.encode(), slot
        )  # not of the process, or a restart would repeat draws
        study.sampler = _sampler(seed) if fixed is None else _fixed(fixed)
        trial = study.ask(fixed_distributions={d.key: _distribution(d) for d in space})
        trial.set_user_attr("slot", slot)
        folder = self.folder(entry, slot)
        folder.mkdir(exist_ok=True)
        return Turn(entry, slot, dict(trial.params), folder, study, trial)

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
    """The values without tuning, None where one of them lies outside of its range."""
    inside = all(d.default is not None and d.low <= d.default <= d.high for d in space)
    return {d.key: d.default for d in space} if inside else None


def _sampler(seed: int) -> BaseSampler:
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed)


def _fixed(values: Mapping[str, Any]) -> BaseSampler:
    """Draws exactly these values."""
    from optuna.samplers import BaseSampler

    class Fixed(BaseSampler):
        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            return {}

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
            return {}

        def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
            return values[param_name]

    return Fixed()


def is_held(path: Path) -> bool:
    """True while another process holds this lock."""
    if not path.is_file():
        return False
    handle = _lock(path, wait=False)
    if handle is None:
        return True
    handle.close()
    return False


def _lock(path: Path, wait: bool) -> IO[str] | None:
    """An open file whose closing frees the lock; None if it is held and we do not wait."""
    try:
        handle = open(path, "w")  # noqa: SIM115 (the caller closes it)
    except OSError as error:
        raise RunError(f"cannot write {path.parent}: {error.strerror}; choose a folder you may write to") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        handle.close()
        return None
    return handle


def _open_journal(path: Path) -> BaseStorage:
    """Optuna's journal under a lock that dies with its holder, and mended where a writer died within a line."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    lock = _JournalLock(path)
    lock.acquire()
    lock.release()
    try:
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))  # type: ignore[arg-type]
    except (ValueError, KeyError) as error:
        raise RunError(f"the journal {path} is damaged ({error}); choose another folder") from error


class _JournalLock:
    """What Optuna takes before it appends; its own locks are files that a killed worker would leave behind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.handle: IO[str] | None = None

    def acquire(self) -> bool:
        self.handle = _lock(self.path.with_name(".journal"), wait=True)
        _mend(self.path)
        return True

    def release(self) -> None:
        if self.handle is not None:
            self.handle.close()


def _mend(path: Path) -> None:
    """Cut off a last line without its end; call it under the journal's lock."""
    if not path.is_file():
        return
    with open(path, "rb+") as file:
        size = file.seek(0, os.SEEK_END)
        end = size
        while end:
            start = max(0, end - 65536)
            file.seek(start)
            place = file.read(end - start).rfind(b"\n")
            end = start if place < 0 else start + place + 1
            if place >= 0:
                break
        if end < size:
            file.truncate(end)
