"""Where the jobs of a sweep are done: one module per executor, or an entry point of the group `deconfound.executors`.

The records do not depend on the executor: every job has its own seed and the same number of CPU threads everywhere.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Literal

from deconfound.errors import SpecError, did_you_mean
from deconfound.sweeps.jobs import Outcome, Work

ATTEMPTS = 3
"""How often a job is begun whose process is killed from outside, in one call of the sweep."""


@dataclass(frozen=True)
class Resources:
    """What an executor may use.

    Args:
        workers: jobs at once; None for the executor's own choice.
        threads: CPU threads of a job, "divide" for the cores of this machine divided among the workers.
        gpus: accelerators of a job, a fraction to share one; for a cluster.
        address: of a running cluster; None to start one on this machine.
    """

    workers: int | None = None
    threads: int | Literal["divide"] = 1
    gpus: float = 0.0
    address: str | None = None


class Executor(ABC):
    """Base of all executors; constructed with `Resources` alone.

    Raises:
        SpecError: resources that this executor cannot use.
    """

    def __init__(self, resources: Resources) -> None:
        self.resources = resources

    @property
    @abstractmethod
    def threads(self) -> int:
        """CPU threads that each job is to have."""

    @abstractmethod
    def run(self, works: Sequence[Work]) -> Generator[Outcome, None, None]:
        """Do all, and give each outcome as soon as it is known, in any order.

        May be called again. A job whose process dies is begun again, `ATTEMPTS` times in all, and then fails with
        `WorkerLostError`. Closing the generator ends what is running.
        """

    def close(self) -> None:  # noqa: B027 (most executors hold nothing between two calls)
        """Give back what is held between two calls of `run`, such as idle processes."""


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def names() -> list[str]:
    """Names of all executors, sorted; imports none of them."""
    own = {module.name for module in pkgutil.iter_modules(__path__)}
    return sorted(own | {point.name for point in entry_points(group="deconfound.executors")})


def make_executor(name: str, resources: Resources) -> Executor:
    """An executor by name.

    Raises:
        SpecError: no such name, resources that it cannot use, or a package that it needs is not installed.
    """
    if name not in names():
        raise SpecError(f"there is no executor {name!r}{did_you_mean(name, names())}")
    for point in entry_points(group="deconfound.executors"):
        if point.name == name:
            return point.load()(resources)
    module = importlib.import_module(f"{__name__}.{name}")
    (found,) = [
        c
        for c in vars(module).values()
        if isinstance(c, type) and c.__module__ == module.__name__ and issubclass(c, Executor)
    ]
    return found(resources)


def refuse(resources: Resources, name: str, *fields: str) -> None:
    """Refuse resources that an executor has no use for.

    Raises:
        SpecError: one of the fields is given.
    """
    for field in fields:
        if getattr(resources, field) != getattr(Resources(), field):
            raise SpecError(f"the executor {name!r} has no use for {field}; leave it out or choose another executor")
