"""The results of a tuning: tuning.json, and the best specification of each method for `deconfound train`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deconfound.io.files import atomic_write
from deconfound.io.plain_text import one_line
from deconfound.io.toml_writer import toml_text
from deconfound.tuning.spec import slug
from deconfound.tuning.study import Studies

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from deconfound.data.dataset import Dataset
    from deconfound.sweeps.spec import MethodEntry


def summarize(studies: Studies, dataset: Dataset) -> dict[str, Any]:
    """The state of a tuning, as JSON values.

    Returns:
        "name"; "complete"; "budget": trials per method, seeds per trial, epochs per run at most; "sampler" and "pruning";
        "data": name and checksum; "methods": label → "best" (id of a trial, None before one is complete), "score",
        "values", "spec" (file name), "epochs" (trained in all trials), "space" (key → low, high, log), and "trials": id, slot,
        state (complete, pruned, failed or running), "values", "score" (mean over seeds, None if not complete), "scores" by
        seed, "epochs" trained, and "error" if it failed.
    """
    spec = studies.spec
    methods = {entry.title: _method_summary(studies, entry) for entry in spec.method}
    ended = [sum(trial["state"] != "running" for trial in method["trials"]) for method in methods.values()]
    return {
        "name": spec.name,
        "complete": all(count == spec.trials for count in ended),
        "objective": f"mean over seeds of the score of the kept epoch on validation rows, by {spec.base.train.criterion!r}; "
        "lower is better, no test row is read",
        "budget": {"trials": spec.trials, "seeds": list(spec.seeds), "epochs": spec.base.train.epochs},
        "sampler": {"name": "tpe", "seed": spec.seed},
        "pruning": spec.pruning.model_dump(),
        "data": {"name": dataset.name, "checksum": dataset.checksum},
        "methods": methods,
    }


def _method_summary(studies: Studies, entry: MethodEntry) -> dict[str, Any]:
    trials = [_trial_summary(studies, entry, trial) for trial in studies.trials(entry)]
    complete = [trial for trial in trials if trial["score"] is not None]
    best = min(complete, key=lambda trial: (trial["score"], trial["slot"]), default=None)
    return {
        "best": best and best["id"],
        "score": best and best["score"],
        "values": best and best["values"],
        "spec": f"best-{slug(entry.title)}.toml" if best else None,
        "epochs": sum(trial["epochs"] for trial in trials),
        "space": {d.key: {"low": d.low, "high": d.high, "log": d.log} for d in studies.spec.space(entry)},
        "trials": trials,
    }


def _trial_summary(studies: Studies, entry: MethodEntry, trial: FrozenTrial) -> dict[str, Any]:
    slot, error = trial.user_attrs["slot"], trial.user_attrs.get("error")
    state = {"COMPLETE": "complete", "PRUNED": "pruned", "RUNNING": "running"}[trial.state.name]
    values = {
        "id": studies.folder(entry, slot).name,
        "slot": slot,
        "state": "failed" if error else state,
        "values": dict(trial.params),
        "score": trial.value if state == "complete" else None,
        "scores": trial.user_attrs.get("scores", {}),
        "epochs": len(trial.intermediate_values),
    }
    return values | {"error": error} if error else values


def write_best(studies: Studies, results: dict[str, Any]) -> None:
    """Write the best specification of each method that has a complete trial."""
    spec = studies.spec
    for entry in spec.method:
        method = results["methods"][entry.title]
        if method["best"] is None:
            continue
        values = spec.run_spec(entry, method["values"], spec.seeds[0]).dump()
        if values["data"]["store"] is not None:
            values["data"]["store"] = os.path.relpath(values["data"]["store"], Path(studies.out).resolve())
        note = (
            f"# {one_line(entry.title)}: the best of {spec.trials} trials with {len(spec.seeds)} seeds each, by validation "
            "score\n"
            f"# ({method['score']:.6g} in trial {method['best']}; see tuning.json)\n"
        )
        with atomic_write(studies.out / method["spec"]) as file:
            file.write(note + toml_text(values))
