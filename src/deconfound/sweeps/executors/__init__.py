"""Executors run the jobs of a sweep: one module each, or an entry point of the group `deconfound.executors`.

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
from deconfound.sweeps.jobs import JobResult, WorkItem

ATTEMPTS = 3
"""How often a job is started in one call of the sweep if its process is killed from outside."""


@dataclass(frozen=True)
class Resources:
    """What an executor may use.

    Args:
        workers: number of jobs at once; None for the default of the executor.
        threads: CPU threads per job; "divide" divides the cores of this machine among the workers.
        gpus: GPUs per job on a cluster; a fraction shares one.
        address: address of a running cluster; None starts one on this machine.
    """

    workers: int | None = None
    threads: int | Literal["divide"] = 1
    gpus: float = 0.0
    address: str | None = None


class Executor(ABC):
    """Base of all executors; constructed with `Resources` alone.

    Raises:
        SpecError: the executor cannot use these resources.
    """

    def __init__(self, resources: Resources) -> None:
        self.resources = resources

    @property
    @abstractmethod
    def threads(self) -> int:
        """Number of CPU threads of each job."""

    @abstractmethod
    def run(self, items: Sequence[WorkItem]) -> Generator[JobResult, None, None]:
        """Do all work items and yield each result as soon as it is known, in any order.

        May be called again. A job whose process dies is started again, up to `ATTEMPTS` times in all, and then fails with
        `WorkerLostError`. Closing the generator stops what is running.
        """

    def close(self) -> None:  # noqa: B027 (most executors keep nothing between two calls)
        """Release what is kept between two calls of `run`, such as idle processes."""


def cores() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def names() -> list[str]:
    """Names of all executors, sorted; imports none of them."""
    own = {module.name for module in pkgutil.iter_modules(__path__)}
    return sorted(own | {point.name for point in entry_points(group="deconfound.executors")})


def make_executor(name: str, resources: Resources) -> Executor:
    """An executor by name.

    Raises:
        SpecError: there is no such executor, it cannot use the resources, or a package that it needs is not installed.
    """
    if name not in names():
        raise SpecError(f"there is no executor {name!r}{did_you_mean(name, names())}")
    for point in entry_points(group="deconfound.executors"):
        if point.name == name:
            return point.load()(resources)
    module = importlib.import_module(f"{__name__}.{name}")
    (executor,) = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__ and issubclass(value, Executor)
    ]
    return executor(resources)


def refuse_unused(resources: Resources, name: str, *fields: str) -> None:
    """Refuse resources that an executor does not use.

    Raises:
        SpecError: one of the fields is set.
    """
    for field in fields:
        if getattr(resources, field) != getattr(Resources(), field):
            raise SpecError(f"the executor {name!r} does not use {field}; leave it out or choose another executor")
