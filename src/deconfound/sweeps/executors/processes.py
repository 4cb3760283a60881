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

from deconfound.sweeps.executors import ATTEMPTS, Executor, Resources, cores, refuse
from deconfound.sweeps.jobs import Outcome, Work

_POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS")


class Processes(Executor):
    """N workers that live until `close`. By default as many as the cores have room for."""

    def __init__(self, resources: Resources) -> None:
        refuse(resources, "processes", "gpus", "address")
        super().__init__(resources)
        self.idle: list[subprocess.Popen[str]] = []

    @property
    def threads(self) -> int:
        given = self.resources.threads
        return max(1, cores() // (self.resources.workers or cores())) if given == "divide" else given

    @property
    def workers(self) -> int:
        """How many jobs run at once."""
        return self.resources.workers or max(1, cores() // self.threads)

    def run(self, works: Sequence[Work]) -> Generator[Outcome, None, None]:
        waiting, outcomes = deque(works), SimpleQueue[Outcome | BaseException]()
        slots = [_Slot(waiting, outcomes, self.threads) for _ in range(min(self.workers, len(works)))]
        for slot in slots:
            slot.process = self.idle.pop() if self.idle else None
            slot.start()
        try:
            for _ in works:
                outcome = outcomes.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                yield outcome
        except BaseException:
            waiting.clear()
            for slot in slots:
                slot.end()
            raise
        for slot in slots:
            slot.join()
            self.idle += [slot.process] if slot.process else []

    def close(self) -> None:
        while self.idle:
            _end(self.idle.pop())


class _Slot(Thread):
    """One worker process after the other, and the thread that feeds them."""

    def __init__(self, waiting: deque[Work], outcomes: SimpleQueue[Outcome | BaseException], threads: int) -> None:
        super().__init__(daemon=True)
        self.waiting, self.outcomes, self.threads = waiting, outcomes, threads
        self.process: subprocess.Popen[str] | None = None
        self.ended = False

    def run(self) -> None:
        try:
            while not self.ended:
                try:
                    work = self.waiting.popleft()
                except IndexError:
                    return
                outcome = self._done(work)
                if outcome is not None:
                    self.outcomes.put(outcome)
        except BaseException as error:  # a fault of ours must reach the sweep, which would wait for ever
            self.outcomes.put(error)

    def end(self) -> None:
        """End the worker, whatever it is doing."""
        self.ended = True
        while self.is_alive():  # again and again: the thread may have been about to start another worker
            if self.process is not None:
                self.process.kill()
            self.join(0.1)
        if self.process is not None:
            _end(self.process)

    def _done(self, work: Work) -> Outcome | None:
        """None if the sweep ended the worker."""
        status: int | None = None
        for _ in range(ATTEMPTS):
            answer = self._ask(work)
            if answer.endswith("\n"):
                return Outcome(**json.loads(answer))
            if self.ended:
                return None
            status = self.process.wait() if self.process else None
        from deconfound.sweeps.execute import WorkerLostError, note_failure

        how = f"killed by signal {-status}" if status is not None and status < 0 else f"ended with status {status}"
        return note_failure(
            work, WorkerLostError(f"its process was {how} {ATTEMPTS} times; has the machine memory enough for it?")
        )

    def _ask(self, work: Work) -> str:
        """The worker's answer, without a line end if it died."""
        if self.ended:
            return ""
        if self.process is None or self.process.poll() is not None:
            if self.process is not None:
                _end(self.process)
            self.process = _worker(self.threads)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(work.to_json() + "\n")
            self.process.stdin.flush()
        except OSError:
            return ""
        return self.process.stdout.readline()


def _worker(threads: int) -> subprocess.Popen[str]:
    """A new worker, in a session of its own so that Ctrl-C reaches the sweep alone, which ends it."""
    return subprocess.Popen(
        [sys.executable, "-m", "deconfound.sweeps.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
        env={**os.environ, **dict.fromkeys(_POOLS, str(threads))},
    )


def _end(process: subprocess.Popen[str]) -> None:
    """Kill a worker, wait for it and give its pipes back."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # a job may still be in the pipe
                pipe.close()
