"""Multimodal models for data that change, beside honest baselines, and measurements of how well they hold up.

Importing the package loads no PyTorch; each public name is loaded when it is first used. It asks OpenMP to let idle threads
sleep (OMP_WAIT_POLICY, KMP_BLOCKTIME), unless the environment says otherwise: beside a busy neighbour threads that spin make
small trainings tens of times slower.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read once, when PyTorch loads its OpenMP
os.environ.setdefault("KMP_BLOCKTIME", "0")

if TYPE_CHECKING:
    from deconfound.api import evaluate, fit
    from deconfound.augmentation import Augmentation
    from deconfound.compose import RegularizedMethod
    from deconfound.corruption import Corruption
    from deconfound.data.dataset import Dataset
    from deconfound.data.signal import Batch, Signal
    from deconfound.data.store import open_store, save
    from deconfound.data.task import Modality, Task
    from deconfound.datasets.folds import folds
    from deconfound.datasets.in_memory import dataset
    from deconfound.datasets.readers.mmsa import read_mmsa
    from deconfound.datasets.readers.table import read_table
    from deconfound.datasets.synthetic import synthetic
    from deconfound.datasets.validation_share import take_validation
    from deconfound.diagnostics.diagnose import diagnose
    from deconfound.evaluation.scenario import Scenario, default_scenarios
    from deconfound.method import Loss, Method, MethodHooks
    from deconfound.nn.backbone import Backbone
    from deconfound.penalty import Penalty
    from deconfound.report import build_report
    from deconfound.runs.assemble import ensemble
    from deconfound.runs.run import Run
    from deconfound.runs.spec import Spec
    from deconfound.search import Search
    from deconfound.sklearn.estimators import DeconfoundClassifier, DeconfoundRegressor
    from deconfound.sklearn.samples import Samples
    from deconfound.training.train import train_run

    __version__: str

_HOME = {
    "Augmentation": "deconfound.augmentation",
    "Backbone": "deconfound.nn.backbone",
    "Batch": "deconfound.data.signal",
    "RegularizedMethod": "deconfound.compose",
    "Corruption": "deconfound.corruption",
    "Dataset": "deconfound.data.dataset",
    "DeconfoundClassifier": "deconfound.sklearn.estimators",
    "DeconfoundRegressor": "deconfound.sklearn.estimators",
    "Loss": "deconfound.method",
    "Method": "deconfound.method",
    "MethodHooks": "deconfound.method",
    "Modality": "deconfound.data.task",
    "Penalty": "deconfound.penalty",
    "Run": "deconfound.runs.run",
    "Samples": "deconfound.sklearn.samples",
    "Scenario": "deconfound.evaluation.scenario",
    "Search": "deconfound.search",
    "Signal": "deconfound.data.signal",
    "Spec": "deconfound.runs.spec",
    "Task": "deconfound.data.task",
    "build_report": "deconfound.report",
    "dataset": "deconfound.datasets.in_memory",
    "default_scenarios": "deconfound.evaluation.scenario",
    "diagnose": "deconfound.diagnostics.diagnose",
    "ensemble": "deconfound.runs.assemble",
    "evaluate": "deconfound.api",
    "fit": "deconfound.api",
    "folds": "deconfound.datasets.folds",
    "open_store": "deconfound.data.store",
    "read_mmsa": "deconfound.datasets.readers.mmsa",
    "read_table": "deconfound.datasets.readers.table",
    "save": "deconfound.data.store",
    "synthetic": "deconfound.datasets.synthetic",
    "take_validation": "deconfound.datasets.validation_share",
    "train_run": "deconfound.training.train",
}

__all__ = [
    "Augmentation",
    "Backbone",
    "Batch",
    "Corruption",
    "Dataset",
    "DeconfoundClassifier",
    "DeconfoundRegressor",
    "Loss",
    "Method",
    "MethodHooks",
    "Modality",
    "Penalty",
    "RegularizedMethod",
    "Run",
    "Samples",
    "Scenario",
    "Search",
    "Signal",
    "Spec",
    "Task",
    "build_report",
    "dataset",
    "default_scenarios",
    "diagnose",
    "ensemble",
    "evaluate",
    "fit",
    "folds",
    "open_store",
    "read_mmsa",
    "read_table",
    "save",
    "synthetic",
    "take_validation",
    "train_run",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("deconfound")
    if name not in _HOME:
        raise AttributeError(f"module 'deconfound' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
