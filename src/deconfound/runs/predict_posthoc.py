"""Predicting rows in memory with calibrated probabilities, another prior, intervals or sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from deconfound.errors import DataError
from deconfound.prediction.in_memory import memory_inputs, prediction_table
from deconfound.prediction.predict import predict_rows
from deconfound.prediction.region import Region, region_columns, region_rows
from deconfound.runs.posthoc import Calibration, Prior, adjusted_method, fit_adjustment
from deconfound.runs.regions import fit_region
from deconfound.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd

    from deconfound.data.dataset import Dataset


def predict_posthoc(
    run: Run,
    data: object,
    *,
    calibrate: Calibration | None = None,
    prior: Prior | None = None,
    level: float | None = None,
    by: Sequence[str] = (),
    groups: Sequence[str] | None = None,
    dataset: Dataset | None = None,
    ids: object = None,
    lengths: Mapping[str, object] | None = None,
    device: str = "cpu",
) -> pd.DataFrame:
    """As `Run.predict`, with what is fitted to the validation rows.

    Args:
        data, ids, lengths, device: as for `Run.predict`.
        calibrate: "temperature" or "isotonic"; prior: "train", "uniform" or class → share of the rows to predict.
        level: share of labels that an interval (regression) or a set (classification) shall hold; None for none.
        by: metadata columns whose values have thresholds of their own.
        groups: with `by`, the group of each row, as "speaker=anna"; one without validation rows has the common threshold.
        dataset: the run's data, for `by`, if its specification does not name them or they moved.

    Returns:
        the columns of `Run.predict`; with a level also "low" and "high", or "in_CLASS" for every class.

    Raises:
        DataError: as `Run.predict`; `by` without `groups`, or another number of groups than rows.
        SpecError, RunError: as `deconfound.runs.posthoc.fit_adjustment` and `deconfound.runs.regions.fit_region`.
    """
    adjustment = fit_adjustment(run, calibrate, prior)
    known = run.environment["data"]
    names, signals = memory_inputs(
        data,
        run.modalities,
        columns=known.get("columns", {}),
        repairs=run.repairs,
        preparations=run.preparations,
        target=known.get("target"),
        ids=ids,
        lengths=lengths or {},
    )
    if bool(by) != (groups is not None) or (groups is not None and len(groups) != len(names)):
        given = "none" if groups is None else len(groups)
        raise DataError(
            f"by = {tuple(by)} needs the group of each of {len(names)} rows; got {given}: give groups=[...]"
        )
    conformal = None if level is None else fit_region(run, level, by, adjustment=adjustment, dataset=dataset)
    method = adjusted_method(run.method(), adjustment)
    output = predict_rows(method, run.modalities, run.task, signals, names, device=device)
    table = prediction_table(output, run.task, names)
    if conformal is not None:
        cells = [row for row, _ in region_rows(Region(conformal, groups), output, run.task, 0)]
        table[region_columns(run.task)] = np.array(cells, dtype=float if run.task.kind == "regression" else bool)
    return table
