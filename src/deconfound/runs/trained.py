"""The trained method of a run directory: one model, or the members of an ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deconfound.data.task import Modality, Task
from deconfound.errors import RunError
from deconfound.io.reading import read_json, reading
from deconfound.method import Method
from deconfound.runs.build import build_method
from deconfound.runs.checkpoint import put_weights, read_weights
from deconfound.runs.code import OwnCode
from deconfound.runs.ensemble import Ensemble
from deconfound.runs.members import MEMBERS, Member, digest_of, read_members
from deconfound.runs.own_code import check_code
from deconfound.runs.run_files import RUN, check_run, read_environment
from deconfound.runs.spec import Spec


@dataclass(frozen=True)
class Form:
    """What a run was trained on.

    Args:
        modalities: name → form.
        task: what is predicted.
        environments: E of the training and validation rows.
    """

    modalities: Mapping[str, Modality]
    task: Task
    environments: int


def trained_method(run: Path, spec: Spec, environment: Mapping[str, Any], form: Form, code: OwnCode) -> Method:
    """The method of a run with its trained weights, in eval mode.

    Args:
        spec, environment: what the run's files hold.
        code: classes and modules of the user's own that the specification can only name.

    Raises:
        RunError: a checkpoint is damaged, is not the one that an ensemble was made of or belongs to other modalities, or
            Python code is not there, has changed or lies in the run.
    """
    members = read_members(run)
    if members:
        return Ensemble([_trained_member(run / MEMBERS / member.name, member, form, code) for member in members]).eval()
    check_code(spec, environment.get("code", {}), run)
    return load_weights(build_method(spec, form.modalities, form.task, code, form.environments), run, spec)


def load_weights(method: Method, run: Path, spec: Spec) -> Method:
    """The method in eval mode with the weights of the epoch that `train.keep` selects among those trained so far."""
    put_weights(method, read_weights(weights_path(run, spec), weights_prefix(spec)), run, spec)
    return method.eval()


def weights_prefix(spec: Spec) -> str:
    """Beginning of the names of the weights that predict, in a checkpoint: those of the mean, if training made one."""
    return "method." if spec.train.averaging is None else "method.average."


def weights_path(run: Path, spec: Spec) -> Path:
    """The checkpoint that predicts."""
    return run / "checkpoints" / f"{spec.train.keep}.safetensors"


def _trained_member(folder: Path, member: Member, form: Form, code: OwnCode) -> Method:
    check_run(folder, finished=True)
    with reading(folder, RUN):
        spec = Spec.of(read_json(folder / "spec.json", RUN), run_code=False)
    if digest_of(weights_path(folder, spec)) != member.weights:
        raise RunError(
            f"the weights of {folder} are not those that the ensemble was made of (their checksums differ); restore the "
            "file, or make the ensemble again with 'deconfound ensemble'"
        )
    return trained_method(folder, spec, read_environment(folder), form, code)
