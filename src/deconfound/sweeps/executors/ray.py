"""`ray`: the jobs as tasks of a Ray cluster (extra `cluster`), with CPU threads and a fraction of a GPU each.

Every node needs deconfound installed, the sweep's folder and the stores at the same paths: a shared file system. A node
that dies has its jobs begun again on another one, from their last finished epoch.
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
from deconfound.sweeps.jobs import Outcome, Work


class RayCluster(Executor):
    """A running cluster at `address` ("auto" for the one that this machine belongs to), else one on this machine."""

    def __init__(self, resources: Resources) -> None:
        if resources.threads == "divide":
            raise SpecError("threads = 'divide' has no meaning on a cluster; give a number of threads per run")
        if resources.address and resources.workers:
            raise SpecError("a running cluster decides how many jobs run at once; leave workers or the address out")
        try:
            self.ray: Any = importlib.import_module("ray")
        except ImportError as error:
            raise SpecError(
                "the executor 'ray' needs Ray; install it with: pip install 'deconfound[cluster]'"
            ) from error
        super().__init__(resources)
        self.ours = False

    @property
    def threads(self) -> int:
        assert self.resources.threads != "divide"
        return self.resources.threads

    def run(self, works: Sequence[Work]) -> Generator[Outcome, None, None]:
        ray, pending = self.ray, dict[Any, Work]()
        if not ray.is_initialized():
            self._connect()
            self.ours = True
        try:
            task = ray.remote(
                num_cpus=self.threads, num_gpus=self.resources.gpus, max_retries=ATTEMPTS - 1, retry_exceptions=False
            )(_perform)
            pending |= {task.remote(work.to_json()): work for work in works}
            while pending:
                (ready,), _ = ray.wait(list(pending), num_returns=1)
                yield self._outcome(ready, pending.pop(ready))
        finally:
            for reference in pending:
                ray.cancel(reference, force=True)

    def close(self) -> None:
        if self.ours:
            self.ray.shutdown()
            self.ours = False

    def _connect(self) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = self.resources.address
        new = {} if address else {"num_cpus": (self.resources.workers or 0) * self.threads or None}
        try:
            self.ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=None if address else False,
                **new,
            )
        except (ConnectionError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise SpecError(f"no Ray cluster answers at {address!r} ({reason}); begin one with 'ray start'") from error

    def _outcome(self, ready: Any, work: Work) -> Outcome:
        from deconfound.sweeps.execute import WorkerLostError, note_failure

        try:
            return Outcome(**json.loads(self.ray.get(ready)))
        except self.ray.exceptions.RayError as error:
            reason = " ".join(str(error).split())
            return note_failure(work, WorkerLostError(f"its worker or node was lost {ATTEMPTS} times ({reason:.200})"))


def _perform(line: str) -> str:
    """A job on a node of the cluster, from JSON to JSON."""
    from deconfound.sweeps.execute import run_job, without_slurm

    without_slurm()
    return json.dumps(asdict(run_job(Work.of_json(line))))
