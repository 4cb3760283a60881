"""`ray`: jobs as tasks on a Ray cluster (extra `cluster`), each with CPU threads and a fraction of a GPU.

Every node needs deconfound, and the folder of the sweep and the stores at the same paths: a shared file system. If a node
dies, its jobs start again on another one, from their last finished epoch.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
from collections.abc import Generator, Sequence
from dataclasses import asdict
from typing import Any

from deconfound.errors import SpecError
from deconfound.sweeps.executors import ATTEMPTS, Executor, Resources
from deconfound.sweeps.jobs import JobResult, WorkItem


class RayCluster(Executor):
    """Uses the cluster at `address` ("auto": the one that this machine belongs to); without one it starts Ray here."""

    def __init__(self, resources: Resources) -> None:
        if resources.threads == "divide":
            raise SpecError("threads = 'divide' is not possible on a cluster; give the number of threads of a run")
        if resources.address and resources.workers:
            raise SpecError("a running cluster decides how many jobs run at once; leave out workers or address")
        try:
            self.ray: Any = importlib.import_module("ray")
        except ImportError as error:
            raise SpecError(
                "the executor 'ray' needs Ray; install it with: pip install 'deconfound[cluster]'"
            ) from error
        super().__init__(resources)
        self.started_here = False

    @property
    def threads(self) -> int:
        assert self.resources.threads != "divide"
        return self.resources.threads

    def run(self, items: Sequence[WorkItem]) -> Generator[JobResult, None, None]:
        ray, pending = self.ray, dict[Any, WorkItem]()
        if not ray.is_initialized():
            self._connect()
            self.started_here = True
        try:
            task = ray.remote(
                num_cpus=self.threads, num_gpus=self.resources.gpus, max_retries=ATTEMPTS - 1, retry_exceptions=False
            )(_run_job)
            pending |= {task.remote(item.to_json()): item for item in items}
            while pending:
                (ready,), _ = ray.wait(list(pending), num_returns=1)
                yield self._result(ready, pending.pop(ready))
        finally:
            for reference in pending:
                ray.cancel(reference, force=True)

    def close(self) -> None:
        if self.started_here:
            self.ray.shutdown()
            self.started_here = False

    def _connect(self) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = self.resources.address
        options = {} if address else {"num_cpus": (self.resources.workers or 0) * self.threads or None}
        try:
            self.ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=None if address else False,
                **options,
            )
        except (ConnectionError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise SpecError(f"no Ray cluster answers at {address!r} ({reason}); start one with 'ray start'") from error

    def _result(self, ready: Any, item: WorkItem) -> JobResult:
        from deconfound.sweeps.execute import WorkerLostError, record_failure

        try:
            return JobResult(**json.loads(self.ray.get(ready)))
        except self.ray.exceptions.RayError as error:
            reason = " ".join(str(error).split())
            return record_failure(
                item, WorkerLostError(f"its worker or node was lost {ATTEMPTS} times ({reason:.200})")
            )


def _run_job(line: str) -> str:
    """Run a job on a node of the cluster, from JSON to JSON."""
    from deconfound.sweeps.execute import run_job, without_slurm

    without_slurm()
    return json.dumps(asdict(run_job(WorkItem.from_json(line))))
