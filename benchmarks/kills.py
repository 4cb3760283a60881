"""Kill commands at random moments, call them again, and compare what they wrote with what undisturbed ones wrote.

    python benchmarks/kills.py --kills 3 --seed 0

Each of import, train, evaluate, report, sweep and tune runs once undisturbed. Then it begins anew in the same folder, is
killed by SIGKILL `kills` times, at moments drawn uniformly from that time, and is called once more. Modules are loaded
before, so that the kills hit the work. All files must then be equal apart from times, and no scratch file may remain.
Left out are the logs of what happened, which tell of the kills: test_access.jsonl, environment.json and journals.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

import deconfound.report
import deconfound.sweeps.sweep
import deconfound.training.train
import deconfound.tuning.tune  # noqa: F401 (loaded before the forks)
from deconfound.cli import app

_SHARED = """[{base}backbone]
hidden = 8
[{base}train]
epochs = 6
patience = 6
batch_size = 64
accelerator = "cpu"
"""
_METHOD = '[[method]]\nname = "erm"\n'
_SEARCH = "[search.train]\nlearning_rate = { low = 1e-4, high = 1e-2, log = true }\n"
_FILES = {
    "train.toml": 'method = "erm"\n[data]\nstore = "data"\n' + _SHARED.format(base="") + "threads = 1\n",
    "sweep.toml": 'seeds = 2\n[[dataset]]\nname = "d"\nstore = "data"\n' + _METHOD + _SHARED.format(base="base."),
    "tune.toml": 'trials = 3\n[data]\nstore = "data"\n' + _METHOD + _SHARED.format(base="base.") + _SEARCH,
}
_TIMES = re.compile(rb'"?seconds"?: ?[\d.]+|\d{4}-\d\d-\d\dT[\d:.+]+|\d+(\.\d+)? (s|min)\b')
_LOGS = ("test_access.jsonl", "environment.json", "journal")


@dataclass(frozen=True)
class Case:
    """A command, and the folder or file of a home that it writes into and that is restored before it begins anew.

    `once`: the command refuses to write again what is there, so what a late kill left must be whole.
    """

    words: str
    output: str
    once: bool = False


CASES = {
    "import": Case("data import default --format synthetic --out data", "data", once=True),
    "train": Case("train train.toml --out run", "run"),
    "evaluate": Case("evaluate run", "run"),
    "report": Case("report run --out report.html", "report.html"),
    "sweep": Case("sweep sweep.toml --out sweep", "sweep"),
    "tune": Case("tune tune.toml --out tuning", "tuning"),
}
"""In an order in which each finds what it needs."""


def start(case: Case, home: Path) -> int:
    """The command in a process of its own, which has all modules from this one; its number."""
    process = os.fork()
    if process:
        return process
    os.chdir(home)
    for stream in (1, 2):
        os.dup2(os.open(home / f"stream{stream}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    try:
        app.main(case.words.split())
    except SystemExit as ended:
        sys.stdout.flush()
        os._exit(ended.code if isinstance(ended.code, int) else 1)
    os._exit(1)


def wait(process: int, seconds: float = math.inf) -> int | None:
    """Exit code of a process, or None after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            return None
        time.sleep(0.001)


def finish(case: Case, home: Path) -> float:
    """Run the command to its end; seconds that it took."""
    began = time.monotonic()
    code = wait(start(case, home))
    if code != 0:
        raise SystemExit(f"'{case.words}' ended with {code}: {(home / 'stream2').read_text(encoding='utf-8')}")
    return time.monotonic() - began


def contents(output: Path) -> dict[str, bytes]:
    """File → its contents without times; hidden files and logs are left out."""
    files = [output] if output.is_file() else sorted(path for path in output.rglob("*") if path.is_file())
    kept = [path for path in files if path.name[0] != "." and not any(log in path.name for log in _LOGS)]
    return {str(path.relative_to(output.parent)): _TIMES.sub(b"", path.read_bytes()) for path in kept}


def put_back(saved: Path, output: Path) -> None:
    """Make an output what it was when it was saved; nothing if it was not there."""
    if output.is_dir():
        shutil.rmtree(output)
    output.unlink(missing_ok=True)
    if saved.exists():
        shutil.copytree(saved, output)


def try_case(name: str, home: Path, kills: int, chance: random.Random) -> dict[str, object]:
    """Kill and repeat one command; what came of it."""
    case = CASES[name]
    output, saved = home / case.output, home / "saved" / name
    if output.exists():
        shutil.copytree(output, saved)
    seconds = finish(case, home)
    expected = contents(output)
    put_back(saved, output)
    moments: list[float] = []
    while len(moments) < kills:
        process = start(case, home)
        moment = chance.uniform(0.0, 1.0) * seconds
        if wait(process, moment) is None:
            os.kill(process, signal.SIGKILL)
            wait(process)
            moments.append(round(moment, 3))
        else:  # it ended before; once more from the beginning, in a shorter time
            seconds *= 0.9
            put_back(saved, output)
    if not (case.once and output.exists()):
        finish(case, home)
    after = contents(output)
    different = [file for file in sorted(expected.keys() | after.keys()) if expected.get(file) != after.get(file)]
    scratch = [str(path.relative_to(home)) for path in home.rglob("*.partial-*")]
    return {
        "command": name,
        "seconds": round(seconds, 2),
        "kills": len(moments),
        "at": moments,
        "files": len(expected),
        "different": different,
        "scratch": scratch,
    }


def main() -> None:
    """Print one JSON line per command; exit code 1 where a file differs or a scratch file remains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=3, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=list(CASES), default=list(CASES))
    options = parser.parse_args()
    torch.set_num_threads(1)  # a pool of threads does not survive a fork
    chance, faults = random.Random(options.seed), 0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for name, text in _FILES.items():
            (home / name).write_text(text, encoding="utf-8")
        for name in CASES:
            result = try_case(name, home, options.kills if name in options.only else 0, chance)
            print(json.dumps(result), flush=True)
            faults += bool(result["different"] or result["scratch"])
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
