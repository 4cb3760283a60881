"""A worker process: reads one job per line from standard input, writes one result per line to standard output.

It exits at once when its standard input closes, even in the middle of a job: the sweep has ended or died, and a worker
without a sweep would keep its claim on a job that the next sweep wants. What the job prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from queue import SimpleQueue
from threading import Thread

from deconfound.io.plain_text import plain_streams


def main() -> None:
    """Run jobs until standard input closes."""
    from deconfound.sweeps.execute import run_job, without_slurm

    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    lines: SimpleQueue[str] = SimpleQueue()
    Thread(target=_read, args=(lines,), daemon=True).start()
    without_slurm()
    from deconfound.sweeps.jobs import WorkItem

    with plain_streams():
        while True:
            result = run_job(WorkItem.from_json(lines.get()))
            print(json.dumps(asdict(result)), file=results, flush=True)


def _read(lines: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
