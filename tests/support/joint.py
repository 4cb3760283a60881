"""Several processes that train one run together, started as a batch system starts them, on this machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from deconfound.runs.csv_log import read_log
from support.small import FAST

LONG: dict[str, Any] = {**FAST, "epochs": 4, "patience": 100}

ZYGOTE = f"""
import json, os, sys, time
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import deconfound.evaluation.evaluate, deconfound.training.fsdp, deconfound.training.train
import deconfound.training.learner as learner
from support.small import small_run
end = learner.Learner.on_validation_epoch_end
learner.Learner.on_validation_epoch_end = lambda self: (time.sleep(0.1), end(self))[1]
for line in sys.stdin:
    asked = json.loads(line)
    if "wait" in asked:
        print(os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1]), flush=True)
        continue
    child = os.fork()
    if child == 0:
        os.environ.update(asked["variables"])
        with open(asked["errors"], "w") as file:
            os.dup2(file.fileno(), 2)
        try:
            small_run(asked["out"], train=asked["train"], method=asked["method"])
        except Exception as error:
            print(type(error).__name__, error, file=sys.stderr, flush=True)
            os._exit(2)
        os._exit(0)
    print(child, flush=True)
"""
"""Forks a process for each line, so that PyTorch is imported once."""


class Launcher:
    """Starts the processes of a run and waits for them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        self.zygote = subprocess.Popen([sys.executable, "-c", ZYGOTE], stdin=-1, stdout=-1, text=True)

    def begin(
        self,
        out: Path,
        variables: Sequence[Mapping[str, str]],
        *,
        method: str | Mapping[str, Any] = "cmir",
        **train: Any,
    ) -> list[int]:
        """One process for each set of environment variables; numbers of the processes, the first one begun last."""
        begun = []
        for each in reversed(variables):
            self.count += 1
            errors = self.folder / f"errors-{self.count}"
            asked = {"variables": each, "out": str(out), "train": {**LONG, **train}, "method": method}
            begun.append(self._ask(asked | {"errors": str(errors)}))
        return begun

    def wait(self, processes: Sequence[int]) -> list[int]:
        """How they ended."""
        return [self._ask({"wait": process}) for process in processes]

    def errors(self) -> str:
        """What all of them wrote."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("errors-*")))

    def close(self) -> None:
        self.zygote.communicate(timeout=60)

    def _ask(self, what: Mapping[str, Any]) -> int:
        assert self.zygote.stdin is not None
        assert self.zygote.stdout is not None
        print(json.dumps(what), file=self.zygote.stdin, flush=True)
        return int(self.zygote.stdout.readline())


def kill_after(out: Path, epochs: int, processes: Sequence[int]) -> None:
    """Kill all as soon as the log holds so many epochs."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if (out / "log.csv").is_file() and len({row["epoch"] for row in read_log(out / "log.csv")}) >= epochs:
            break
        time.sleep(0.02)
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def meeting() -> dict[str, str]:
    return {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port()}


def two_nodes() -> list[dict[str, str]]:
    """One process on each of two nodes, begun by hand."""
    shared = meeting()
    return [shared | {"NODE_RANK": str(number)} for number in (0, 1)]


def slurm(tasks: int = 2) -> list[dict[str, str]]:
    """What srun sets for tasks on one node."""
    shared = meeting() | {"SLURM_NTASKS": str(tasks), "SLURM_NTASKS_PER_NODE": str(tasks), "SLURM_NNODES": "1"}
    shared |= {"SLURM_JOB_ID": "1234", "SLURM_JOB_NAME": "large", "SLURM_NODEID": "0"}
    return [shared | {"SLURM_PROCID": str(number), "SLURM_LOCALID": str(number)} for number in range(tasks)]


def torchrun() -> list[dict[str, str]]:
    """What torchrun sets for two processes on one node."""
    shared = meeting() | {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "none"}
    return [shared | {"RANK": str(number), "LOCAL_RANK": str(number)} for number in (0, 1)]
