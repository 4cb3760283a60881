"""Recovery: oracles are a ridge whose leave-one-out error is taken literally, and factors that are there or are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deconfound.diagnostics import RecoveryScore, recovery
from deconfound.diagnostics.recovery import ALPHAS
from deconfound.errors import DataError


def slow_r2(z: np.ndarray, factor: np.ndarray, seed: int, kernel: bool) -> float:
    """The same question by the book: every penalty, every row left out once, normal equations."""
    order = np.random.default_rng(seed).permutation(len(z))
    fit, held = order[: len(z) // 2], order[len(z) // 2 :]
    z = (z - z[fit].mean(0)) / z[fit].std(0)
    values = []
    for y in factor.T:
        y = (y - y[fit].mean()) / y[fit].std()
        best = min(
            ALPHAS,
            key=lambda a, y=y: sum(
                (y[i] - predict(z[np.setdiff1d(fit, i)], y[np.setdiff1d(fit, i)], z[[i]], a, kernel, z[fit])[0]) ** 2
                for i in fit
            ),
        )
        error = y[held] - predict(z[fit], y[fit], z[held], best, kernel, z[fit])
        values.append(1 - (error**2).sum() / ((y[held] - y[held].mean()) ** 2).sum())
    return float(np.mean(values))


def predict(
    x: np.ndarray, y: np.ndarray, new: np.ndarray, alpha: float, kernel: bool, landmarks: np.ndarray
) -> np.ndarray:
    """Ridge with an unpenalised intercept: min ‖y − b − Φw‖² + α‖w‖²."""
    if kernel:  # features whose inner products are the kernel of the landmarks
        values, vectors = np.linalg.eigh(gaussian(landmarks, landmarks))
        root = vectors @ np.diag(1 / np.sqrt(values)) @ vectors.T
        x, new = gaussian(x, landmarks) @ root, gaussian(new, landmarks) @ root
    mean, intercept = x.mean(0), y.mean()
    w = np.linalg.solve((x - mean).T @ (x - mean) + alpha * np.eye(x.shape[1]), (x - mean).T @ (y - intercept))
    return (new - mean) @ w + intercept


def gaussian(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.array([[np.exp(-((p - q) ** 2).sum() / (4 * len(p))) for q in b] for p in a])


@pytest.mark.parametrize("kernel", [False, True])
def test_r2_is_that_of_ridge_with_leave_one_out(kernel: bool) -> None:
    rng = np.random.default_rng(3)
    factor = rng.normal(size=(40, 2))
    z = np.tanh(factor @ rng.normal(size=(2, 3))) + 0.3 * rng.normal(size=(40, 3))
    found = recovery({"z": z}, {"c": factor}, seed=5)["z", "c"]
    value = found.kernel if kernel else found.linear
    assert value == pytest.approx(slow_r2(z, factor, 5, kernel), abs=1e-4)
    assert found.rows == 20


def test_what_a_part_holds_is_found_and_what_it_lacks_is_not() -> None:
    rng = np.random.default_rng(0)
    c, s = rng.normal(size=(2, 1500, 2))
    parts = {"inv": np.concatenate([c, c**3], axis=1), "spu": s}
    found = recovery(parts, {"C": c, "S": np.sin(2 * s)})
    assert list(found) == [("inv", "C"), ("inv", "S"), ("spu", "C"), ("spu", "S")]
    linear, kernel = found["spu", "S"].linear, found["spu", "S"].kernel
    assert linear is not None
    assert kernel is not None
    assert kernel > linear + 0.05  # the factor is no line of the part
    assert (found["inv", "C"].linear or 0) > 0.999
    for pair in (("inv", "S"), ("spu", "C")):
        assert abs(found[pair].linear or 0) < 0.02
        assert abs(found[pair].kernel or 0) < 0.02


@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-100, 100), seed=st.integers(0, 5))
@settings(max_examples=15, deadline=None)
def test_units_do_not_matter(scale: float, shift: float, seed: int) -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(size=(60, 3))
    factor = z[:, :2] + rng.normal(size=(60, 2))
    one = recovery({"z": z}, {"c": factor}, seed=seed)["z", "c"]
    other = recovery({"z": z * scale + shift}, {"c": factor * scale - shift}, seed=seed)["z", "c"]
    assert one.linear == pytest.approx(other.linear, abs=1e-6)
    assert one.kernel == pytest.approx(other.kernel, abs=1e-4)


def test_undefined_is_none() -> None:
    z = np.random.default_rng(0).normal(size=(30, 2))
    assert recovery({"z": z[:19]}, {"c": z[:19]}) == {("z", "c"): RecoveryScore(None, None, 0)}
    assert recovery({"z": z}, {"c": np.ones((30, 1))}, kernel=False) == {("z", "c"): RecoveryScore(None, None, 15)}
    assert recovery({"z": z}, {}) == {}
    constant = recovery({"z": np.ones((30, 2))}, {"c": z[:, 0]})["z", "c"]
    assert constant.linear == pytest.approx(constant.kernel)
    assert (constant.linear or 1) <= 0


def test_other_rows_are_refused() -> None:
    with pytest.raises(DataError, match="same rows; got part 'z' of 30, factor 'c' of 29"):
        recovery({"z": np.zeros((30, 2))}, {"c": np.zeros((29, 2))})
    with pytest.raises(DataError, match="factor 'c' holds NaN"):
        recovery({"z": np.zeros((30, 2))}, {"c": np.full((30, 2), np.nan)})
