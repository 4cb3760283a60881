from __future__ import annotations

import numpy as np
import pytest
import torch

from deconfound.data.quantile_edges import quantile_edges


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [1, 2, 4, 10])
def test_edges_are_the_quantiles_of_numpy(count: int, dtype: torch.dtype) -> None:
    values = torch.randn(53, generator=torch.Generator().manual_seed(count), dtype=dtype)
    edges = quantile_edges(values, count)
    expected = np.quantile(values.numpy(), np.arange(1, count) / count)
    assert edges.dtype == dtype
    np.testing.assert_allclose(edges.numpy(), expected, rtol=1e-6)


def test_bins_between_the_edges_hold_equally_many_rows() -> None:
    values = torch.arange(40.0).flip(0)
    assert torch.bincount(torch.bucketize(values, quantile_edges(values, 4))).tolist() == [10] * 4
