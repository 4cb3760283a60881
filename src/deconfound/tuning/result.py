"""What a tuning leaves behind: tuning.json and one specification per method that `deconfound train` accepts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deconfound.io.files import atomic_write
from deconfound.io.toml_writer import toml_text
from deconfound.tuning.spec import slug
from deconfound.tuning.study import Studies

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from deconfound.data.dataset import Dataset
    from deconfound.sweeps.spec import MethodEntry


def summary(studies: Studies, whole: Dataset) -> dict[str, Any]:
    """The state of a tuning.

    Returns:
        "name"; "complete"; "budget": trials per method, seeds per trial, epochs per run at most; "sampler" and "pruning";
        "data": name and checksum; "methods": label → "best" (id of a trial, None before one is complete), "score",
        "values", "spec" (file name), "epochs" trained in all trials, "space" (key → low, high, log), and "trials": id, slot,
        state (complete, pruned, failed or running), "values", "score" (mean over seeds, None if not complete), "scores" by
        seed, "epochs" trained, "error" of a failed one.
    """
    spec = studies.spec
    methods = {entry.title: _method(studies, entry) for entry in spec.method}
    ended = [sum(t["state"] != "running" for t in each["trials"]) for each in methods.values()]
    return {
        "name": spec.name,
        "complete": all(count == spec.trials for count in ended),
        "objective": "mean over seeds of the best validation risk; no test row is read",
        "budget": {"trials": spec.trials, "seeds": list(spec.seeds), "epochs": spec.base.train.epochs},
        "sampler": {"name": "tpe", "seed": spec.seed},
        "pruning": spec.pruning.model_dump(),
        "data": {"name": whole.name, "checksum": whole.checksum},
        "methods": methods,
    }


def _method(studies: Studies, entry: MethodEntry) -> dict[str, Any]:
    trials = [_trial(studies, entry, trial) for trial in studies.trials(entry)]
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


def _trial(studies: Studies, entry: MethodEntry, trial: FrozenTrial) -> dict[str, Any]:
    slot, error = trial.user_attrs["slot"], trial.user_attrs.get("error")
    state = {"COMPLETE": "complete", "PRUNED": "pruned", "RUNNING": "running"}[trial.state.name]
    told = {
        "id": studies.folder(entry, slot).name,
        "slot": slot,
        "state": "failed" if error else state,
        "values": dict(trial.params),
        "score": trial.value if state == "complete" else None,
        "scores": trial.user_attrs.get("scores", {}),
        "epochs": len(trial.intermediate_values),
    }
    return told | {"error": error} if error else told


def write_best(studies: Studies, found: dict[str, Any]) -> None:
    """Write the best specification of each method that has one."""
    spec = studies.spec
    for entry in spec.method:
        method = found["methods"][entry.title]
        if method["best"] is None:
            continue
        values = spec.run_spec(entry, method["values"], spec.seeds[0]).dump()
        if values["data"]["store"] is not None:
            values["data"]["store"] = os.path.relpath(values["data"]["store"], Path(studies.out).resolve())
        note = (
            f"# {entry.title}: the best of {spec.trials} trials with {len(spec.seeds)} seeds each, by validation risk\n"
            f"# ({method['score']:.6g} in trial {method['best']}; see tuning.json)\n"
        )
        with atomic_write(studies.out / method["spec"]) as file:
            file.write(note + toml_text(values))
