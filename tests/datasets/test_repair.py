import numpy as np
import pytest

from deconfound.datasets.repair import Fitting, Repair, fit_repair


def made() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values (20, 5, 4) with a bad feature 1, a dropped feature 2 and a whole bad step; all steps exist; 10 rows of train."""
    values = np.random.default_rng(0).normal(3, 1, (20, 5, 4)).astype(np.float32)
    values[::2, 1, 1] = -np.inf
    values[:, :, 2] = np.nan
    values[0, 4] = np.nan
    return values, np.ones((20, 5), dtype=bool), np.arange(20) < 10


def test_features_are_dropped_and_imputed_with_the_training_mean():
    values, inside, train = made()
    repair, notes = fit_repair(values, inside, Fitting(train))
    assert notes["dropped_features"] == {"2": 1.0}
    assert notes["imputed_features"] == {"1": pytest.approx(10 / 99, rel=1e-3)}
    mask = repair.masked(values, inside)
    assert np.argwhere(~mask).tolist() == [[0, 4]]
    good = values[:10, :, 1]
    expected = good[np.isfinite(good)].mean()
    filled = repair.filled(values.copy(), mask)
    assert filled.shape == (20, 5, 3)
    assert filled[::2, 1, 1] == pytest.approx(np.full(10, expected), rel=1e-6)
    assert not filled[0, 4].any()
    assert np.array_equal(filled[1], values[1][:, [0, 1, 3]])


def test_rows_outside_train_do_not_change_the_means():
    values, inside, train = made()
    moved = values.copy()
    moved[10:] += 100
    assert fit_repair(values, inside, Fitting(train))[0].means == fit_repair(moved, inside, Fitting(train))[0].means


def test_new_rows_are_repaired_with_what_was_kept():
    values, inside, train = made()
    repair, _ = fit_repair(values, inside, Fitting(train, indicator=True))
    kept = Repair.of(repair.to_json())
    assert kept == repair
    row = values[2:3].copy()
    filled = kept.filled(row, kept.masked(row, inside[2:3]))
    assert filled.shape == (1, 5, 4)
    assert filled[0, :, 3].tolist() == [0, 1, 0, 0, 0]


def test_a_bad_value_elsewhere_is_imputed_too():
    values, inside, train = made()
    repair, _ = fit_repair(values, inside, Fitting(train))
    new = np.ones((1, 5, 4), dtype=np.float32)
    new[0, 0, 0] = np.inf
    assert repair.filled(new, repair.masked(new, inside[:1]))[0, 0, 0] == pytest.approx(repair.means[0])


def test_finite_values_whose_sum_is_infinite_are_kept():
    values = np.full((4, 3, 2), 3e38, dtype=np.float32)
    repair, notes = fit_repair(values, np.ones((4, 3), dtype=bool), Fitting(np.ones(4, dtype=bool)))
    assert notes == {}
    assert repair.means == pytest.approx((3e38, 3e38), rel=1e-6)
    values[1, 2, 0] = np.inf
    _, notes = fit_repair(values, np.ones((4, 3), dtype=bool), Fitting(np.ones(4, dtype=bool)))
    assert notes["imputed_features"] == {"0": pytest.approx(1 / 12, rel=1e-3)}
