"""Every registered metric keeps the laws; broken ones are caught."""

from __future__ import annotations

import numpy as np
import pytest

from deconfound.metric import Metric
from deconfound.registry import get_class, names
from deconfound.scoring.weights import Array, Weighted, repeated_rows, weighted_mean
from deconfound.testing import check_metric


@pytest.mark.parametrize("name", names("metrics"))
@pytest.mark.parametrize("seed", range(3))
def test_laws_hold(name: str, seed: int) -> None:
    check_metric(get_class("metrics", name)(), seed=seed)


class MedianDistance(Metric):
    """A lawful metric whose weighted form is computed resample by resample."""

    inputs = "values"
    higher_is_better = False

    def value(self, prediction: Array, target: Array) -> float | None:
        return float(np.median(np.abs(prediction - target)))

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        return repeated_rows(self.value, prediction, target)


def test_a_metric_needs_no_more_than_its_value() -> None:
    check_metric(MedianDistance())


class WrongInputs(MedianDistance):
    inputs = "labels"  # type: ignore[assignment]


class NotANumber(MedianDistance):
    """Undefined as NaN, not as None."""

    def value(self, prediction: Array, target: Array) -> float | None:
        return float("nan") if len(target) < 2 else super().value(prediction, target)


class WrongDirection(MedianDistance):
    higher_is_better = True


class FirstRow(MedianDistance):
    """The error of the first row."""

    def value(self, prediction: Array, target: Array) -> float | None:
        return float(abs(prediction[0] - target[0]))


class OtherForm(MedianDistance):
    """The weighted form of the mean."""

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        return weighted_mean(np.abs(prediction - target))


class PresentRows(MedianDistance):
    """A weighted form that only asks whether a row was drawn."""

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        values = super().weighted(prediction, target)
        return lambda weights: values((weights > 0).astype(float))


class ZeroForNothing(MedianDistance):
    """0 where no row has a weight."""

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        values = super().weighted(prediction, target)
        return lambda weights: np.nan_to_num(values(weights))


class AlwaysDefined(MedianDistance):
    """None for a single row; the weighted form gives a number there."""

    def value(self, prediction: Array, target: Array) -> float | None:
        return super().value(prediction, target) if len(target) > 1 else None

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        return repeated_rows(super().value, prediction, target)


class ChangesRows(MedianDistance):
    """Sorts the labels of the caller."""

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        values = repeated_rows(self.value, prediction.copy(), target.copy())
        target.sort()
        return values


class ChangesWeights(MedianDistance):
    """Normalises the weights of the caller."""

    def weighted(self, prediction: Array, target: Array) -> Weighted:
        values = super().weighted(prediction, target)

        def normalising(weights: Array) -> Array:
            result = values(weights)
            weights /= max(1.0, float(weights.sum()))
            return result

        return normalising


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (WrongInputs, "inputs is one of"),
        (NotANumber, "a value is a finite float, or None where"),
        (WrongDirection, "no prediction is better than the labels"),
        (FirstRow, "the order of the rows does not matter"),
        (OtherForm, "with weights of one the weighted form is the value"),
        (PresentRows, "weights k are rows repeated k times"),
        (ZeroForNothing, "rows of weight 0 leave a metric undefined"),
        (AlwaysDefined, "NaN exactly where the value is None"),
        (ChangesRows, "the predictions and labels stay as they are"),
        (ChangesWeights, "the weights stay as they are"),
    ],
)
def test_a_broken_metric_is_caught(broken: type[Metric], law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_metric(broken())
