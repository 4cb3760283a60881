"""Distances between environments against loops over pairs of them, and DomainBed's CORAL written out."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import linregress

from deconfound.objectives.matching import class_moments, coral, pair_distance, regression_moments


def drawn(count: int = 40, width: int = 3, environments: int = 3, seed: int = 0, gaps: float = 0.0):
    draw = torch.Generator().manual_seed(seed)
    values = torch.randn(count, width, generator=draw, dtype=torch.float64) * 2 + 1
    present = torch.rand(count, generator=draw) >= gaps
    return values, present, torch.randint(environments, (count,), generator=draw), draw


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 6), st.integers(0, 99))
def test_the_distance_over_pairs_is_the_loop(environments: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    values, valid = draw.normal(size=(environments, 4)) + 5, draw.random((environments, 4)) < 0.7
    found, counted = pair_distance(torch.tensor(values), torch.tensor(valid))
    for column in range(4):
        kept = values[valid[:, column], column]
        gaps = [(a - b) ** 2 for a, b in combinations(kept, 2)]
        assert bool(counted[column]) == bool(gaps)
        assert float(found[column]) == pytest.approx(np.mean(gaps) if gaps else 0, abs=1e-12)


def domainbed_coral(x, y):
    """`mmd` of DomainBed's CORAL between the features of two environments."""
    mean_x, mean_y = x.mean(0, keepdim=True), y.mean(0, keepdim=True)
    cova_x = (x - mean_x).t() @ (x - mean_x) / (len(x) - 1)
    cova_y = (y - mean_y).t() @ (y - mean_y) / (len(y) - 1)
    return (mean_x - mean_y).pow(2).mean() + (cova_x - cova_y).pow(2).mean()


@pytest.mark.parametrize("environments", [2, 3, 5])
def test_coral_is_that_of_domainbed(environments: int) -> None:
    values, _, env, _ = drawn(environments=environments)
    parts = [values[env == e] for e in range(environments)]
    expected = torch.stack([domainbed_coral(x, y) for x, y in combinations(parts, 2)]).mean()
    torch.testing.assert_close(coral(values, torch.ones_like(values, dtype=torch.bool), env), expected)


def test_coral_leaves_out_what_is_absent() -> None:
    values, _, env, draw = drawn(count=120, width=4)
    present = (torch.rand(120, 2, generator=draw) < 0.7).repeat_interleave(2, dim=1)
    means, covariances = np.full((3, 4), np.nan), np.full((3, 4, 4), np.nan)
    for e in range(3):
        for i in range(4):
            own = (present[:, i] & (env == e)).numpy()
            means[e, i] = values[own, i].mean()
            for j in range(4):
                both = own & present[:, j].numpy()
                mean_j = values[(present[:, j] & (env == e)).numpy(), j].mean()
                product = (values[both, i] - means[e, i]) * (values[both, j] - mean_j)
                covariances[e, i, j] = product.sum() / (both.sum() - 1)
    pairs = list(combinations(range(3), 2))
    expected = np.mean([(means[a] - means[b]) ** 2 for a, b in pairs])
    expected += np.mean([(covariances[a] - covariances[b]) ** 2 for a, b in pairs])
    found = coral(values.masked_fill(~present, 99.0), present, env)
    assert float(found) == pytest.approx(expected)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 49), st.sampled_from([0.0, 0.4]))
def test_moments_of_a_regression_are_those_of_scipy(seed: int, gaps: float) -> None:
    values, present, env, draw = drawn(seed=seed, gaps=gaps)
    target = torch.randn(40, generator=draw, dtype=torch.float64) * 3 + 2
    x = ((target - target[present].mean()) / target[present].std(correction=0)).numpy()
    told = []
    for e in range(3):
        own = (present & (env == e)).numpy()
        if own.sum() < 3:
            continue
        lines = [linregress(x[own], values[own, k].numpy()) for k in range(3)]
        left = [values[own, k].numpy() - line.intercept - line.slope * x[own] for k, line in enumerate(lines)]
        told.append([(line.slope, line.intercept, np.var(r)) for line, r in zip(lines, left, strict=True)])
    sd = values[present].std(0, correction=0).numpy()[:, None]
    scaled = np.array(told) / np.concatenate([sd, sd, sd**2], axis=1) if told else np.zeros((0, 3, 3))
    gaps_found = [((a - b) ** 2).sum(1).mean() for a, b in combinations(scaled, 2)]
    found = regression_moments(values.masked_fill(~present.unsqueeze(1), 99.0), present, target, env)
    assert float(found) == pytest.approx(np.mean(gaps_found) if gaps_found else 0)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 49), st.sampled_from([0.0, 0.4]))
def test_moments_of_a_classification_are_the_loop(seed: int, gaps: float) -> None:
    values, present, env, draw = drawn(seed=seed, gaps=gaps)
    target = torch.randint(3, (40,), generator=draw)
    sd = values[present].std(0, correction=0).numpy()
    total = np.zeros(2)
    count = 0
    for c in range(3):
        cells = [values[present & (env == e) & (target == c)].numpy() for e in range(3)]
        told = [np.stack([cell.mean(0) / sd, cell.var(0) / sd**2]) for cell in cells if len(cell) > 1]
        pairs = [(a - b) ** 2 for a, b in combinations(told, 2)]
        if pairs:
            total, count = total + np.mean(pairs, axis=(0, 2)), count + 1
    found = class_moments(values.masked_fill(~present.unsqueeze(1), 99.0), present, target, env, 3)
    assert float(found) == pytest.approx(total.sum() / max(1, count))


@settings(deadline=None, max_examples=40)
@given(st.floats(0.01, 100), st.floats(-50, 50), st.integers(0, 9))
def test_moments_do_not_depend_on_scale_or_place(scale: float, place: float, seed: int) -> None:
    values, present, env, draw = drawn(seed=seed, gaps=0.2)
    target, kind = torch.randn(40, generator=draw, dtype=torch.float64), torch.randint(3, (40,), generator=draw)
    moved = values * scale + place
    pairs = [
        (regression_moments(values, present, target, env), regression_moments(moved, present, target * scale + 1, env)),
        (class_moments(values, present, kind, env, 3), class_moments(moved, present, kind, env, 3)),
    ]
    for before, after in pairs:
        torch.testing.assert_close(before, after, rtol=1e-6, atol=1e-9)


def test_what_tells_nothing_counts_nothing() -> None:
    values, present, env, draw = drawn()
    target = torch.randn(40, generator=draw, dtype=torch.float64)
    constant = torch.where(env == 0, 1.0, target)  # no spread of labels in environment 0
    others = env != 0
    torch.testing.assert_close(
        regression_moments(values, present & others, constant, env),
        regression_moments(values[others], present[others], constant[others], env[others]),
    )
    nobody = torch.zeros(40, dtype=torch.bool)
    everything = values.requires_grad_()
    nothing = (
        regression_moments(everything, nobody, target, env)
        + class_moments(everything, nobody, env, env, 3)
        + coral(everything, nobody.unsqueeze(1).expand(-1, 3), env)
        + class_moments(everything, present, env, env, 3)  # every class in one environment
    )
    assert float(nothing.detach()) == 0
    (gradient,) = torch.autograd.grad(nothing, everything)
    assert bool((gradient == 0).all())


def test_a_constant_feature_has_no_gradient_that_is_not_finite() -> None:
    _, present, env, draw = drawn()
    values = torch.full((40, 2), 0.3, requires_grad=True)
    target = torch.randn(40, generator=draw)
    total = regression_moments(values, present, target, env) + class_moments(values, present, env % 2, env, 2)
    (gradient,) = torch.autograd.grad(total, values)
    assert bool(torch.isfinite(gradient).all())
    assert float(total.detach()) == pytest.approx(0, abs=1e-6)
