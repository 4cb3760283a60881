"""Row orthogonality against the B × B matrix, cross-correlation against NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from deconfound.objectives.decorrelation import cross_correlation, row_orthogonality
from support.tensor_watch import largest_tensor


def naive(first: Tensor, second: Tensor, present: Tensor, alpha: float) -> float:
    rows = [b for b in range(len(first)) if present[b]]
    total = 0.0
    for b in rows:
        for c in rows:
            cosine = float(first[b] @ second[c] / (first[b].norm() * second[c].norm()))
            total += ((1 if b == c else alpha) * cosine) ** 2
    return total / max(1, len(rows))


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(1, 6), width=st.integers(1, 5), alpha=st.floats(0, 0.99), seed=st.integers(0, 9999))
def test_row_orthogonality_equals_the_loop(rows: int, width: int, alpha: float, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(rows, width, generator=draw, dtype=torch.float64) for _ in range(2))
    present = torch.rand(rows, generator=draw) < 0.7
    found = row_orthogonality(first, second, present, alpha).item()
    assert found == pytest.approx(naive(first, second, present, alpha), abs=1e-9)


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
    for function in (lambda x, y, p: row_orthogonality(x, y, p, 0.1), cross_correlation):
        together = function(first, second, present)
        apart = torch.stack([function(first[m], second[m], present[m]) for m in range(2)])
        torch.testing.assert_close(together, apart)


def test_row_orthogonality_of_one_part_with_itself_is_at_its_largest() -> None:
    same = torch.tensor([[1.0, 0.0]]).expand(6, 2)
    present = torch.ones(6, dtype=torch.bool)
    assert row_orthogonality(same, same, present, 0.1).item() == pytest.approx(1 + 0.01 * 5)


def test_cross_correlation_does_not_see_scale_and_counts_constants_as_uncorrelated() -> None:
    first, present = torch.randn(8, 1, dtype=torch.float64), torch.ones(8, dtype=torch.bool)
    assert cross_correlation(first, 0.01 * first - 3, present).item() == pytest.approx(1)
    assert cross_correlation(first, torch.ones_like(first), present).item() == 0


def test_nothing_of_size_rows_squared() -> None:
    rows, width = 256, 8
    first, second = torch.randn(rows, width, requires_grad=True), torch.randn(rows, width, requires_grad=True)
    present = torch.ones(rows, dtype=torch.bool)
    for function in (
        lambda: row_orthogonality(first, second, present, 0.1),
        lambda: cross_correlation(first, second, present),
    ):
        assert largest_tensor(lambda f=function: f().backward()) <= rows * width


def test_finite_gradients_at_zero_and_without_rows() -> None:
    for present in (torch.ones(4, dtype=torch.bool), torch.zeros(4, dtype=torch.bool)):
        first, second = torch.zeros(4, 2, requires_grad=True), torch.zeros(4, 2, requires_grad=True)
        total = row_orthogonality(first, second, present, 0.1) + cross_correlation(first, second, present)
        total.backward()
        assert total.item() == 0
        assert first.grad is not None
        assert bool(torch.isfinite(first.grad).all())


def test_half_precision_neither_overflows_nor_loses_digits() -> None:
    same = torch.tensor([[1.0, 0.0]], dtype=torch.float16).expand(1000, 2)  # the sum is 1000², beyond float16
    present = torch.ones(1000, dtype=torch.bool)
    assert row_orthogonality(same, same, present, 0.1).item() == pytest.approx(1 + 0.01 * 999, rel=1e-6)
    draw = torch.Generator().manual_seed(0)
    first, second = (torch.randn(300, 4, generator=draw).bfloat16() for _ in range(2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for function in (
            lambda x, y: row_orthogonality(x, y, present[:300], 0.1),
            lambda x, y: cross_correlation(x, y, present[:300]),
        ):
            expected = function(first.double(), second.double()).item()
            assert function(first, second).item() == pytest.approx(expected, rel=1e-4)
