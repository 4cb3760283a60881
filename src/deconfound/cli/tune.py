"""`deconfound tune`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from deconfound.io.plain_text import text_of_lines


def tune(
    spec: Annotated[Path, typer.Argument(help="TOML file of the tuning.")],
    out: Annotated[Path, typer.Option(help="Folder of the tuning.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Search hyper-parameters by validation risk, with the same number of trials and seeds for every method.

    \b
        trials = 20                      # configurations to try per method
        seeds = 2                        # training runs per trial
        [data]
        store = "stores/mosi"
        [base.train]
        epochs = 40
        [[method]]
        name = "erm"
        [[method]]
        name = "cmir"                    # searched in the ranges that 'deconfound show cmir' prints
        [search.train]
        learning_rate = { low = 1e-4, high = 1e-2, log = true }

    No test row is read. The same command resumes after a kill. Several processes may run it at once, also on other
    machines that share the folder; they divide the trials among them. It writes tuning.json and, for 'deconfound train',
    best-METHOD.toml.
    """
    from deconfound.runs.spec import check_named_stores
    from deconfound.tuning.spec import TuneSpec

    check_named_stores(spec, "tuning")
    tuning = TuneSpec.read(spec)
    from deconfound.tuning.tune import log_to_stderr
    from deconfound.tuning.tune import tune as run_tuning

    print(f"budget: {budget_text(tuning)}", file=sys.stderr)
    results = run_tuning(tuning, out, log=log_to_stderr)
    print(json.dumps(results) if as_json else tuning_text(results, out))


def budget_text(spec: Any) -> str:
    """ "20 trials × 2 seeds × at most 40 epochs for each of erm, cmir"."""
    titles = ", ".join(entry.title for entry in spec.method)
    prefix = "each of " if len(spec.method) > 1 else ""
    return (
        f"{_count(spec.trials, 'trial')} × {_count(len(spec.seeds), 'seed')} × {_epochs(spec.base.train)} for "
        f"{prefix}{titles}"
    )


def _epochs(train: Any) -> str:
    if train.epochs is None:
        return f"the epochs of the {train.preset} budget"
    return f"at most {_count(train.epochs, 'epoch')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def tuning_text(results: dict[str, Any], out: Path) -> str:
    """The results as text: for each method its best trial, how the others ended, and the command to train it."""
    lines = []
    for label, method in results["methods"].items():
        states = [trial["state"] for trial in method["trials"]]
        ended = ", ".join(f"{states.count(s)} {s}" for s in ("complete", "pruned", "failed", "running") if s in states)
        if method["best"] is None:
            lines.append(f"{label}: no trial is complete ({ended})")
            continue
        values = ", ".join(
            f"{key} = {value:.4g}" if isinstance(value, float) else f"{key} = {value}"
            for key, value in method["values"].items()
        )
        lines += [
            f"{label}: validation score {method['score']:.4g} in trial {method['best']} ({ended}; {method['epochs']} epochs)",
            f"  {values}",
        ]
        if results["complete"]:
            lines.append(f"  deconfound train {out / method['spec']} --out RUN")
    if not results["complete"]:
        lines.append("other workers are still running trials; the last of them writes the best specifications")
    return text_of_lines(lines)
