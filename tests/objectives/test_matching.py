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


def test_the_distance_of_two_estimates_is_the_loop_of_products() -> None:
    draw = np.random.default_rng(0)
    x, y, valid = draw.normal(size=(5, 4)), draw.normal(size=(5, 4)), draw.random((5, 4)) < 0.7
    found, _ = pair_distance(*map(torch.tensor, (x, valid, y)))
    for k in range(4):
        rows = np.nonzero(valid[:, k])[0]
        products = [(x[i, k] - x[j, k]) * (y[i, k] - y[j, k]) for i, j in combinations(rows, 2)]
        assert float(found[k]) == pytest.approx(np.mean(products))


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


def parts(rows: np.ndarray, halves: bool) -> list[np.ndarray]:
    """The rows that are True, or those with odd and those with even places among them."""
    return [np.nonzero(rows)[0][start :: 1 + halves] for start in range(1 + halves)]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 49), st.sampled_from([0.0, 0.4]), st.booleans())
def test_moments_of_a_regression_are_those_of_scipy(seed: int, gaps: float, halves: bool) -> None:
    values, present, env, draw = drawn(seed=seed, gaps=gaps)
    target = torch.randn(40, generator=draw, dtype=torch.float64) * 3 + 2
    x = ((target - target[present].mean()) / target[present].std(correction=0)).numpy()
    sd = values[present].std(0, correction=0).numpy()
    units = np.stack([sd, sd, sd**2])
    told = []
    for e in range(3):
        samples = parts((present & (env == e)).numpy(), halves)
        if min(map(len, samples)) < 3:
            continue
        told.append([])
        for own in samples:
            lines = [linregress(x[own], values[own, k].numpy()) for k in range(3)]
            left = [np.var(values[own, k].numpy() - li.intercept - li.slope * x[own]) for k, li in enumerate(lines)]
            told[-1].append(np.array([[li.slope for li in lines], [li.intercept for li in lines], left]) / units)
    pairs = [((a[0] - b[0]) * (a[-1] - b[-1])).sum(0).mean() for a, b in combinations(told, 2)]
    found = regression_moments(values.masked_fill(~present.unsqueeze(1), 99.0), present, target, env, halves)
    assert float(found) == pytest.approx(np.mean(pairs) if pairs else 0)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 49), st.sampled_from([0.0, 0.4]), st.booleans())
def test_moments_of_a_classification_are_the_loop(seed: int, gaps: float, halves: bool) -> None:
    values, present, env, draw = drawn(seed=seed, gaps=gaps)
    target = torch.randint(2, (40,), generator=draw)
    sd = values[present].std(0, correction=0).numpy()
    classes = []
    for c in range(2):
        told = []
        for e in range(3):
            cells = [values[own].numpy() for own in parts((present & (env == e) & (target == c)).numpy(), halves)]
            if min(map(len, cells)) > 1:
                told.append([np.stack([cell.mean(0) / sd, cell.var(0) / sd**2]) for cell in cells])
        pairs = [((a[0] - b[0]) * (a[-1] - b[-1])).sum(0).mean() for a, b in combinations(told, 2)]
        classes += [np.mean(pairs)] if pairs else []
    found = class_moments(values.masked_fill(~present.unsqueeze(1), 99.0), present, target, env, 2, halves)
    assert float(found) == pytest.approx(np.mean(classes) if classes else 0)


def test_halves_find_no_distance_where_there_is_none() -> None:
    """Slope, intercept and residual variance are the same everywhere: on 8 rows their squares are far from 0."""
    draw, env = torch.Generator().manual_seed(0), torch.arange(4).repeat_interleave(8)
    found = {True: [], False: []}
    for _ in range(400):
        target = torch.randn(32, generator=draw)
        values = (target + torch.randn(32, generator=draw)).unsqueeze(1)
        for halves, kept in found.items():
            kept.append(float(regression_moments(values, torch.ones(32, dtype=torch.bool), target, env, halves)))
    assert abs(np.mean(found[True])) < 3 * np.std(found[True]) / 20
    assert np.mean(found[False]) > 0.3


@settings(deadline=None, max_examples=40)
@given(st.floats(0.01, 100), st.floats(-50, 50), st.integers(0, 9))
def test_moments_do_not_depend_on_scale_or_place(scale: float, place: float, seed: int) -> None:
    values, present, env, draw = drawn(seed=seed, gaps=0.2)
    target, kind = torch.randn(40, generator=draw, dtype=torch.float64), torch.randint(3, (40,), generator=draw)
    moved = values * scale + place
    pairs = [
        (
            regression_moments(values, present, target, env, True),
            regression_moments(moved, present, target * scale + 1, env, True),
        ),
        (class_moments(values, present, kind, env, 3, True), class_moments(moved, present, kind, env, 3, True)),
    ]
    for before, after in pairs:
        torch.testing.assert_close(before, after, rtol=1e-6, atol=1e-9)


def test_what_tells_nothing_counts_nothing() -> None:
    values, present, env, draw = drawn()
    target = torch.randn(40, generator=draw, dtype=torch.float64)
    constant = torch.where(env == 0, 1.0, target)  # no spread of labels in environment 0
    others = env != 0
    torch.testing.assert_close(
        regression_moments(values, present & others, constant, env, False),
        regression_moments(values[others], present[others], constant[others], env[others], False),
    )
    nobody = torch.zeros(40, dtype=torch.bool)
    everything = values.requires_grad_()
    nothing = (
        regression_moments(everything, nobody, target, env, False)
        + class_moments(everything, nobody, env, env, 3, False)
        + coral(everything, nobody.unsqueeze(1).expand(-1, 3), env)
        + class_moments(everything, present, env, env, 3, False)  # every class in one environment
    )
    assert float(nothing.detach()) == 0
    (gradient,) = torch.autograd.grad(nothing, everything)
    assert bool((gradient == 0).all())


def test_a_constant_feature_has_no_gradient_that_is_not_finite() -> None:
    _, present, env, draw = drawn()
    values = torch.full((40, 2), 0.3, requires_grad=True)
    target = torch.randn(40, generator=draw)
    total = regression_moments(values, present, target, env, True) + class_moments(
        values, present, env % 2, env, 2, True
    )
    (gradient,) = torch.autograd.grad(total, values)
    assert bool(torch.isfinite(gradient).all())
    assert float(total.detach()) == pytest.approx(0, abs=1e-6)
