"""Alignment of instances against a double loop, its mask and its bounds."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from deconfound.objectives.alignment import instance_alignment


def draw(rows: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randn(2, rows, 3, generator=generator, dtype=torch.float64)
    return first, second, torch.rand(rows, generator=generator) < 0.7


def slow(first: Tensor, second: Tensor, present: Tensor, temperature: float) -> float:
    def likeness(i: int, j: int) -> float:
        return float(first[i] @ second[j] / (first[i].norm() * second[j].norm())) / temperature

    there = [i for i, flag in enumerate(present.tolist()) if flag]
    cost = 0.0
    for i in there:
        own = likeness(i, i)
        cost -= own - math.log(sum(math.exp(likeness(i, j)) for j in there))
        cost -= own - math.log(sum(math.exp(likeness(j, i)) for j in there))
    return cost / (2 * len(there)) if there else 0.0


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.integers(0, 10_000), st.sampled_from([0.2, 1.0]))
def test_it_is_that_of_a_double_loop(rows: int, seed: int, temperature: float) -> None:
    first, second, present = draw(rows, seed)
    found = instance_alignment(first, second, present, temperature)
    assert found.item() == pytest.approx(slow(first, second, present, temperature), abs=1e-9)
    assert -1e-12 <= found.item() <= math.log(max(1, int(present.sum()))) + 2 / temperature


def test_absent_rows_do_not_count_and_have_no_gradient() -> None:
    first, second, _ = draw(6, 0)
    present = torch.tensor([True, True, False, True, False, True])
    garbage = first.masked_fill(~present.unsqueeze(1), 1e3).requires_grad_()
    found = instance_alignment(garbage, second, present, 0.2)
    torch.testing.assert_close(found, instance_alignment(first[present], second[present], present[present], 0.2))
    found.backward()
    assert garbage.grad is not None
    assert bool(torch.isfinite(garbage.grad).all())
    assert not garbage.grad[~present].any()
    assert bool(garbage.grad[present].any())


@pytest.mark.parametrize("present", [[False, False, False], [False, True, False]])
def test_fewer_than_two_rows_cost_nothing(present: list[bool]) -> None:
    first, second, _ = draw(3, 0)
    first.requires_grad_()
    found = instance_alignment(first, second, torch.tensor(present), 0.2)
    assert found.item() == 0
    found.backward()
    assert first.grad is not None
    assert not first.grad.any()


def test_rows_that_find_themselves_cost_little_and_half_precision_is_widened() -> None:
    same = torch.eye(4)
    there = torch.ones(4, dtype=torch.bool)
    assert instance_alignment(same, same, there, 0.05).item() < 1e-7
    assert instance_alignment(same.half(), same.half(), there, 0.2).dtype == torch.float32
