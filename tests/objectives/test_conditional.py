"""The distance of one label between environments against loops over labels and pairs of environments."""

from itertools import combinations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from deconfound.objectives.conditional import conditional_distance
from deconfound.objectives.invariance import Distance

DISTANCES = {
    "l1": lambda a, b: (a - b).abs().mean(),
    "l2": lambda a, b: (a - b).square().mean(),
    "cosine": lambda a, b: 1 - F.cosine_similarity(a, b, dim=0),
}


def slow(values: Tensor, present: Tensor, env: Tensor, bins: Tensor, distance: str) -> list[float]:
    found = []
    for of, there in zip(values, present, strict=True):
        pairs = []
        for k in set(bins.tolist()):
            cells = [of[there & (bins == k) & (env == e)] for e in sorted(set(env.tolist()))]
            means = [cell.mean(0) for cell in cells if len(cell)]
            pairs += [DISTANCES[distance](a, b).item() for a, b in combinations(means, 2)]
        found.append(sum(pairs) / len(pairs) if pairs else 0.0)
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), st.integers(1, 4), st.integers(1, 3), st.integers(0, 10_000), st.sampled_from([*DISTANCES]))
def test_it_is_that_of_loops(rows: int, environments: int, labels: int, seed: int, distance: Distance) -> None:
    draw = torch.Generator().manual_seed(seed)
    values = torch.randn(2, rows, 3, generator=draw, dtype=torch.float64)
    env, bins = torch.randint(environments, (rows,), generator=draw), torch.randint(labels, (rows,), generator=draw)
    present = torch.rand(2, rows, generator=draw) < 0.8
    found = conditional_distance(values, present, env, bins, distance)
    assert found.tolist() == pytest.approx(slow(values, present, env, bins, distance), abs=1e-9)


@pytest.mark.parametrize("distance", [*DISTANCES])
def test_absent_rows_do_not_count_and_gradients_are_finite(distance: Distance) -> None:
    draw = torch.Generator().manual_seed(0)
    values = torch.randn(1, 8, 3, generator=draw)
    present = torch.tensor([[True, False, True, True, True, False, False, False]])
    env, bins = torch.arange(8) % 2, torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    garbage = values.masked_fill(~present.unsqueeze(2), 1e3).requires_grad_()
    found = conditional_distance(garbage, present, env, bins, distance)
    torch.testing.assert_close(found, conditional_distance(values, present, env, bins, distance))
    found.sum().backward()
    assert garbage.grad is not None
    assert bool(torch.isfinite(garbage.grad).all())
    assert not garbage.grad[~present].any()


@pytest.mark.parametrize("distance", [*DISTANCES])
def test_no_label_in_two_environments_is_no_distance(distance: Distance) -> None:
    values, rows = torch.randn(2, 4, 3), torch.arange(4)
    every = torch.ones(2, 4, dtype=torch.bool)
    assert conditional_distance(values, every, torch.zeros(4).long(), rows % 2, distance).tolist() == [0, 0]
    assert conditional_distance(values, every, rows, rows, distance).tolist() == [0, 0]
