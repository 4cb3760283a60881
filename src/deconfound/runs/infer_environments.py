"""Environments inferred from a finished run, for data that declare none; a copy of the data gets a column of them.

Both ways look at training and validation rows alone. What they find is a guess: compare with a run without it.
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
from deconfound.data.task import Task
from deconfound.errors import DataError, RunError
from deconfound.method import Method
from deconfound.nn.collect_features import label_bins
from deconfound.nn.outputs import batches_of, collect_outputs
from deconfound.nn.own_encoders import OwnEncoder
from deconfound.nn.standardise import safe_std
from deconfound.objectives.irm import risk_slopes
from deconfound.runs.build import load_data
from deconfound.runs.run import Run
from deconfound.target_scaled import scale_of

How = Literal["eiil", "cluster"]

COLUMN = "inferred"
"""Name of the column unless another is given."""

UNKNOWN = "unknown"
"""Its value in test rows, which are not looked at."""

CAUTION = (
    "environments inferred from a model are a guess and can do harm: in our laboratory those from the size of its "
    "residuals raised the error in distribution from .228 to .540, and 'eiil' in a classification from .27 to .52; compare "
    "with a run without them"
)


class InferenceWarning(UserWarning):
    """Environments were guessed from a model, not observed."""


@dataclass(frozen=True, eq=False)
class ReferenceOutputs:
    """R training and validation rows as a finished run sees them.

    Args:
        output: (R, outputs) predictions or logits.
        features: (R, D) what the prediction is made from, all modalities side by side, standardised over the training rows;
            0 where a modality is absent.
        target: (R,).
        train: the first so many rows are training rows.
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
    """All rows of a run's data, with a column "i1", "i2", … of environments that the run gives away.

    "eiil": the two environments between which the scale of the predictions fits worst (`harshest_split`).
    "cluster": k-means on what the run predicts from, within each label (`majority_clusters`). Validation rows follow the
    same rule: the slope of their own risk, or the nearest centre of their label. Test rows get "unknown".

    Args:
        run: finished, best of `erm`: what it gets wrong is what it leans on.
        count: of environments; "eiil" has two.
        column: to add.
        dataset: the training data, if the specification does not name them or they moved.
        encoders: as for `fit`, those that are Python code.
        seed: of the first centres of k-means; "eiil" draws nothing.

    Raises:
        RunError: the run is not finished, or the data are not those of its training.
        DataError: the column exists, "eiil" with another count than two, a label has fewer different training rows than
            clusters, or the training rows do not fall apart.

    Warns `InferenceWarning`.
    """
    opened = run if isinstance(run, Run) else Run.open(run)
    method = opened.method(encoders)
    whole = dataset if dataset is not None else load_data(opened.spec.data)
    used = opened.dataset(whole)
    if column in whole.columns:
        raise DataError(f"{whole.name} has a column {column!r} already; name another one")
    if count < 2 or (how == "eiil" and count > 2):
        raise DataError(f"count = {count}: {how!r} makes 2 environments{_MORE[how]}")
    seen = observe(method, used.development(), device)
    places = harshest_split(seen, opened.task) if how == "eiil" else majority_clusters(seen, opened.task, count, seed)
    if len(np.unique(places[: seen.train])) < 2:
        raise DataError(
            f"all training rows of {whole.name} fall into one environment, so well does {opened.path} fit them; train a "
            "reference for fewer epochs"
        )
    warnings.warn(CAUTION, InferenceWarning, stacklevel=2)
    told = {"how": how, "count": count, "seed": seed, "run": opened.path.name, "method": opened.spec.title}
    told |= {"checksum": whole.checksum, **_summary(used, opened.task, seen, places)}
    return _with_column(whole, column, dict(zip(_ids(used), places.tolist(), strict=False)), told)


def _ids(dataset: Dataset) -> list[str]:
    return dataset.columns["id"].values.tolist()


def _with_column(whole: Dataset, column: str, places: Mapping[str, int], told: Mapping[str, Any]) -> Dataset:
    """The rows with a column of their places, by id, and where it came from."""
    names = [f"i{places[each] + 1}" if each in places else UNKNOWN for each in _ids(whole)]
    earlier = whole.provenance.get("inferred", {})
    return replace(
        whole,
        columns=Columns({**whole.columns, column: names}),
        provenance={**whole.provenance, "inferred": {**earlier, column: dict(told)}},
    )


_MORE = {"eiil": ", more do not raise its penalty; use 'cluster' for more", "cluster": " or more"}


def observe(method: Method, development: Dataset, device: str = "cpu") -> ReferenceOutputs:
    """Run a method over the training and validation rows, clean.

    Raises:
        RunError: an output or a feature is not finite.
    """
    parts = collect_outputs(
        method,
        batches_of(development, range(len(development))),
        lambda batch: {"": method(batch).float(), **method.representations(batch).predictive},
        device=device,
    )
    output, train = parts.pop(""), len(development.rows("train"))
    blocks = [
        _standardised(values.double(), development.signals[name].present, train) for name, values in parts.items()
    ]
    features = torch.cat(blocks, dim=1)
    if not bool(torch.isfinite(output).all() and torch.isfinite(features).all()):
        raise RunError("the run predicts NaN or infinite values; train it with a smaller learning rate")
    return ReferenceOutputs(output, features, development.target, train)


def _standardised(values: Tensor, present: Tensor, train: int) -> Tensor:
    """(R, D) by mean and standard deviation of the training rows that have the modality, 0 in the rows that do not."""
    known = values[:train][present[:train]]
    if len(known) == 0:
        return torch.zeros_like(values)
    mean = known.mean(0)
    return ((values - mean) / safe_std(known.std(0, correction=0), mean)).masked_fill(~present.unsqueeze(1), 0)


def harshest_split(seen: ReferenceOutputs, task: Task) -> np.ndarray:
    """The two environments with the largest IRM penalty, EIIL (Creager et al., ICML 2021, eq. 5).

    With g_i the derivative of row i's risk by a factor w of its prediction, at w = 1, and q_i(e) the share of row i in
    environment e, EIIL maximises Σ_e (mean_i q_i(e) g_i)². That is convex in q, and its maximum is known: all rows with
    g_i > 0 in one environment, the others in the other. So no ascent is needed; more environments stay empty.

    Returns:
        (R,) 0 where a larger factor would lower the row's risk, 1 where it would raise it. In a classification of two classes
        these are the rows that the run gets right, and those that it gets wrong. In a regression prediction and target count
        in standard deviations from the mean of the training targets, or the split would depend on their origin.
    """
    if task.kind == "regression":
        mean, std = scale_of(seen.target[: seen.train])
        seen = replace(seen, output=(seen.output - mean) / std, target=(seen.target - mean) / std)
    return (risk_slopes(seen.output, seen.target, task.risk) > 0).long().numpy()


def majority_clusters(seen: ReferenceOutputs, task: Task, count: int, seed: int) -> np.ndarray:
    """Clusters of the features within each label (class, or quarter of the training targets), numbered by size.

    Environment 0 is the largest cluster of every label, where the shortcut holds if it mostly does (GEORGE, Sohoni et al.,
    NeurIPS 2020, clusters likewise within labels).

    Returns:
        (R,) in [0, count); validation rows by the nearest centre of their label, 0 for a label that training does not have.

    Raises:
        DataError: a label has fewer different training rows than clusters.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    bins = label_bins(task, seen.target, among=seen.target[: seen.train]).numpy()
    values, places = seen.features.numpy(), np.zeros(len(bins), dtype=np.int64)
    with threadpool_limits(limits=1):
        for label in np.unique(bins[: seen.train]):
            own = np.flatnonzero(bins == label)
            known = values[own[own < seen.train]]
            distinct = len(np.unique(known, axis=0))
            if distinct < count:
                raise DataError(f"label {label} has {distinct} different training rows for {count} clusters; use fewer")
            model: Any = KMeans
            model = model(count, n_init=10, random_state=seed).fit(known)
            order = np.argsort(-np.bincount(model.labels_, minlength=count), kind="stable")
            places[own] = np.argsort(order)[model.predict(values[own])]
    return places


def _summary(used: Dataset, task: Task, seen: ReferenceOutputs, places: np.ndarray) -> dict[str, Any]:
    """Rows and the run's mean risk by environment, and the adjusted Rand index with the declared environments, if any."""
    from sklearn.metrics import adjusted_rand_score

    risks = task.risk(seen.output, seen.target).double().numpy()
    cuts = dict(zip(DEVELOPMENT, (slice(0, seen.train), slice(seen.train, None)), strict=True))
    names = {int(place): f"i{place + 1}" for place in np.unique(places)}
    rows = {split: {name: int((places[cut] == p).sum()) for p, name in names.items()} for split, cut in cuts.items()}
    known = used.env[: seen.train].numpy()
    agreement = float(adjusted_rand_score(known, places[: seen.train])) if used.environment else None
    return {
        "rows": rows,
        "risk": {name: float(risks[places == p].mean()) for p, name in names.items()},
        "agreement": agreement,
    }
