"""From a specification to its parts: the dataset, the rows and modalities to use, the budget, and a fresh method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np

from deconfound.compose import FittedMethod, RegularizedMethod
from deconfound.data.dataset import Dataset
from deconfound.data.splits import DEVELOPMENT
from deconfound.data.task import Modality, Task
from deconfound.datasets.fold_spec import FoldSpec
from deconfound.datasets.folds import fold_of, take_fold
from deconfound.datasets.validation_share import take_validation
from deconfound.errors import DataError, RunError, SpecError, did_you_mean
from deconfound.method import Method
from deconfound.method_names import ADDED
from deconfound.nn.backbone import Backbone
from deconfound.nn.encoder_choice import chosen_encoders
from deconfound.penalty import make_penalties
from deconfound.registry import build, get_class
from deconfound.runs.budget_sizes import Budget, default_budget
from deconfound.runs.code import NO_CODE, OwnCode
from deconfound.runs.own_code import make_method, own_encoders
from deconfound.runs.run_files import read_environment
from deconfound.runs.scale_by import scaled_by
from deconfound.runs.spec import DataSpec, Spec, TrainSpec
from deconfound.target_scaled import TargetScaled, target_scale


def load_data(data: DataSpec, replacement: Dataset | None = None) -> Dataset:
    """The dataset that a specification names, or the fold of it, with all splits and modalities.

    Args:
        replacement: in place of what is named; a fold stays as it is.

    Raises:
        SpecError: the specification names neither a store nor a synthetic model.
        StoreError: the store does not open, or a byte of it differs from what was written.
        DataError: there is no such fold.
    """
    from deconfound.data.store import verified

    whole = _load_whole(data) if replacement is None else verified(replacement)
    return whole if data.fold is None or fold_of(whole) else take_fold(whole, data.fold)


def _load_whole(data: DataSpec) -> Dataset:
    if data.store is not None:
        from deconfound.data.store import open_verified

        return open_verified(data.store)
    if data.synthetic is not None:
        from deconfound.datasets.synthetic import synthetic

        return synthetic(**data.synthetic)
    raise SpecError("data is missing; name a store ('store = \"DIR\"') or 'synthetic = {}' in the table [data]")


def load_run_data(data: DataSpec, run: Path, replacement: Dataset | None = None) -> Dataset:
    """The data that the specification of a run names, or what is given in their place, after its store was checked.

    Args:
        replacement: where it is the whole that the run was trained on a fold of, that fold is taken.

    Raises:
        RunError: it names none.
        StoreError, SpecError: as `load_data`.
    """
    if replacement is not None:
        from deconfound.data.store import verified

        whole, fold = verified(replacement), read_environment(run)["data"].get("fold")
        return (
            whole if fold is None or whole.checksum != fold["checksum"] else take_fold(whole, FoldSpec(**fold["spec"]))
        )
    if data.store is None and data.synthetic is None:
        name = read_environment(run)["data"]["name"]
        raise RunError(
            f"the run {run} was trained on a dataset in memory ({name!r}) and names no store; "
            "give the dataset: dataset= in Python, --store on the command line"
        )
    return load_data(data)


def apply_data_spec(dataset: Dataset, data: DataSpec) -> Dataset:
    """The dataset with the modalities, environments, validation rows and groups of scaling of a specification.

    Raises:
        DataError: a modality, column or environment that does not exist among the training and validation rows; or
            `take_validation` refuses.
    """
    if data.modalities is not None:
        dataset = dataset.only(*data.modalities)
    if data.environment is not None:
        dataset = dataset.with_environment(*data.environment)
    if data.valid is not None:
        dataset = take_validation(dataset, data.valid)
    if data.leave_out is not None:
        dataset = leave_out(dataset, data.leave_out)
    return dataset if data.scale_by is None else scaled_by(dataset, data.scale_by)


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


_BUDGET = tuple(field.name for field in fields(Budget))


def with_budget(spec: Spec, dataset: Dataset) -> Spec:
    """The specification with every number of its budget; itself if none is open.

    Args:
        dataset: all of its rows.

    Raises:
        DataError: as `apply_data_spec`.
    """
    if not _open(spec.train):
        return spec
    return spec.model_copy(update={"train": completed(spec.train, training_rows(dataset, spec.data))})


def completed(train: TrainSpec, rows: int) -> TrainSpec:
    """[train] with every number of its budget, for so many training rows."""
    asked = {"epochs": train.epochs, "batch_size": train.batch_size}
    default = asdict(default_budget(train.preset, rows, train.processes, **asked))
    return train.model_copy(update={name: default[name] for name in _open(train)})


def budget_notes(train: TrainSpec, rows: int) -> list[str]:
    """A line with the numbers that the preset gave for so many training rows; none if all were given."""
    if not _open(train):
        return []
    budget = asdict(completed(train, rows).budget)
    steps = math.ceil(rows / (budget["batch_size"] * train.processes))
    numbers = ", ".join(f"{name} = {number:g}" for name, number in budget.items())
    return [f"{train.preset} budget for {rows} training rows, {steps} steps in an epoch: {numbers}"]


def training_rows(dataset: Dataset, data: DataSpec) -> int:
    """Number of training rows that a specification uses.

    Raises:
        DataError: as `apply_data_spec`.
    """
    least = min(dataset.signals, key=lambda name: dataset.signals[name].values.numel())  # splitting anew copies rows
    return len(apply_data_spec(dataset, data.model_copy(update={"modalities": (least,)})).rows("train"))


def _open(train: TrainSpec) -> list[str]:
    return [name for name in _BUDGET if getattr(train, name) is None]


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
        scale=spec.data.scale,
    )
    method = _plain_method(spec, modalities, backbone, code)
    penalties, augmentations = (spec.method.get(kind, {}) for kind in ADDED)
    if method.hooks.fit is not None:
        _check_fitted(spec, [*penalties, *augmentations])
    if penalties or augmentations:
        method = RegularizedMethod(
            method,
            make_penalties(penalties, method.backbone, environments),
            {name: build("augmentations", name, **arguments) for name, arguments in augmentations.items()},
        )
    return TargetScaled(method) if task.kind == "regression" else method


def _check_fitted(spec: Spec, added: Sequence[str]) -> None:
    """Refuse what a method that is fitted at once has no steps for."""
    if added or spec.train.processes > 1:
        what = ", ".join(added) or f"train.devices = {spec.train.devices}, nodes = {spec.train.nodes}"
        raise SpecError(
            f"{what}: the method {spec.method['name']!r} is fitted at once by one process, without steps to join or share; "
            "leave them out"
        )


def set_scales(method: Method, development: Dataset) -> None:
    """Give a fresh method the scale of the training rows: of their inputs and, in a regression, of their targets."""
    method.backbone.fit_scales(development)
    if isinstance(method, TargetScaled):
        method.set_scale(*target_scale(development))


def _plain_method(spec: Spec, modalities: Mapping[str, Modality], backbone: Backbone, code: OwnCode) -> Method:
    """The method without penalties and augmentations."""
    if "python" in spec.method:
        return make_method(spec, modalities, backbone, code.method)
    arguments = {name: value for name, value in spec.method.items() if name not in ("name", *ADDED)}
    return build("methods", spec.method["name"], backbone, **arguments)


def encoders_of(spec: Spec, modalities: Mapping[str, Modality]) -> dict[str, str]:
    """Modality → name of its encoder; none of a method that reads the mean over the steps."""
    if "python" not in spec.method and issubclass(get_class("methods", spec.method["name"]), FittedMethod):
        return {}
    return chosen_encoders(modalities, spec.backbone.encoders)
