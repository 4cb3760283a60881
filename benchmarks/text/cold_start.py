"""A prediction for one raw text from a cold start: the seconds of the command, and what they are spent on.

    python benchmarks/text/cold_start.py RUN [--column text] [--rounds 3]

RUN was trained on raw texts. Each round is a process of its own; times are those of its processor, one thread, medians over
the rounds. "command" is `deconfound predict` as a user calls it; the other lines are the same work, step by step.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__)


def phases(folder: Path, source: Path) -> dict[str, float]:
    """Processor seconds of each step of a prediction, in this process."""
    times = {}
    began = time.process_time()

    def lap(name: str) -> None:
        nonlocal began
        now = time.process_time()
        times[name], began = now - began, now

    import torch  # noqa: F401

    lap("import torch")
    import transformers

    _ = transformers.AutoModel, transformers.AutoTokenizer
    lap("import transformers")
    from deconfound.prediction.predict import predict_rows
    from deconfound.prediction.rows import read_jsonl
    from deconfound.runs.run import Run

    lap("import deconfound")
    run = Run.open(folder)
    method = run.method()
    lap("open the run, load its weights")
    from deconfound.extraction.extractor import extractor_of

    for name, note in run.preparations.items():
        extractor_of(note["kind"], note["extractor"], name)[0].model()
    lap("load the text model, compare its checksum")
    [(ids, signals)] = read_jsonl(source, run.modalities, 1, run.repairs, run.preparations, None)
    lap("read the text")
    predict_rows(method, run.modalities, run.task, signals, ids)
    lap("predict")
    return times


def command_seconds(folder: Path, source: Path) -> float:
    """Processor seconds of the command in a process of its own."""
    words = [sys.executable, "-m", "deconfound.cli", "predict", str(folder), str(source), "--json"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"cold_start.py: the command failed: {' '.join(words)}")
    return usage.ru_utime + usage.ru_stime


def phases_elsewhere(folder: Path, source: Path) -> dict[str, float]:
    """`phases` in a process of its own."""
    words = [sys.executable, str(HERE), str(folder), "--phases-of", str(source)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True, env=environment).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--column", default="text", help="the column of the texts")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--phases-of", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.phases_of is not None:
        print(json.dumps(phases(options.run, options.phases_of)))
        return
    source = options.run.parent / f".{options.run.name}.cold.jsonl"
    source.write_text(json.dumps({"id": "a", options.column: "great, another monday"}) + "\n", encoding="utf-8")
    try:
        rounds = [
            {"command": command_seconds(options.run, source), **phases_elsewhere(options.run, source)}
            for _ in range(options.rounds)
        ]
    finally:
        source.unlink()
    for name in rounds[0]:
        print(f"| {name} | {statistics.median(times[name] for times in rounds):.2f} |")


if __name__ == "__main__":
    main()
