"""Which epoch is kept, against a slow second implementation that looks at all epochs at once."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deconfound.method import WarmUp
from deconfound.training.best_epoch import EpochChoice

Scores = st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, math.inf, math.nan]), min_size=1, max_size=12)


def slowly(scores: list[float], first: int, window: int, patience: int, total: int) -> tuple[int | None, int]:
    """Kept epoch and number of epochs trained."""
    values = [math.inf if math.isnan(score) else score for score in scores]
    kept_from = min(first + window - 1, total - 1)
    kept, best, improved = None, math.inf, kept_from
    for epoch in range(len(values)):
        if epoch >= kept_from:
            mean = float(np.mean(values[max(first, epoch - window + 1) : epoch + 1]))
            if mean < best:
                improved = epoch
            if mean <= best:
                kept, best = epoch, mean
        if epoch - improved >= patience:
            return kept, epoch + 1
    return kept, len(values)


@settings(deadline=None, max_examples=200)
@given(Scores, st.integers(0, 14), st.integers(1, 4), st.integers(1, 5))
def test_the_choice_is_that_of_all_epochs_at_once(scores: list[float], warm: int, window: int, patience: int) -> None:
    total = len(scores)
    choice = EpochChoice.of(WarmUp(epochs=warm), total, window, patience)
    expected, trained = slowly(scores, min(warm, total - 1), window, patience, total)
    for score in scores[:trained]:
        assert not choice.is_over
        choice = choice.after(score)
    assert choice.kept == expected
    assert choice.is_over or trained == total


@pytest.mark.parametrize(
    ("warm_up", "epochs", "first"),
    [
        (WarmUp(), 60, 0),
        (WarmUp(epochs=3), 60, 3),
        (WarmUp(share=0.2), 60, 12),
        (WarmUp(share=0.2), 7, 2),
        (WarmUp(share=0.3), 10, 3),
        (WarmUp(epochs=5, share=0.5), 8, 5),
        (WarmUp(epochs=5, share=0.5), 20, 10),
        (WarmUp(epochs=9), 4, 3),
        (WarmUp(share=1.0), 4, 3),
    ],
)
def test_no_epoch_that_begins_before_the_end_of_the_warm_up_counts(warm_up: WarmUp, epochs: int, first: int) -> None:
    choice = EpochChoice.of(warm_up, epochs, 1, 2).after_all([0.0] * first)
    assert choice.kept is None
    assert not choice.is_over
    assert choice.after(5.0).kept == first


def test_of_equal_epochs_the_later_one_is_kept_and_the_patience_goes_on() -> None:
    choice = EpochChoice.of(WarmUp(), 20, 1, 3).after_all([1.0, 1.0, 1.0])
    assert choice.kept == 2
    assert not choice.is_over
    assert choice.after(1.0).is_over


def test_training_does_not_end_before_later() -> None:
    choice = EpochChoice.of(WarmUp(), 20, 1, 2, later=5).after_all([0.0, 1, 1, 1, 1, 1, 1])
    assert not choice.is_over
    assert choice.after(1.0).is_over
    assert choice.kept == 0


def test_joined_warm_ups_end_with_the_later_one() -> None:
    assert WarmUp(epochs=3).joined(WarmUp(share=0.2)) == WarmUp(3, 0.2)
