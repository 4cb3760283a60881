"""Environments inferred from a finished run, for data that declare none; they become a column of a copy of the data.

Both ways read training and validation rows only. The result is a guess: compare with a run that does not use it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from deconfound.data.columns import Columns
from deconfound.data.dataset import DEVELOPMENT, Dataset
from deconfound.data.one_label import one_label_kind
from deconfound.data.signal import Batch
from deconfound.data.store import verified
from deconfound.data.task import Task
from deconfound.errors import DataError, RunError
from deconfound.evaluation.outputs import row_batches
from deconfound.method import Method
from deconfound.nn.collect_features import label_bins
from deconfound.nn.inference import apply_to_batches
from deconfound.nn.own_encoders import OwnEncoder
from deconfound.nn.standardise import safe_std
from deconfound.objectives.irm import risk_slopes
from deconfound.runs.build import load_data
from deconfound.runs.run import Run
from deconfound.target_scaled import scale_of

How = Literal["eiil", "cluster"]

COLUMN = "inferred"
"""Default name of the column."""

UNKNOWN = "unknown"
"""Value of the column in test rows, which are not read."""

CAUTION = (
    "environments inferred from a model are a guess and can do harm: in our laboratory those from the size of its "
    "residuals raised the error in distribution from .228 to .540, and 'eiil' in a classification from .27 to .52; compare "
    "with a run without them"
)


class InferenceWarning(UserWarning):
    """Environments were guessed from a model, not observed."""


@dataclass(frozen=True, eq=False)
class ReferenceOutputs:
    """What a finished run computes for R training and validation rows.

    Args:
        output: (R, outputs) predictions or logits.
        features: (R, D) features that the prediction is made from, all modalities side by side, standardised over the
            training rows; 0 where a modality is absent.
        target: (R,) labels or class numbers.
        train: number of training rows; they come first.
    """

    output: Tensor
    features: Tensor
    target: Tensor
    train: int


def infer_environments(
    run: Run | str | Path,
    *,
    how: How = "eiil",
    count: int = 2,
    column: str = COLUMN,
    dataset: Dataset | None = None,
    encoders: Mapping[str, OwnEncoder] | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> Dataset:
    """All rows of a run's data, with a column "i1", "i2", … of environments that the errors or features of the run suggest.

    "eiil": the two environments between which the scale of the predictions fits worst (`harshest_split`).
    "cluster": k-means on the features that the run predicts from, within each label (`majority_clusters`). Validation rows
    follow the same rule: the slope of their own risk, or the nearest centre of their label. Test rows get "unknown".

    Args:
        run: a finished run, preferably of `erm`: its errors show which shortcut it relies on.
        count: number of environments; "eiil" has two.
        column: name of the column to add.
        dataset: the training data, if the specification does not name them or they moved.
        encoders: as for `fit`, those that are Python code.
        seed: determines the first centres of k-means; "eiil" draws nothing.
        device: where to compute, such as "cuda".

    Raises:
        RunError: the run is not finished, or the data are not those of its training.
        DataError: the column exists, "eiil" with another count than two, a label has fewer different training rows than
            clusters, or all training rows get the same environment.

    Warns `InferenceWarning`.
    """
    reference = run if isinstance(run, Run) else Run.open(run)
    method = reference.method(encoders)
    whole = load_data(reference.spec.data) if dataset is None else verified(dataset)
    data = reference.dataset(whole)
    if column in whole.columns:
        raise DataError(f"{whole.name} has a column {column!r} already; name another one")
    if count < 2 or (how == "eiil" and count > 2):
        raise DataError(f"count = {count}: {how!r} makes 2 environments{_MORE[how]}")
    one_label_kind(reference.task, "inferring environments")
    observed = observe(method, data.development(), device)
    environments = (
        harshest_split(observed, reference.task)
        if how == "eiil"
        else majority_clusters(observed, reference.task, count, seed)
    )
    if len(np.unique(environments[: observed.train])) < 2:
        raise DataError(
            f"all training rows of {whole.name} get the same environment because {reference.path} fits them too well; train "
            "the reference for fewer epochs"
        )
    warnings.warn(CAUTION, InferenceWarning, stacklevel=2)
    record = {"how": how, "count": count, "seed": seed, "run": reference.path.name, "method": reference.spec.title}
    record |= {"checksum": whole.checksum, **_summary(data, reference.task, observed, environments)}
    return _with_column(whole, column, dict(zip(_ids(data), environments.tolist(), strict=False)), record)


def _ids(dataset: Dataset) -> list[str]:
    return dataset.columns["id"].values.tolist()


def _with_column(whole: Dataset, column: str, environments: Mapping[str, int], record: Mapping[str, Any]) -> Dataset:
    """The dataset with a column of environments by row id, and a record of how they were inferred."""
    names = [f"i{environments[row_id] + 1}" if row_id in environments else UNKNOWN for row_id in _ids(whole)]
    earlier = whole.provenance.get("inferred", {})
    return replace(
        whole,
        columns=Columns({**whole.columns, column: names}),
        provenance={**whole.provenance, "inferred": {**earlier, column: dict(record)}},
    )


_MORE = {"eiil": ", more do not raise its penalty; use 'cluster' for more", "cluster": " or more"}


def observe(method: Method, development: Dataset, device: str = "cpu") -> ReferenceOutputs:
    """Predict the training and validation rows, without any corruption.

    Raises:
        RunError: an output or a feature is not finite.
    """

    def observe_batch(batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        predictive = method.representations(batch).predictive
        return method(batch).float().cpu(), {name: values.double().cpu() for name, values in predictive.items()}

    batches = row_batches(development, range(len(development)))
    outputs, parts = zip(*apply_to_batches(method, batches, observe_batch, device), strict=True)
    output, train = torch.cat(outputs), len(development.rows("train"))
    blocks = [
        _standardised(torch.cat([part[name] for part in parts]), development.signals[name].present, train)
        for name in parts[0]
    ]
    features = torch.cat(blocks, dim=1)
    if not bool(torch.isfinite(output).all() and torch.isfinite(features).all()):
        raise RunError("the run predicts NaN or infinite values; train it with a smaller learning rate")
    return ReferenceOutputs(output, features, development.target, train)


def _standardised(values: Tensor, present: Tensor, train: int) -> Tensor:
    """(R, D) standardised over the training rows that have the modality; 0 in rows that do not have it."""
    training_values = values[:train][present[:train]]
    if len(training_values) == 0:
        return torch.zeros_like(values)
    mean = training_values.mean(0)
    return ((values - mean) / safe_std(training_values.std(0, correction=0), mean)).masked_fill(
        ~present.unsqueeze(1), 0
    )


def harshest_split(observed: ReferenceOutputs, task: Task) -> np.ndarray:
    """The two environments with the largest IRM penalty, EIIL (Creager et al., ICML 2021, eq. 5).

    With g_i the derivative of row i's risk by a factor w of its prediction, at w = 1, and q_i(e) the share of row i in
    environment e, EIIL maximises Σ_e (mean_i q_i(e) g_i)². That is convex in q, and its maximum is known: all rows with
    g_i > 0 in one environment, the others in the other. So no ascent is needed; more environments stay empty.

    Returns:
        (R,) 0 where a larger factor would lower the row's risk, 1 where it would raise it. In a classification of two classes
        these are the rows that the run gets right, and those that it gets wrong. In a regression prediction and target count
        in standard deviations from the mean of the training targets, or the split would depend on their origin.
    """
    output, target = observed.output, observed.target
    if task.kind == "regression":
        mean, std = scale_of(target[: observed.train])
        output, target = (output - mean) / std, (target - mean) / std
    return (risk_slopes(output, target, task.risk) > 0).long().numpy()


def majority_clusters(observed: ReferenceOutputs, task: Task, count: int, seed: int) -> np.ndarray:
    """Clusters of the features within each label (class, or quarter of the training targets), numbered by size.

    Environment 0 is the largest cluster of every label, where the shortcut holds if it holds for most rows. GEORGE (Sohoni
    et al., NeurIPS 2020) clusters within labels too.

    Returns:
        (R,) in [0, count); validation rows by the nearest centre of their label, 0 for a label that training does not have.

    Raises:
        DataError: a label has fewer different training rows than clusters.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    bins = label_bins(task, observed.target, among=observed.target[: observed.train]).numpy()
    values, environments = observed.features.numpy(), np.zeros(len(bins), dtype=np.int64)
    with threadpool_limits(limits=1):
        for label in np.unique(bins[: observed.train]):
            rows = np.flatnonzero(bins == label)
            training_values = values[rows[rows < observed.train]]
            distinct = len(np.unique(training_values, axis=0))
            if distinct < count:
                raise DataError(f"label {label} has {distinct} different training rows for {count} clusters; use fewer")
            model: Any = KMeans  # its stubs know neither n_init = 10 nor the fitted attributes
            model = model(count, n_init=10, random_state=seed).fit(training_values)
            order = np.argsort(-np.bincount(model.labels_, minlength=count), kind="stable")
            environments[rows] = np.argsort(order)[model.predict(values[rows])]
    return environments


def _summary(data: Dataset, task: Task, observed: ReferenceOutputs, environments: np.ndarray) -> dict[str, Any]:
    """Rows and the run's mean risk by environment, and the adjusted Rand index with the declared environments, if any."""
    from sklearn.metrics import adjusted_rand_score

    risks = task.risk(observed.output, observed.target).double().numpy()
    spans = dict(zip(DEVELOPMENT, (slice(0, observed.train), slice(observed.train, None)), strict=True))
    names = {int(number): f"i{number + 1}" for number in np.unique(environments)}
    counts = {
        split: {name: int((environments[rows] == number).sum()) for number, name in names.items()}
        for split, rows in spans.items()
    }
    declared = data.env[: observed.train].numpy()
    agreement = float(adjusted_rand_score(declared, environments[: observed.train])) if data.environment else None
    return {
        "rows": counts,
        "risk": {name: float(risks[environments == number].mean()) for number, name in names.items()},
        "agreement": agreement,
    }
