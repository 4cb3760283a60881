"""From a specification to its parts: the dataset, the rows and modalities to use, and a fresh method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from deconfound.compose import RegularizedMethod
from deconfound.data.dataset import Dataset
from deconfound.data.splits import DEVELOPMENT
from deconfound.data.task import Modality, Task
from deconfound.errors import DataError, RunError, SpecError, did_you_mean
from deconfound.method import Method
from deconfound.method_names import ADDED
from deconfound.nn.backbone import Backbone
from deconfound.nn.standardise import training_scale
from deconfound.penalty import make_penalties
from deconfound.registry import build
from deconfound.runs.code import NO_CODE, OwnCode
from deconfound.runs.own_code import make_method, own_encoders
from deconfound.runs.run_files import read_environment
from deconfound.runs.spec import DataSpec, Spec
from deconfound.target_scaled import TargetScaled, target_scale


def load_data(data: DataSpec) -> Dataset:
    """The dataset that a specification names, with all splits and modalities.

    Raises:
        SpecError: the specification names neither a store nor a synthetic model.
        StoreError: the store does not open, or a byte of it differs from what was written.
    """
    if data.store is not None:
        from deconfound.data.store import open_verified

        return open_verified(data.store)
    if data.synthetic is not None:
        from deconfound.datasets.synthetic import synthetic

        return synthetic(**data.synthetic)
    raise SpecError("data is missing; name a store ('store = \"DIR\"') or 'synthetic = {}' in the table [data]")


def load_named_data(data: DataSpec, run: Path) -> Dataset:
    """The data that the specification of a run names.

    Raises:
        RunError: it names none.
        StoreError, SpecError: as `load_data`.
    """
    if data.store is None and data.synthetic is None:
        name = read_environment(run)["data"]["name"]
        raise RunError(
            f"the run {run} was trained on a dataset in memory ({name!r}) and names no store; "
            "give the dataset: dataset= in Python, --store on the command line"
        )
    return load_data(data)


def apply_data_spec(dataset: Dataset, data: DataSpec) -> Dataset:
    """The dataset with the modalities, environments and left-out environment that a specification asks for.

    Raises:
        DataError: a modality, column or environment that does not exist among the training and validation rows.
    """
    if data.modalities is not None:
        dataset = dataset.only(*data.modalities)
    if data.environment is not None:
        dataset = dataset.with_environment(*data.environment)
    return dataset if data.leave_out is None else leave_out(dataset, data.leave_out)


def leave_out(dataset: Dataset, environment: str) -> Dataset:
    """Validate on one environment: its training and validation rows become "valid", those of all others "train".

    Raises:
        DataError: no training or validation row is of this environment, or all are.
    """
    development = dataset.development()
    group, names = development.groups(*development.environment)
    if environment not in names:
        raise DataError(f"{dataset.name} has no environment {environment!r}{did_you_mean(environment, names)}")
    split = np.full(len(dataset), "", dtype=object)
    for name, rows in dataset.splits.items():
        split[rows.start : rows.stop] = name
    numbers = [row for name in DEVELOPMENT for row in dataset.splits[name]]
    split[numbers] = np.where(group.numpy() == names.index(environment), "valid", "train")
    return dataset.resplit(split)


def build_method(
    spec: Spec,
    modalities: Mapping[str, Modality],
    task: Task,
    code: OwnCode = NO_CODE,
    environments: int = 1,
) -> Method:
    """A fresh method of a specification, with its penalties and augmentations.

    Args:
        code: what the specification can only name.
        environments: E of the training and validation rows.

    Raises:
        RunError: such a class or module is missing.
        SpecError: an encoder, fusion or argument does not exist.
    """
    backbone = Backbone.build(
        modalities,
        replace(task, smoothing=spec.train.label_smoothing),
        encoders={**spec.backbone.encoders, **own_encoders(spec.backbone, modalities, code.encoders)},
        fusion=spec.backbone.fusion,
        hidden=spec.backbone.hidden,
        depth=spec.backbone.depth,
        dropout=spec.backbone.dropout,
    )
    method = _plain_method(spec, modalities, backbone, code)
    penalties, augmentations = (spec.method.get(kind, {}) for kind in ADDED)
    if penalties or augmentations:
        method = RegularizedMethod(
            method,
            make_penalties(penalties, method.backbone, environments),
            {name: build("augmentations", name, **arguments) for name, arguments in augmentations.items()},
        )
    return TargetScaled(method) if task.kind == "regression" else method


def set_scales(method: Method, development: Dataset) -> None:
    """Give a fresh method the scale of the training rows: of their inputs and, in a regression, of their targets."""
    method.backbone.set_scale(training_scale(development))
    if isinstance(method, TargetScaled):
        method.set_scale(*target_scale(development))


def _plain_method(spec: Spec, modalities: Mapping[str, Modality], backbone: Backbone, code: OwnCode) -> Method:
    """The method without penalties and augmentations."""
    if "python" in spec.method:
        return make_method(spec, modalities, backbone, code.method)
    arguments = {name: value for name, value in spec.method.items() if name not in ("name", *ADDED)}
    return build("methods", spec.method["name"], backbone, **arguments)
