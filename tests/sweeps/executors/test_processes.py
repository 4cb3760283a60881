import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from deconfound.errors import SpecError
from deconfound.sweeps.executors import ATTEMPTS, Resources
from deconfound.sweeps.executors.processes import Processes
from deconfound.sweeps.jobs import WorkItem, read_error
from deconfound.sweeps.plan import make_plan
from deconfound.sweeps.sweep import run_sweep
from support.sweeping import results, small_sweep

TESTS = Path(__file__).parents[2]
LONG = {
    "seeds": 3,
    "draws": 2,
    "selection": {"seeds": 1},
    "method": [{"name": "cmir"}],
    "train": {"epochs": 30, "patience": 30},
}
"""Two stages of two runs each."""


def test_the_cores_are_divided_among_the_workers(monkeypatch):
    monkeypatch.setattr("deconfound.sweeps.executors.processes.cores", lambda: 16)
    assert (Processes(Resources()).workers, Processes(Resources()).threads) == (16, 1)
    assert Processes(Resources(threads=4)).workers == 4
    divided = Processes(Resources(workers=5, threads="divide"))
    assert (divided.workers, divided.threads) == (5, 3)
    assert Processes(Resources(workers=64, threads="divide")).threads == 1
    with pytest.raises(SpecError, match="the executor 'processes' does not use address"):
        Processes(Resources(address="auto"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("serial") / "sweep"
    assert not run_sweep(small_sweep(**LONG), out).unfinished
    return out


ZYGOTE = f"""
import os, sys
sys.path.insert(0, {str(TESTS)!r})
import deconfound.training.train, deconfound.sweeps.sweep
import deconfound.sweeps.execute, deconfound.evaluation.evaluate, lightning.pytorch.strategies
from support.sweeping import small_sweep
for out in sys.stdin:
    child = os.fork()
    if child == 0:
        deconfound.sweeps.sweep.run_sweep(small_sweep(**{LONG!r}), out.strip())
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""
"""Forks a sweep for each line, so that ten sweeps do not import PyTorch ten times."""


@pytest.mark.slow
def test_ten_kills_of_the_sweep_change_nothing(tmp_path, undisturbed):
    out, moments = tmp_path / "sweep", random.Random(0)
    with subprocess.Popen([sys.executable, "-c", ZYGOTE], stdin=-1, stdout=-1, text=True) as zygote:
        assert zygote.stdin is not None
        assert zygote.stdout is not None

        def begin() -> int:
            print(out, file=zygote.stdin, flush=True)
            return int(zygote.stdout.readline())

        kills = 0
        while kills < 10:
            child = begin()
            time.sleep(moments.uniform(0.05, 1.0))
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            if int(zygote.stdout.readline()) == signal.SIGKILL:
                kills += 1
            else:  # it had come to its end
                shutil.rmtree(out)
        begin()
        assert int(zygote.stdout.readline()) == 0
        zygote.stdin.close()
    assert results(out) == results(undisturbed)


@pytest.mark.slow
def test_kills_of_workers_and_of_their_sweep_change_nothing(tmp_path, undisturbed):
    out, moments = tmp_path / "sweep", random.Random(1)
    script = (
        f"import sys; sys.path.insert(0, {str(TESTS)!r})\n"
        "from deconfound.sweeps.sweep import run_sweep, Resources\n"
        "from support.sweeping import small_sweep\n"
        f"run_sweep(small_sweep(**{LONG!r}), {str(out)!r}, executor='processes', resources=Resources(workers=2))\n"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as sweep:
        kills = 0
        while kills < 3 and sweep.poll() is None:
            lines = _log_lines(out)
            _wait_for(lambda before=lines: sweep.poll() is not None or _log_lines(out) > before)
            time.sleep(moments.uniform(0, 0.5))
            for victim in _workers(sweep.pid)[:1]:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    kills += 1
        assert kills
        assert sweep.poll() is None
        orphans = _wait_for(lambda: _workers(sweep.pid))
        sweep.kill()
    _wait_for(lambda: not any(_alive(orphan) for orphan in orphans))
    summary = run_sweep(small_sweep(**LONG), out, executor="processes", resources=Resources(workers=2))
    assert not summary.unfinished
    assert results(out) == results(undisturbed)


def _log_lines(out: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in out.glob("runs/*/log.csv"))


def _workers(parent: int) -> list[int]:
    workers = []
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):
            if f"PPid:\t{parent}\n" in status.read_text() and b"deconfound.sweeps.worker" in _words(status.parent):
                workers.append(int(status.parent.name))
    return workers


def _words(process: Path) -> list[bytes]:
    return (process / "cmdline").read_bytes().split(b"\0")


def _alive(process: int) -> bool:
    with suppress(OSError):
        return b"deconfound.sweeps.worker" in _words(Path(f"/proc/{process}"))
    return False


def _wait_for(look, seconds: float = 60):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := look():
            return value
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def test_a_job_that_always_loses_its_worker_fails_and_the_rest_go_on(tmp_path, monkeypatch):
    """Workers that die whenever they are given a job of the second seed."""
    deadly = (
        "import sys, json, os\n"
        "for line in sys.stdin:\n"
        "    job = json.loads(line)['job']\n"
        "    if job['seed'] == 1: os.kill(os.getpid(), 9)\n"
        "    print(json.dumps({'job': job['id'], 'state': 'done'}), flush=True)\n"
    )
    begun = _workers_of(deadly, monkeypatch)
    summary = run_sweep(
        small_sweep(method=[{"name": "erm"}], draws=1), tmp_path, executor="processes", resources=Resources(workers=1)
    )
    ((name, message),) = summary.failed.items()
    assert message.startswith("its process was killed by signal 9 3 times")
    error = read_error(tmp_path / "runs" / name)
    assert error is not None
    assert error["may_pass"]
    assert len(begun) == ATTEMPTS
    assert list(summary.unfinished) == ["erm on toy"]


def test_leaving_the_results_ends_the_workers_and_blames_no_job(tmp_path, monkeypatch):
    """A worker that answers once and then sleeps."""
    answer = json.dumps({"job": "a", "state": "done"})
    script = f"import sys, time\nsys.stdin.readline()\nprint({answer!r}, flush=True)\ntime.sleep(600)"
    begun = _workers_of(script, monkeypatch)
    jobs = make_plan(small_sweep(method=[{"name": "erm"}], draws=1)).jobs
    results_so_far = Processes(Resources(workers=1)).run(
        [WorkItem(job, str(tmp_path / job.id), "train") for job in jobs]
    )
    assert next(results_so_far).job == "a"
    results_so_far.close()
    assert {process.returncode for process in begun} == {-signal.SIGKILL}
    assert not list(tmp_path.rglob("error.json"))


def _workers_of(script: str, monkeypatch) -> list[subprocess.Popen[str]]:
    """Have workers run this script; they are listed as they begin."""
    start, begun = subprocess.Popen, []

    def popen(words, **options):
        begun.append(start([sys.executable, "-c", script], **options))
        return begun[-1]

    monkeypatch.setattr("deconfound.sweeps.executors.processes.subprocess.Popen", popen)
    return begun


def test_idle_workers_serve_the_next_call_and_end_with_the_executor(tmp_path, monkeypatch):
    script = (
        "import sys, json\nfor line in sys.stdin:\n    print(json.dumps({'job': 'a', 'state': 'done'}), flush=True)\n"
    )
    begun = _workers_of(script, monkeypatch)
    executor = Processes(Resources(workers=1))
    (job, *_) = make_plan(small_sweep(method=[{"name": "erm"}], draws=1)).jobs
    for _ in range(2):
        assert [result.state for result in executor.run([WorkItem(job, str(tmp_path), "train")])] == ["done"]
    assert len(begun) == 1
    begun[0].kill()
    begun[0].wait()
    assert len(list(executor.run([WorkItem(job, str(tmp_path), "train")]))) == 1
    assert len(begun) == 2
    executor.close()
    assert begun[1].returncode == -signal.SIGKILL
