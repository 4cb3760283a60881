import numpy as np
import pytest

from deconfound.datasets.steps import copy_steps


@pytest.mark.parametrize("width", [1, 3, 300])
@pytest.mark.parametrize("extreme", [np.nan, np.inf, -np.inf, 3e38])
def test_what_is_noted_of_steps_is_what_is_in_them(width, extreme):
    values = np.random.default_rng(0).normal(size=(7, 4, width)).astype(np.float32)
    values[2, 1] = 0
    values[:, 3] = extreme
    values[1, 0, 0] = np.inf
    values[5, 2, width - 1] = np.nan
    copied = copy_steps([values[:3], values[3:]])
    nan, infinite = np.isnan(values).any(axis=2), np.isinf(values).any(axis=2)
    assert np.array_equal(copied.values, values, equal_nan=True)
    assert np.array_equal(copied.content, (values != 0).any(axis=2))
    assert np.array_equal(copied.nan, nan)
    assert np.array_equal(copied.infinite, infinite & ~nan)
