"""`deconfound tune`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer


def tune(
    spec: Annotated[Path, typer.Argument(help="The tuning, a TOML file.")],
    out: Annotated[Path, typer.Option(help="Folder of the tuning.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Search hyper-parameters by validation risk, with the same number of trials and seeds for every method.

    \b
        trials = 20                      # per method
        seeds = 2                        # per trial
        [data]
        store = "stores/mosi"
        [base.train]
        epochs = 40
        [[method]]
        name = "erm"
        [[method]]
        name = "cmir"                    # in the ranges that 'deconfound show cmir' tells
        [search.train]
        learning_rate = { low = 1e-4, high = 1e-2, log = true }

    Test rows are not read. The same command again goes on after a kill; started several times at once, here or on other
    machines that see the folder, it shares the trials. Writes tuning.json and best-METHOD.toml for 'deconfound train'.
    """
    from deconfound.tuning.spec import TuneSpec
    from deconfound.tuning.tune import say_to_terminal
    from deconfound.tuning.tune import tune as run_tuning

    wanted = TuneSpec.read(spec)
    print(f"budget: {budget_text(wanted)}", file=sys.stderr)
    found = run_tuning(wanted, out, say=say_to_terminal)
    print(json.dumps(found) if as_json else tuning_text(found, out))


def budget_text(spec: Any) -> str:
    """ "20 trials × 2 seeds × at most 40 epochs for each of erm, cmir"."""
    titles = ", ".join(entry.title for entry in spec.method)
    each = "each of " if len(spec.method) > 1 else ""
    return (
        f"{_count(spec.trials, 'trial')} × {_count(len(spec.seeds), 'seed')} × at most "
        f"{_count(spec.base.train.epochs, 'epoch')} for {each}{titles}"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def tuning_text(found: dict[str, Any], out: Path) -> str:
    """The result for a terminal: per method its best trial, how the others ended, and the file."""
    lines = []
    for label, method in found["methods"].items():
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
            f"{label}: validation risk {method['score']:.4g} in trial {method['best']} ({ended}; {method['epochs']} epochs)",
            f"  {values}",
        ]
        if found["complete"]:
            lines.append(f"  deconfound train {out / method['spec']} --out RUN")
    if not found["complete"]:
        lines.append("other workers still have trials; the last of them writes the best specifications")
    return "\n".join(lines)
