"""`serial`: one job after the other in this process."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from deconfound.errors import SpecError
from deconfound.sweeps.executors import Executor, Resources, cores, refuse_unused
from deconfound.sweeps.jobs import JobResult, WorkItem


class Serial(Executor):
    """Runs each job in this process."""

    def __init__(self, resources: Resources) -> None:
        refuse_unused(resources, "serial", "gpus", "address")
        if resources.workers not in (None, 1):
            raise SpecError(
                f"workers = {resources.workers} needs the executor 'processes'; 'serial' runs one job at a time"
            )
        super().__init__(resources)

    @property
    def threads(self) -> int:
        return cores() if self.resources.threads == "divide" else self.resources.threads

    def run(self, items: Sequence[WorkItem]) -> Generator[JobResult, None, None]:
        from deconfound.sweeps.execute import run_job

        yield from map(run_job, items)
