"""Directions that move with the environment: against loops, on planted ones, and where there are none."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from deconfound.nn.directions import FEWEST, RANK, Directions, exchanged, movements, unstable_directions, without_shifts
from deconfound.nn.disentangle import DisentanglerGroup, Splitting
from deconfound.nn.environments import StructuredNoise, noise_moments, noisy_views


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def slow_movements(features: Tensor, env: Tensor, bins: Tensor) -> dict[tuple[int, int], Tensor]:
    """Row of each (label, environment), from its definition."""
    rows: dict[tuple[int, int], list[int]] = {}
    for i, (k, e) in enumerate(zip(bins.tolist(), env.tolist(), strict=True)):
        rows.setdefault((k, e), []).append(i)
    rows = {cell: members for cell, members in rows.items() if len(members) >= FEWEST}
    found = {}
    for (k, e), members in rows.items():
        label = [i for (other, _), some in rows.items() if other == k for i in some]
        if len(label) > len(members):
            gap = features[members].mean(0) - features[label].mean(0)
            found[k, e] = math.sqrt(len(members)) * gap
    return found


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 40), st.integers(1, 4), st.integers(1, 3), st.integers(0, 10_000))
def test_movements_are_those_of_a_loop_over_cells(rows: int, environments: int, labels: int, seed: int) -> None:
    draw = generator(seed)
    features = torch.randn(rows, 3, generator=draw, dtype=torch.float64)
    env, bins = (torch.randint(count, (rows,), generator=draw) for count in (environments, labels))
    expected = slow_movements(features, env, bins)
    found = movements(features, env, bins)
    assert found.shape == (len(expected), 3)
    for row, cell in zip(found, sorted(expected), strict=True):
        torch.testing.assert_close(row, expected[cell])


def world(seed: int, moved: float, rows: int = 150) -> tuple[Tensor, Tensor, Tensor]:
    """Standardised features of which one direction follows environment and label by `moved`, (N,) env and (N,) label."""
    draw = generator(seed)
    env, bins = torch.randint(3, (rows,), generator=draw), torch.randint(3, (rows,), generator=draw)
    features = torch.randn(rows, 6, generator=draw, dtype=torch.float64) + bins.unsqueeze(1)
    features = features + moved * ((env - 1) * (bins - 1)).unsqueeze(1) * planted()
    return (features - features.mean(0)) / features.std(0, correction=0), env, bins


def planted() -> Tensor:
    return torch.tensor([3.0, 4.0, 0, 0, 0, 0], dtype=torch.float64) / 5


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_direction_is_found(seed: int) -> None:
    features, env, bins = world(seed, 2.0)
    found = unstable_directions(features, env, bins, generator())
    first = found[:, 0]
    assert first.norm() == pytest.approx(1)
    raw = planted() / world(seed, 2.0)[0].std(0)  # the features are in other units than where it was planted
    assert abs(torch.nn.functional.cosine_similarity(first, raw, dim=0)) > 0.9
    assert found.shape == (6, RANK)
    assert bool((found[:, 1:].norm(dim=0) < 0.4).all())


def test_chance_is_taken_for_a_movement_about_once_in_21() -> None:
    """The floor is the largest of 20 exchanges, which a 21st of the same law exceeds with probability 1/21."""
    alarms = sum(bool(unstable_directions(*world(seed, 0.0, 60), generator(seed)).any()) for seed in range(100))
    assert alarms <= 12  # 99.9 % of Binomial(100, 1/21)


def test_the_order_of_the_rows_does_not_matter() -> None:
    features, env, bins = world(0, 2.0)
    order = torch.randperm(len(env), generator=generator(1))
    rows = movements(features, env, bins)
    torch.testing.assert_close(movements(features[order], env[order], bins[order]), rows)
    one, other = (
        unstable_directions(features[o], env[o], bins[o], generator()) for o in (torch.arange(len(env)), order)
    )
    assert abs(one[:, 0] @ other[:, 0]) == pytest.approx(1)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(0, 10_000))
def test_an_exchange_keeps_the_counts_of_every_label_and_environment(rows: int, seed: int) -> None:
    draw = generator(seed)
    env, bins = torch.randint(4, (rows,), generator=draw), torch.randint(3, (rows,), generator=draw)
    other = exchanged(env, bins, draw)
    assert torch.equal(torch.bincount(bins * 4 + env, minlength=12), torch.bincount(bins * 4 + other, minlength=12))


def test_every_exchange_within_a_label_is_equally_likely() -> None:
    env, bins, draw = torch.tensor([0, 1, 2]), torch.zeros(3, dtype=torch.int64), generator()
    found = [tuple(exchanged(env, bins, draw).tolist()) for _ in range(1200)]
    counts = [found.count(each) for each in set(found)]
    assert len(counts) == 6
    assert max(abs(count - 200) for count in counts) < 65  # five standard deviations


def test_one_environment_or_too_few_rows_have_no_directions() -> None:
    features, env, bins = world(0, 2.0)
    assert not unstable_directions(features, torch.zeros_like(env), bins, generator()).any()
    assert not unstable_directions(features, torch.arange(len(env)), bins, generator()).any()


def test_without_shifts_what_moves_is_the_interaction_of_label_and_environment() -> None:
    """Of a table with every cell: x̄_ke − x̄_k· − x̄_·e + x̄_··, and a shift of an environment changes nothing."""
    draw = generator()
    env, bins = torch.arange(36) % 3, torch.arange(36) // 9 % 2
    features = torch.randn(36, 2, generator=draw, dtype=torch.float64)
    found = movements(without_shifts(features, env, bins), env, bins).unflatten(0, (2, 3))
    table = torch.stack([torch.stack([features[(bins == k) & (env == e)].mean(0) for e in range(3)]) for k in range(2)])
    gap = table - table.mean(1, keepdim=True) - table.mean(0) + table.mean((0, 1))
    torch.testing.assert_close(found, gap * math.sqrt(6))
    shifted = features + torch.randn(3, 2, generator=draw).double()[env]
    torch.testing.assert_close(movements(without_shifts(shifted, env, bins), env, bins).unflatten(0, (2, 3)), found)


def test_an_environment_without_a_label_does_not_move_for_that() -> None:
    cells = torch.tensor([[0, 0], [1, 0], [1, 1], [2, 1]]).repeat(5, 1)  # labels 0, 1 and 1, 2
    bins, env = cells.T
    features = torch.tensor([[0.0], [1.0], [5.0]], dtype=torch.float64)[bins] + 3 * env.unsqueeze(1)
    assert float(movements(without_shifts(features, env, bins), env, bins).abs().max()) < 1e-9
    assert without_shifts(features[:0], env[:0], bins[:0]).shape == (0, 1)


def test_directions_are_in_the_units_of_the_features_and_absent_modalities_have_none() -> None:
    features, env, bins = world(0, 2.0)
    units = torch.tensor([10.0, 0.1, 1, 1, 1, 1], dtype=torch.float64)
    plain, scaled, nobody = Directions(1, 6), Directions(1, 6), Directions(2, 6)
    plain.find([features], [env], [bins], generator())
    scaled.find([features * units + 5], [env], [bins], generator())
    torch.testing.assert_close(scaled.factor[0], plain.factor[0] * units.unsqueeze(1).float(), rtol=1e-4, atol=1e-5)
    nobody.find([features, features[:0]], [env, env[:0]], [bins, bins[:0]], generator())
    assert nobody.counts == [plain.counts[0], 0]
    assert bool(torch.isfinite(nobody.factor).all())


def test_the_noise_has_the_covariance_of_both_kinds() -> None:
    """α² diag(σ²) + α_s² L Lᵀ, times the square of the strength."""
    directions = Directions(1, 3)
    directions.factor.copy_(torch.tensor([[[2.0, 0, 0, 0], [1, 0.5, 0, 0], [0, 0, 0, 0]]]))
    values = torch.randn(1, 60_000, 3, generator=generator(1)) * torch.tensor([1.0, 2.0, 3.0])
    moments = noise_moments("std", 1, 3)
    assert moments is not None
    moments.update(values, torch.ones(1, 60_000, dtype=torch.bool))
    strengths = torch.tensor([[1.0], [2.0]]).expand(2, 60_000)
    views = noisy_views(values, strengths, moments, generator(), StructuredNoise(directions, 0.3, 0.7))
    views = views.unflatten(1, (3, 60_000))[0]
    assert torch.equal(views[0], values[0])
    factor = directions.factor[0]
    expected = 0.09 * moments.std.square()[0].diagflat() + 0.49 * factor @ factor.T
    for view, strength in ((1, 1.0), (2, 2.0)):
        torch.testing.assert_close((views[view] - values[0]).T.cov(), strength**2 * expected, rtol=0.05, atol=0.05)


def test_without_directions_the_noise_is_the_plain_one() -> None:
    values, strengths = torch.randn(2, 8, 4, generator=generator(1)), torch.tensor([[0.5]]).expand(1, 8)
    plain = noisy_views(values, 0.3 * strengths, None, generator())
    found = noisy_views(values, strengths, None, generator(), StructuredNoise(Directions(2, 4), 0.3, 5.0))
    torch.testing.assert_close(found, plain)


def test_directions_are_part_of_the_state_of_a_group() -> None:
    made = [DisentanglerGroup(["a"], 3, 2, 4, Splitting(noise_scale="std", along=(0.2, 2.0))) for _ in range(2)]
    assert made[0].directions is not None
    made[0].directions.factor.normal_(generator=generator())
    made[1].load_state_dict(made[0].state_dict())
    assert made[1].directions is not None
    assert torch.equal(made[0].directions.factor, made[1].directions.factor)
