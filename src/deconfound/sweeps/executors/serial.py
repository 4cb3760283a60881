"""`serial`: one job after the other in this process."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from deconfound.errors import SpecError
from deconfound.sweeps.executors import Executor, Resources, cores, refuse
from deconfound.sweeps.jobs import Outcome, Work


class Serial(Executor):
    """The plain loop."""

    def __init__(self, resources: Resources) -> None:
        refuse(resources, "serial", "gpus", "address")
        if resources.workers not in (None, 1):
            raise SpecError(f"workers = {resources.workers} with the executor 'serial'; choose 'processes'")
        super().__init__(resources)

    @property
    def threads(self) -> int:
        return cores() if self.resources.threads == "divide" else self.resources.threads

    def run(self, works: Sequence[Work]) -> Generator[Outcome, None, None]:
        from deconfound.sweeps.execute import run_job

        yield from map(run_job, works)
