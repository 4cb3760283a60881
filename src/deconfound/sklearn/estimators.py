"""`DeconfoundClassifier` and `DeconfoundRegressor`: every method of the package as an estimator of scikit-learn."""

from __future__ import annotations

import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from deconfound.data.dataset import Dataset
from deconfound.data.task import Task
from deconfound.datasets.frames import frame_columns
from deconfound.datasets.in_memory import ModalityKind
from deconfound.datasets.in_memory_target import label_name
from deconfound.datasets.stratified import strata_of
from deconfound.errors import DataError
from deconfound.prediction.in_memory import MemoryPredictor
from deconfound.runs.begin import free_folder
from deconfound.runs.own_code import OwnMethod, method_table
from deconfound.runs.spec import Spec
from deconfound.sklearn.rows import (
    WEIGHT,
    ValidateOn,
    checked_rows,
    checked_weights,
    environment_names,
    holds_modalities,
    make_dataset,
    named_columns,
    validation_split,
)
from deconfound.sklearn.samples import Samples
from deconfound.training.best_epoch import EpochWarning
from deconfound.training.train import train_run

_validate: Callable[..., Any] = validate_data  # the annotations of scikit-learn are guesses

ONE = "x"
"""The modality of an array, and of a frame where no modalities are named."""


class _Estimator(BaseEstimator, ABC):
    """What both estimators share; their own pages describe the arguments."""

    _numeric_labels: ClassVar[bool]

    def __init__(
        self,
        method: str | Mapping[str, Any] | OwnMethod = "erm",
        *,
        modalities: Mapping[str, object] | None = None,
        kinds: Mapping[str, ModalityKind] | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        train: Mapping[str, Any] | None = None,
        backbone: Mapping[str, Any] | None = None,
        validation: float = 0.2,
        validate_on: ValidateOn = "rows",
        out: str | Path | None = None,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.method = method
        self.modalities = modalities
        self.kinds = kinds
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.train = train
        self.backbone = backbone
        self.validation = validation
        self.validate_on: ValidateOn = validate_on
        self.out = out
        self.device = device
        self.random_state = random_state

    @abstractmethod
    def _task(self, labels: np.ndarray) -> tuple[Task, Sequence[object], list[str]]:
        """The task, (N,) targets and (N,) strata of the validation split."""

    def fit(self, X: object, y: object, *, environment: object = None, sample_weight: object = None) -> Self:  # noqa: N803
        """Train on a part of the rows and select the epoch on the others.

        Args:
            X: (N, D) or (N, T, D) array; a frame; `Samples`, or a dict of modalities to N rows.
            y: (N,) labels.
            environment: (N,) values that name the environment of each row, for methods and penalties that use it.
            sample_weight: (N,) weights of at least 0, by which the risks of the rows count, as `train.weight` says.

        Raises:
            ValueError: an argument that scikit-learn or the package refuses, in one line.
        """
        samples, labels = self._training_rows(X, y)
        task, target, strata = self._task(labels)
        own_seed = isinstance(self.random_state, int | np.integer)
        seed = int(self.random_state) if own_seed else int(check_random_state(self.random_state).randint(2**31 - 1))  # type: ignore[arg-type]
        names = environment_names(environment, len(labels))
        split = validation_split(strata, names, self.validation, self.validate_on, seed)
        weights = checked_weights(split, sample_weight)
        data = make_dataset(samples, task, target, split, names, self.kinds or {}, weights)
        self._train(data, seed, None if weights is None else WEIGHT)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags

    def _training_rows(self, X: object, y: object) -> tuple[Samples, np.ndarray]:  # noqa: N803
        if not holds_modalities(X) and self.modalities is None:
            checks = {"allow_nd": True, "ensure_all_finite": "allow-nan", "ensure_min_samples": 2}
            array, labels = _validate(self, X, y, y_numeric=self._numeric_labels, **checks)
            return Samples({ONE: array}), labels
        if y is None:
            raise DataError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        labels = column_or_1d(y, warn=True)
        if not holds_modalities(X):
            self.feature_names_in_ = np.array(list(frame_columns(X)), dtype=object)
            self.n_features_in_ = len(self.feature_names_in_)
        return checked_rows(self._samples(X), labels), labels

    def _samples(self, X: object) -> Samples:  # noqa: N803
        if isinstance(X, Samples):
            return X
        return Samples(X) if holds_modalities(X) else named_columns(X, self.modalities or {}, self.kinds or {})

    def _predictable(self, X: object) -> dict[str, Any]:  # noqa: N803
        check_is_fitted(self, "predictor_")
        if holds_modalities(X) or self.modalities is not None:
            return dict(self._samples(X))
        return {ONE: _validate(self, X, reset=False, allow_nd=True, ensure_all_finite="allow-nan")}

    def _train(self, data: Dataset, seed: int, weight: str | None) -> None:
        table, own = method_table(self.method)
        named = {"epochs": self.epochs, "batch_size": self.batch_size, "learning_rate": self.learning_rate}
        train = {name: number for name, number in named.items() if number is not None}
        values = {
            "seed": seed,
            "method": table,
            "backbone": self.backbone or {},
            "train": {**train, **(self.train or {}), **({} if weight is None else {"weight": weight})},
        }
        spec = Spec.of(values)
        with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
            warnings.simplefilter("ignore", EpochWarning)  # the notes of the run keep it
            folder = free_folder(spec, data, fresh=True, parent=Path(scratch if self.out is None else self.out))
            run = train_run(spec, folder, dataset=data, method=own, progress=False)
            known = (run.modalities, run.task, {}, run.repairs, run.preparations)
            self.predictor_ = MemoryPredictor(run.method(), *known, self.device)
            self.n_iter_ = int((run.done or {})["epochs"])
            self.run_ = None if self.out is None else run


class DeconfoundClassifier(ClassifierMixin, _Estimator):
    """A method of the package as a classifier of scikit-learn.

    A share of the training rows selects the epoch; all else of `fit` sees only the rows that it is given. A weight of a row
    is a factor of its risk in the loss, as if the row came that often.

    Args:
        method: as for `deconfound.fit`: a name, a table with a name and arguments, or a subclass of `Method`.
        modalities: of a frame: modality → column of arrays or numbers, or columns of numbers or categories; None takes all
            columns, of numbers, as the one modality "x".
        kinds: modality → "vector", "sequence", "image", "tokens" or "table", where the values do not say it.
        epochs, batch_size, learning_rate: of the training; None for those of the budget (`train.preset`); train: further
            fields of `TrainSpec`.
        backbone: fields of `BackboneSpec`.
        validation: share of the rows, in (0, 1), that select the epoch.
        validate_on: "rows", with the classes in equal shares, or whole "environments".
        out: folder that keeps the run of every fit; None keeps none.
        device: where predictions are computed, such as "cuda".
        random_state: decides the validation rows, first weights and the order of batches.

    Attributes:
        classes_: (C,) labels.
        predictor_: the trained method.
        n_iter_: epochs trained.
        run_: the run directory, None without `out`.
        n_features_in_, feature_names_in_: of arrays and frames.
    """

    _numeric_labels = False

    def predict(self, X: object) -> np.ndarray:  # noqa: N803
        """(N,) the most probable label of each row."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_proba(self, X: object) -> np.ndarray:  # noqa: N803
        """(N, C) probability of each class, in the order of `classes_`."""
        rows = self._predictable(X)
        return self.predictor_.probabilities(rows, None, None).to_numpy()

    def _task(self, labels: np.ndarray) -> tuple[Task, Sequence[object], list[str]]:
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        names = [label_name(label) for label in self.classes_.tolist()]
        if len(set(names)) < len(names):
            names = [str(code) for code in range(len(names))]
        target = [names[code] for code in codes]
        return Task.classification(tuple(names)), target, target


class DeconfoundRegressor(RegressorMixin, _Estimator):
    """A method of the package as a regressor of scikit-learn, with the squared error as its risk.

    Arguments and attributes are those of `DeconfoundClassifier`, without `classes_`; "rows" that validate hold the quarters
    of the target in equal shares.
    """

    _numeric_labels = True

    def predict(self, X: object) -> np.ndarray:  # noqa: N803
        """(N,) float64 predictions in the unit of the target."""
        rows = self._predictable(X)
        return self.predictor_.predict(rows, None, None)["prediction"].to_numpy(dtype=np.float64)

    def _task(self, labels: np.ndarray) -> tuple[Task, Sequence[object], list[str]]:
        numbers = np.asarray(labels, dtype=np.float64)
        return Task.regression(), numbers.tolist(), strata_of(numbers)
