"""Row orthogonality against the B × B matrix, cross-correlation against NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from deconfound.objectives.decorrelation import PRODUCTS, Nor, cross_correlation, row_products
from deconfound.objectives.reconstruction import Reduction
from support.tensor_watch import largest_tensor


def nor(values: np.ndarray, kind: Nor) -> np.ndarray:
    if kind == "orth":
        return values / np.linalg.norm(values, axis=1, keepdims=True)
    along = 1 if kind == "rows" else 0
    return (values - values.mean(along, keepdims=True)) / values.std(along, keepdims=True)


def naive(first: Tensor, second: Tensor, kind: Nor, alpha: float, reduction: Reduction) -> float:
    """The whole matrix, entry by entry."""
    products = nor(first.numpy(), kind) @ nor(second.numpy(), kind).T
    if kind != "orth" and reduction == "mean":
        products = products / first.shape[1]
    total, weights = 0.0, 0.0
    for b, c in np.ndindex(products.shape):
        weight = 1 if b == c else alpha**2
        total += weight * products[b, c] ** 2
        weights += weight
    return total if reduction == "sum" else total / weights


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(2, 6),
    width=st.integers(2, 5),
    kind=st.sampled_from(PRODUCTS),
    alpha=st.floats(0, 1),
    reduction=st.sampled_from(["mean", "sum"]),
    seed=st.integers(0, 9999),
)
def test_row_products_equal_the_loop(
    rows: int, width: int, kind: Nor, alpha: float, reduction: Reduction, seed: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(rows + 2, width, generator=draw, dtype=torch.float64) for _ in range(2))
    present = torch.ones(rows + 2, dtype=torch.bool)
    present[[0, 2]] = False
    value = row_products(first, second, present, kind, alpha, reduction).item()
    assert value == pytest.approx(naive(first[present], second[present], kind, alpha, reduction), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("kind", PRODUCTS)
def test_no_row_and_constant_rows_count_as_nothing(kind: Nor) -> None:
    values = torch.ones(4, 3)
    assert row_products(values, values, torch.zeros(4, dtype=torch.bool), kind, 0.1).item() == 0
    if kind != "orth":
        assert row_products(values, values, torch.ones(4, dtype=torch.bool), kind, 0.1).item() == 0


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(3, 9), a=st.integers(1, 4), b=st.integers(1, 4), seed=st.integers(0, 9999))
def test_cross_correlation_equals_numpy(rows: int, a: int, b: int, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(rows, w, generator=draw, dtype=torch.float64) for w in (a, b))
    present = torch.ones(rows, dtype=torch.bool)
    present[-1] = rows == 3
    kept = np.corrcoef(first[present].numpy(), second[present].numpy(), rowvar=False)[:a, a:]
    assert cross_correlation(first, second, present).item() == pytest.approx(float((kept**2).mean()), abs=1e-6)


def test_leading_axes_are_computed_apart() -> None:
    first, second, present = torch.randn(2, 5, 3), torch.randn(2, 5, 3), torch.rand(2, 5) < 0.7
    for function in (lambda x, y, p: row_products(x, y, p, "orth", 0.1), cross_correlation):
        together = function(first, second, present)
        apart = torch.stack([function(first[m], second[m], present[m]) for m in range(2)])
        torch.testing.assert_close(together, apart)


def test_row_products_of_one_part_with_itself_are_at_their_largest() -> None:
    same = torch.tensor([[1.0, 0.0]]).expand(6, 2)
    present = torch.ones(6, dtype=torch.bool)
    assert row_products(same, same, present, "orth", 0.1).item() == pytest.approx(1)


def test_cross_correlation_does_not_see_scale_and_counts_constants_as_uncorrelated() -> None:
    first, present = torch.randn(8, 1, dtype=torch.float64), torch.ones(8, dtype=torch.bool)
    assert cross_correlation(first, 0.01 * first - 3, present).item() == pytest.approx(1)
    assert cross_correlation(first, torch.ones_like(first), present).item() == 0


def test_nothing_of_size_rows_squared() -> None:
    rows, width = 256, 8
    first, second = torch.randn(rows, width, requires_grad=True), torch.randn(rows, width, requires_grad=True)
    present = torch.ones(rows, dtype=torch.bool)
    for function in (
        lambda: row_products(first, second, present, "orth", 0.1),
        lambda: cross_correlation(first, second, present),
    ):
        assert largest_tensor(lambda f=function: f().backward()) <= rows * width


def test_finite_gradients_at_zero_and_without_rows() -> None:
    for present in (torch.ones(4, dtype=torch.bool), torch.zeros(4, dtype=torch.bool)):
        first, second = torch.zeros(4, 2, requires_grad=True), torch.zeros(4, 2, requires_grad=True)
        total = row_products(first, second, present, "orth", 0.1) + cross_correlation(first, second, present)
        total.backward()
        assert total.item() == 0
        assert first.grad is not None
        assert bool(torch.isfinite(first.grad).all())


def test_half_precision_neither_overflows_nor_loses_digits() -> None:
    same = torch.tensor([[1.0, 0.0]], dtype=torch.float16).expand(1000, 2)  # the sum is 1000², beyond float16
    present = torch.ones(1000, dtype=torch.bool)
    assert row_products(same, same, present, "orth", 0.1).item() == pytest.approx(1, rel=1e-6)
    draw = torch.Generator().manual_seed(0)
    first, second = (torch.randn(300, 4, generator=draw).bfloat16() for _ in range(2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for function in (
            lambda x, y: row_products(x, y, present[:300], "orth", 0.1),
            lambda x, y: cross_correlation(x, y, present[:300]),
        ):
            expected = function(first.double(), second.double()).item()
            assert function(first, second).item() == pytest.approx(expected, rel=1e-4)
