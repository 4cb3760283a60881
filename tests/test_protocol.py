from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from deconfound.errors import DataError
from deconfound.metric import Score
from deconfound.metrics.macro_f1 import MacroF1
from deconfound.metrics.weighted_f1 import WeightedF1
from deconfound.protocol import get_protocol, protocol_of
from deconfound.registry import names

Pairs = Sequence[tuple[float, float]]
quick = settings(max_examples=60, deadline=None, database=None)
halves = st.integers(-8, 8).map(lambda i: i / 2)
tenths = st.integers(-12, 12).map(lambda i: float(np.float32(i / 10)))
values = st.floats(-4, 4, width=32) | halves | tenths
labelled = st.lists(st.tuples(values, halves | tenths), min_size=1, max_size=30)


def score(protocol: str, pairs: Pairs) -> dict[str, Score]:
    p, y = (np.array(side, dtype=np.float32) for side in zip(*pairs, strict=True))
    return get_protocol(protocol).score(p[:, None], y)


def share(pairs: Pairs, judge: Callable[[float], object]) -> float:
    return sum(judge(p) == judge(y) for p, y in pairs) / len(pairs)


def slow_weighted_f1(pairs: Pairs, judge: Callable[[float], object]) -> float:
    predicted, true = [judge(p) for p, _ in pairs], [judge(y) for _, y in pairs]
    total = 0.0
    for c in set(true):
        hits = sum(a == b == c for a, b in zip(predicted, true, strict=True))
        total += true.count(c) * 2 * hits / (true.count(c) + predicted.count(c))
    return total / len(true)


def nearest(limit: int) -> Callable[[float], int]:
    return lambda v: round(max(-limit, min(limit, v)))  # Python's round is half to even


def bin_of(*edges: float) -> Callable[[float], int]:
    """Bins closed on the right, edges as float32 labels are written."""
    return lambda v: sum(v > float(np.float32(edge)) for edge in edges)


def mean_absolute(pairs: Pairs) -> float:
    return math.fsum(abs(p - y) for p, y in pairs) / len(pairs)


def slow_corr(pairs: Pairs) -> float | None:
    if len({p for p, _ in pairs}) < 2 or len({y for _, y in pairs}) < 2:
        return None
    return float(np.corrcoef(np.array(pairs).T)[0, 1])


@quick
@given(labelled)
def test_mmsa_regression_equals_the_plain_definition(pairs: Pairs) -> None:
    scores = score("mmsa-regression", pairs)
    kept = [(p, y) for p, y in pairs if y != 0]
    expected = {
        "mae": (mean_absolute(pairs), len(pairs)),
        "corr": (slow_corr(pairs), len(pairs)),
        "acc-7": (share(pairs, nearest(3)), len(pairs)),
        "acc-5": (share(pairs, nearest(2)), len(pairs)),
        "acc-2-has0": (share(pairs, lambda v: v >= 0), len(pairs)),
        "f1-has0": (slow_weighted_f1(pairs, lambda v: v >= 0), len(pairs)),
        "acc-2-non0": (share(kept, lambda v: v > 0) if kept else None, len(kept)),
        "f1-non0": (slow_weighted_f1(kept, lambda v: v > 0) if kept else None, len(kept)),
    }
    assert scores == {name: (pytest.approx(value, abs=1e-6), n) for name, (value, n) in expected.items()}


@quick
@given(labelled)
def test_mag_nonzero_drops_zero_labels_first(pairs: Pairs) -> None:
    scores = score("mag-nonzero", pairs)
    kept = [(p, y) for p, y in pairs if y != 0]
    assert scores.pop("acc-7") == (pytest.approx(share(pairs, nearest(3))), len(pairs))
    assert {n for _, n in scores.values()} == {len(kept)}
    if kept:
        assert scores["mae"].value == pytest.approx(mean_absolute(kept))
        assert scores["corr"].value == pytest.approx(slow_corr(kept), abs=1e-6)
        assert scores["acc-2"].value == pytest.approx(share(kept, lambda v: v >= 0))
        assert scores["f1"].value == pytest.approx(slow_weighted_f1(kept, lambda v: v >= 0))
    else:
        assert {value for value, _ in scores.values()} == {None}


@quick
@given(labelled)
def test_sims_clips_and_bins_closed_on_the_right(pairs: Pairs) -> None:
    scores = score("sims-v2", pairs)
    clipped = [(max(-1.0, min(1.0, p)), max(-1.0, min(1.0, y))) for p, y in pairs]
    weak = [(p, y) for p, y in clipped if abs(y) <= float(np.float32(0.4))]
    assert scores["mae"].value == pytest.approx(mean_absolute(clipped), abs=1e-7)
    assert scores["corr"].value == pytest.approx(slow_corr(clipped), abs=1e-6)
    assert scores["acc-2"].value == pytest.approx(share(clipped, bin_of(0)))
    assert scores["f1"].value == pytest.approx(slow_weighted_f1(clipped, bin_of(0)))
    assert scores["acc-3"].value == pytest.approx(share(clipped, bin_of(-0.1, 0.1)))
    assert scores["acc-5"].value == pytest.approx(share(clipped, bin_of(-0.7, -0.1, 0.1, 0.7)))
    assert scores["acc-2-weak"] == (pytest.approx(share(weak, bin_of(0))) if weak else None, len(weak))
    assert score("sims", pairs) == {name: scores[name] for name in get_protocol("sims").metrics}


@quick
@given(st.lists(st.tuples(values, values), min_size=2, max_size=30))
def test_regression_equals_scikit_learn_and_scipy(pairs: Pairs) -> None:
    scores = score("regression", pairs)
    p, y = (np.array(side) for side in zip(*pairs, strict=True))
    assert scores["mse"].value == pytest.approx(sklearn.metrics.mean_squared_error(y, p))
    assert scores["mae"].value == pytest.approx(sklearn.metrics.mean_absolute_error(y, p))
    assert scores["r2"].value == (None if np.ptp(y) == 0 else pytest.approx(sklearn.metrics.r2_score(y, p)))
    undefined = np.ptp(y) == 0 or np.ptp(p) == 0
    assert scores["corr"].value == (None if undefined else pytest.approx(scipy.stats.pearsonr(p, y).statistic))


@quick
@given(st.data(), st.integers(2, 4), st.integers(1, 25))
def test_classification_equals_scikit_learn(data: st.DataObject, classes: int, n: int) -> None:
    draw = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    logits = draw.normal(size=(n, classes)).astype(np.float32)
    y = draw.integers(0, classes, n)
    scores = get_protocol("classification").score(logits, y)
    predicted = logits.argmax(axis=1)
    options = {"labels": np.unique(y), "average": None, "zero_division": 0}
    assert scores["accuracy"].value == pytest.approx(sklearn.metrics.accuracy_score(y, predicted))
    weighted = sklearn.metrics.f1_score(y, predicted, average="weighted", zero_division=0)
    assert scores["weighted-f1"].value == pytest.approx(weighted)
    macro = sklearn.metrics.f1_score(y, predicted, average="macro", zero_division=0)
    assert scores["macro-f1"].value == pytest.approx(macro)
    assert scores["worst-class-recall"].value == pytest.approx(
        sklearn.metrics.recall_score(y, predicted, **options).min()
    )
    assert ("auroc" in scores) == (classes == 2)
    if classes == 2:
        pairs = [(a, b) for a in np.flatnonzero(y == 1) for b in np.flatnonzero(y == 0)]
        margin = logits[:, 1].astype(float) - logits[:, 0]
        wins = [1.0 if margin[a] > margin[b] else 0.5 * (margin[a] == margin[b]) for a, b in pairs]
        assert scores["auroc"].value == (pytest.approx(np.mean(wins)) if pairs else None)


def test_zero_predictions_are_non_negative_in_has0_and_negative_in_non0() -> None:
    scores = score("mmsa-regression", [(0.0, 1.0), (0.0, -1.0), (-0.0, 0.0)])
    assert scores["acc-2-has0"].value == pytest.approx(2 / 3)
    assert scores["acc-2-non0"] == (0.5, 2)


@pytest.mark.parametrize(
    ("prediction", "label", "same"), [(0.5, 0, True), (1.5, 2, True), (2.5, 2, True), (-0.5, -1, False), (9.0, 3, True)]
)
def test_acc7_rounds_half_to_even_and_clips(prediction: float, label: float, same: bool) -> None:
    assert score("mmsa-regression", [(prediction, label)])["acc-7"].value == same


def test_labels_are_rounded_too() -> None:
    assert score("mmsa-regression", [(0.0, 0.5), (2.0, 1.5)])["acc-7"].value == 1


def test_mae_is_not_clipped_in_mmsa_and_is_in_sims() -> None:
    assert score("mmsa-regression", [(10.0, 3.0)])["mae"].value == 7
    assert score("sims", [(10.0, 0.5)])["mae"].value == 0.5


def test_a_label_written_as_an_edge_lies_in_the_bin_below_it() -> None:
    pairs = [(0.05, 0.1), (-0.05, 0.1), (-0.7, -0.9), (0.7, 0.2)]
    assert score("sims", pairs)["acc-5"].value == 1


def test_sims_counts_zero_as_negative() -> None:
    assert score("sims", [(0.0, -1.0)])["acc-2"].value == 1
    assert score("sims", [(0.0, 1.0)])["acc-2"].value == 0


def test_weighted_f1_uses_the_support_of_the_labels() -> None:
    pairs = [(1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (1.0, -1.0)]
    assert score("mmsa-regression", pairs)["f1-has0"].value == pytest.approx(0.75 * 6 / 7)  # swapped it were 6/7


def test_constant_predictions_and_constant_labels_leave_correlation_undefined() -> None:
    assert score("mmsa-regression", [(0.3, 1.0), (0.3, 2.0)])["corr"] == (None, 2)
    scores = score("regression", [(0.1, 1.0), (0.3, 1.0)])
    assert (scores["corr"].value, scores["r2"].value) == (None, None)
    assert score("sims", [(2.0, -0.5), (3.0, 0.5)])["corr"].value is None, "constant only after clipping"
    assert score("regression", [(1.0, 2.0)])["corr"] == (None, 1)


def test_an_empty_non_zero_set_is_undefined_and_says_that_it_has_no_row() -> None:
    scores = score("mag-nonzero", [(1.0, 0.0), (2.0, 0.0)])
    assert scores["mae"] == scores["acc-2"] == scores["f1"] == scores["corr"] == (None, 0)
    assert scores["acc-7"] == (0.0, 2)


def test_one_class_truth() -> None:
    logits = np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0]])
    scores = get_protocol("classification").score(logits, np.zeros(3, dtype=np.int64))
    assert scores["auroc"].value is None
    assert scores["accuracy"].value == scores["worst-class-recall"].value == pytest.approx(2 / 3)
    assert scores["weighted-f1"].value == pytest.approx(0.8)
    assert scores["macro-f1"].value == pytest.approx(0.4), "class 1 occurs in the predictions"


def test_equal_logits_mean_the_lower_class() -> None:
    scores = get_protocol("classification").score(np.zeros((2, 3)), np.array([0, 1]))
    assert scores["accuracy"].value == 0.5


@pytest.mark.parametrize("name", names("protocols"))
def test_a_perfect_prediction_is_best(name: str) -> None:
    protocol = get_protocol(name)
    draw = np.random.default_rng(0)
    y = np.array([-3.0, -1, -0.4, 0, 0.4, 1, 3]) if protocol.kind == "regression" else np.array([0, 1, 1, 0])
    perfect = y[:, None] if protocol.kind == "regression" else 4 * np.eye(2)[y]
    if protocol.kind == "multilabel":
        y = np.array([[0, 1, 1], [1, 0, 1], [0, 0, 0]])
        perfect = 8.0 * y - 4
    best = protocol.score(perfect, y)
    for _ in range(5):
        other = protocol.score(perfect + 2 * draw.normal(size=perfect.shape), y)
        for metric, (value, _) in other.items():
            assert value is None or not protocol.metrics[metric].metric.better(value, best[metric].value or 0.0)
    assert best[protocol.primary].value == (1.0 if protocol.metrics[protocol.primary].higher_is_better else 0.0)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_predictions_that_are_not_finite_are_an_error(wrong: float) -> None:
    with pytest.raises(DataError, match=r"1 of 2 rows hold NaN or infinity \(the first is row 1\)"):
        get_protocol("regression").score(np.array([[1.0], [wrong]]), np.zeros(2))


def test_wrong_shapes_are_an_error() -> None:
    with pytest.raises(DataError, match=r"judges \(N, 1\) outputs"):
        get_protocol("regression").score(np.zeros((2, 3)), np.zeros(2))
    with pytest.raises(DataError, match=r"got \(2, 3\) and \(3,\)"):
        get_protocol("classification").score(np.zeros((2, 3)), np.zeros(3))


def test_a_protocol_is_found_by_name_and_kind() -> None:
    assert protocol_of("sims", "regression").name == "sims"
    with pytest.raises(DataError, match="did you mean 'mmsa-regression'"):
        protocol_of("mmsa-regresion", "regression")
    with pytest.raises(DataError, match="judges regression, the task is classification; use one of: classification"):
        protocol_of("sims", "classification")


def test_other_registered_metrics_are_computed_on_what_the_protocol_looks_at_and_are_not_recorded() -> None:
    output, target = np.array([[0.5], [3.0], [-1.0]], dtype=np.float32), np.array([0.0, 2.0, -1.0], dtype=np.float32)
    squared_errors = {"mmsa-regression": (0.25 + 1) / 3, "mag-nonzero": 1 / 2, "sims": 0.25 / 3}
    for name, expected in squared_errors.items():
        protocol = get_protocol(name)
        assert protocol.measurable["mse"].score(output, target).value == pytest.approx(expected)
        assert "mse" not in protocol.score(output, target)
        assert list(protocol.measurable)[: len(protocol.metrics)] == list(protocol.metrics)
    assert "ece" in get_protocol("classification").measurable
    assert "ece" not in get_protocol("regression").measurable
    assert "accuracy" not in get_protocol("regression").measurable


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("average", ["weighted", "macro"])
def test_f1_from_counts_is_that_of_scikit_learn_also_with_missing_classes(average: str, classes: int) -> None:
    rng = np.random.default_rng(classes)
    for rows in (1, 2, 7, 200):
        for lowest in (0, -2):
            prediction, target = rng.integers(lowest, lowest + classes, (2, rows)) * 2  # odd numbers never occur
            value = {"weighted": WeightedF1(), "macro": MacroF1()}[average].value(prediction, target)
            oracle = sklearn.metrics.f1_score(target, prediction, average=average, zero_division=0.0)
            assert value == pytest.approx(oracle, rel=1e-14)


def test_evaluation_of_a_protocol_imports_no_scikit_learn() -> None:
    code = (
        "import sys, numpy as np\n"
        "from deconfound.protocol import get_protocol\n"
        "get_protocol('classification').score(np.eye(2)[[0, 1, 1]], np.array([0, 1, 0]))\n"
        "get_protocol('regression').score(np.arange(3.0)[:, None], np.array([0.0, 1.0, 1.0]))\n"
        "assert not [name for name in sys.modules if name.startswith('sklearn')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
