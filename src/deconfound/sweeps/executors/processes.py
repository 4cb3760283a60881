"""`processes`: several worker processes on this machine, each with its share of the CPU threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread

from deconfound.sweeps.executors import ATTEMPTS, Executor, Resources, cores, refuse_unused
from deconfound.sweeps.jobs import JobResult, WorkItem

_POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS")


class Processes(Executor):
    """Starts workers that live until `close`; by default as many as the cores have room for."""

    def __init__(self, resources: Resources) -> None:
        refuse_unused(resources, "processes", "gpus", "address")
        super().__init__(resources)
        self.idle: list[subprocess.Popen[str]] = []

    @property
    def threads(self) -> int:
        threads = self.resources.threads
        return max(1, cores() // (self.resources.workers or cores())) if threads == "divide" else threads

    @property
    def workers(self) -> int:
        """Number of jobs at once."""
        return self.resources.workers or max(1, cores() // self.threads)

    def run(self, items: Sequence[WorkItem]) -> Generator[JobResult, None, None]:
        waiting, results = deque(items), SimpleQueue[JobResult | BaseException]()
        slots = [_Slot(waiting, results, self.threads) for _ in range(min(self.workers, len(items)))]
        for slot in slots:
            slot.process = self.idle.pop() if self.idle else None
            slot.start()
        try:
            for _ in items:
                result = results.get()
                if isinstance(result, BaseException):
                    raise result
                yield result
        except BaseException:
            waiting.clear()
            for slot in slots:
                slot.stop()
            raise
        for slot in slots:
            slot.join()
            self.idle += [slot.process] if slot.process else []

    def close(self) -> None:
        while self.idle:
            _kill(self.idle.pop())


class _Slot(Thread):
    """A thread that gives work items to a worker process and starts a new one when the old one dies."""

    def __init__(self, waiting: deque[WorkItem], results: SimpleQueue[JobResult | BaseException], threads: int) -> None:
        super().__init__(daemon=True)
        self.waiting, self.results, self.threads = waiting, results, threads
        self.process: subprocess.Popen[str] | None = None
        self.stopped = False

    def run(self) -> None:
        try:
            while not self.stopped:
                try:
                    item = self.waiting.popleft()
                except IndexError:
                    return
                result = self._run_item(item)
                if result is not None:
                    self.results.put(result)
        except BaseException as error:  # a fault of ours must reach the sweep, which would wait for ever
            self.results.put(error)

    def stop(self) -> None:
        """Stop the worker, whatever it is doing."""
        self.stopped = True
        while self.is_alive():  # again and again: the thread may have been about to start another worker
            if self.process is not None:
                self.process.kill()
            self.join(0.1)
        if self.process is not None:
            _kill(self.process)

    def _run_item(self, item: WorkItem) -> JobResult | None:
        """The result of an item, or None if the sweep stopped the worker."""
        status: int | None = None
        for _ in range(ATTEMPTS):
            reply = self._send(item)
            if reply.endswith("\n"):
                return JobResult(**json.loads(reply))
            if self.stopped:
                return None
            status = self.process.wait() if self.process else None
        from deconfound.sweeps.execute import WorkerLostError, record_failure

        how = f"killed by signal {-status}" if status is not None and status < 0 else f"ended with status {status}"
        return record_failure(
            item, WorkerLostError(f"its process was {how} {ATTEMPTS} times; check that the machine has enough memory")
        )

    def _send(self, item: WorkItem) -> str:
        """Send an item and return the reply of the worker; it has no line end if the worker died."""
        if self.stopped:
            return ""
        if self.process is None or self.process.poll() is not None:
            if self.process is not None:
                _kill(self.process)
            self.process = _worker(self.threads)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(item.to_json() + "\n")
            self.process.stdin.flush()
        except OSError:
            return ""
        return self.process.stdout.readline()


def _worker(threads: int) -> subprocess.Popen[str]:
    """Start a worker in its own session, so that Ctrl-C reaches only the sweep, which then stops the worker."""
    return subprocess.Popen(
        [sys.executable, "-m", "deconfound.sweeps.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
        env={**os.environ, **dict.fromkeys(_POOLS, str(threads))},
    )


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill a worker, wait for it and close its pipes."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # a job may still be in the pipe
                pipe.close()
