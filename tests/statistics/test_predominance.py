"""Predominance against slow definitions, SciPy's and scikit-learn's numbers, and identities."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deconfound.errors import DataError
from deconfound.statistics.predominance import (
    BALANCED,
    by_group,
    conflicts,
    linear_outputs,
    row_scores,
    shapley,
    subsets,
    verdict,
)

NAMES = ("text", "audio", "face")


def logits(classes: list[int], count: int = 3) -> np.ndarray:
    return np.eye(count)[classes]


def test_row_scores_average_to_accuracy_and_to_minus_the_mean_absolute_error() -> None:
    rng = np.random.default_rng(0)
    output, target = rng.normal(size=(50, 3)), rng.integers(0, 3, 50)
    assert row_scores(output, target, "classification").mean() == (output.argmax(1) == target).mean()
    wanted = rng.normal(size=50)
    assert row_scores(output[:, :1], wanted, "regression").mean() == pytest.approx(
        -np.abs(output[:, 0] - wanted).mean()
    )
    with pytest.raises(DataError, match="row scores need"):
        row_scores(output, wanted, "regression")


def test_one_clear_leader_predominates() -> None:
    rng = np.random.default_rng(1)
    scores = {name: (rng.random(500) < p).astype(float) for name, p in zip(NAMES, (0.5, 0.8, 0.6), strict=True)}
    comparison = verdict(scores)
    assert comparison.predominant == "audio"
    assert [s.modality for s in comparison.standings] == ["audio", "face", "text"]
    for standing in comparison.standings:
        assert standing.score == scores[standing.modality].mean()
        half = 1.96 * scores[standing.modality].std() / np.sqrt(500)
        assert standing.low == pytest.approx(standing.score - half, abs=0.15 * half)
        assert standing.high == pytest.approx(standing.score + half, abs=0.15 * half)
    gap = scores["audio"] - scores["text"]
    last = comparison.standings[-1]
    assert (last.gap, last.gap_low) == pytest.approx(
        (gap.mean(), gap.mean() - 1.96 * gap.std() / np.sqrt(500)), abs=0.02
    )


def test_a_gap_that_the_rows_cannot_tell_from_zero_is_balanced() -> None:
    rng = np.random.default_rng(2)
    scores = {name: (rng.random(60) < p).astype(float) for name, p in zip(NAMES, (0.70, 0.72, 0.2), strict=True)}
    comparison = verdict(scores)
    assert comparison.predominant == BALANCED
    assert set(comparison.leaders) == {"text", "audio"}
    assert verdict(dict.fromkeys(NAMES, scores["text"])).leaders == NAMES


def test_rows_of_one_speaker_are_drawn_together() -> None:
    speaker = np.repeat(np.arange(10), 50)
    better = np.where(speaker % 2 == 0, 0.25, -0.15)
    scores = {"text": better, "audio": np.zeros(500)}
    assert verdict(scores).predominant != BALANCED
    assert verdict(scores, speaker).predominant == BALANCED


def test_a_single_row_decides_nothing() -> None:
    comparison = verdict({"text": np.ones(1), "audio": np.zeros(1)})
    assert comparison.predominant == BALANCED
    assert comparison.standings[0].low is None
    with pytest.raises(DataError, match="one or more modalities and rows"):
        verdict({"text": np.empty(0)})


def test_who_is_right_where_classes_disagree() -> None:
    outputs = {"text": logits([0, 1, 2, 0, 1]), "audio": logits([0, 0, 1, 1, 0])}
    one, two = conflicts(outputs, np.array([0, 1, 1, 2, 1]), "classification")
    assert (one.first, one.second, one.rows, one.share) == ("text", "audio", 4, 0.8)
    assert (one.wins, one.losses, one.neither) == (2, 1, 1)
    assert one.win_rate == 0.5
    assert (two.first, two.wins, two.losses, two.neither) == ("audio", 1, 2, 1)
    same = conflicts({"a": outputs["text"], "b": outputs["text"]}, np.zeros(5, dtype=int), "classification")
    assert same[0].win_rate is None


def test_a_regression_disagrees_beyond_half_a_deviation_of_the_labels() -> None:
    target = np.array([-1.0, 1.0, -1.0, 1.0])  # standard deviation 1
    outputs = {"a": np.array([[-1.0], [1.0], [0.0], [0.0]]), "b": np.array([[-0.6], [0.0], [-1.0], [2.0]])}
    conflict = conflicts(outputs, target, "regression")[0]
    assert (conflict.rows, conflict.wins, conflict.losses, conflict.neither) == (3, 1, 1, 1)


@given(st.integers(1, 4), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_shapley_is_the_mean_over_all_orders(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = ["a", "b", "c", "d"][:count]
    scores = {subset: rng.normal(size=5) for subset in subsets(names)}
    shares = shapley(scores, names)
    orders = list(permutations(names))
    for name in names:
        gains = [
            scores[frozenset(order[: order.index(name) + 1])] - scores[frozenset(order[: order.index(name)])]
            for order in orders
        ]
        np.testing.assert_allclose(shares[name], np.mean(gains, axis=0))
    np.testing.assert_allclose(sum(shares.values()), scores[frozenset(names)] - scores[frozenset()], atol=1e-12)


def test_shapley_of_an_idle_and_of_equal_modalities() -> None:
    worth = {"text": 1.0, "audio": 1.0, "face": 0.0}
    scores = {subset: np.array([sum(worth[name] for name in subset)]) for subset in subsets(NAMES)}
    assert {name: value.tolist() for name, value in shapley(scores, NAMES).items()} == {
        n: [w] for n, w in worth.items()
    }
    with pytest.raises(DataError, match=r"needs all 8 subsets; \['text'\] is missing"):
        shapley({subset: value for subset, value in scores.items() if subset != {"text"}}, NAMES)


def test_means_by_group() -> None:
    values = {"text": np.array([1.0, 3.0, 5.0])}
    assert by_group(values, np.array([0, 2, 0]), ["anna", "bo", "eve"]) == {"anna": {"text": 3.0}, "eve": {"text": 3.0}}


def test_linear_outputs_are_ridge_regression_of_scikit_learn() -> None:
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(5)
    x, new, y = rng.normal(3, 2, (80, 4)), rng.normal(3, 2, (20, 4)), rng.normal(size=80)
    scaler = StandardScaler().fit(x)
    expected = Ridge(alpha=0.01 * 80).fit(scaler.transform(x), y).predict(scaler.transform(new))
    np.testing.assert_allclose(linear_outputs(x, y, new, "regression", 1)[:, 0], expected)
    classes = rng.integers(0, 3, 80)
    scores = linear_outputs(x, classes, new, "classification", 3)
    one = Ridge(alpha=0.01 * 80).fit(scaler.transform(x), classes == 1).predict(scaler.transform(new))
    np.testing.assert_allclose(scores[:, 1], one)
    constant = np.ones((80, 2))
    np.testing.assert_allclose(linear_outputs(constant, y, constant[:3], "regression", 1)[:, 0], y.mean())


@pytest.mark.filterwarnings("error")
def test_labels_whose_squares_overflow_still_tell_disagreements():
    target = np.array([-3e25, 3e25, -3e25, 3e25], dtype=np.float32)
    outputs = {"a": target[:, None], "b": np.zeros((4, 1), dtype=np.float32)}
    assert [conflict.rows for conflict in conflicts(outputs, target, "regression")] == [4, 4]
