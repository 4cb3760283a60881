"""Running moments against the moments of all rows at once."""

import pytest
import torch

from deconfound.nn import moments
from deconfound.nn.moments import Moments


@pytest.mark.parametrize("full", [False, True])
def test_the_first_batches_are_averaged_evenly(full: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    mix = torch.randn(3, 3, generator=draw)
    batches = [torch.randn(2, 8, 3, generator=draw) @ mix + step for step in range(5)]
    seen, present = Moments(2, 3, full), torch.ones(2, 8, dtype=torch.bool)
    for batch in batches:
        seen.update(batch, present)
    rows = torch.cat(batches, dim=1)
    torch.testing.assert_close(seen.mean[:, 0], rows.mean(1))
    torch.testing.assert_close(seen.std[:, 0], rows.std(1, correction=0))
    if full:
        for group in range(2):
            torch.testing.assert_close(seen.spread[group], torch.cov(rows[group].T, correction=0))


def test_old_batches_are_forgotten() -> None:
    seen, present = Moments(1, 1), torch.ones(1, 4, dtype=torch.bool)
    for _ in range(100):
        seen.update(torch.zeros(1, 4, 1), present)
    seen.update(torch.ones(1, 4, 1), present)
    assert seen.mean.item() == pytest.approx(moments.MOMENTUM)


def test_absent_rows_and_empty_batches_do_not_count() -> None:
    seen = Moments(2, 1)
    values = torch.tensor([[[1.0], [3.0], [99.0]], [[7.0], [7.0], [7.0]]])
    seen.update(values, torch.tensor([[True, True, False], [False, False, False]]))
    assert seen.mean.flatten().tolist() == [2, 0]
    assert seen.std.flatten().tolist() == [1, 1]


@pytest.mark.parametrize("full", [False, True])
def test_noise_takes_the_spread_of_the_features(full: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(1, 4000, 3, generator=draw) @ torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.5, 0.3], [0.0, 0.0, 0.1]])
    seen = Moments(1, 3, full)
    seen.update(rows, torch.ones(1, 4000, dtype=torch.bool))
    noise = seen.scale(torch.randn(1, 40000, 3, generator=draw))[0]
    expected = torch.cov(rows[0].T) if full else torch.cov(rows[0].T).diagonal().diag()
    torch.testing.assert_close(torch.cov(noise.T), expected, atol=0.06, rtol=0)


def test_a_singular_covariance_gives_finite_noise() -> None:
    rows = torch.randn(1, 50, 1).expand(1, 50, 4)
    seen = Moments(1, 4, full=True)
    seen.update(rows, torch.ones(1, 50, dtype=torch.bool))
    assert bool(torch.isfinite(seen.scale(torch.randn(1, 10, 4))).all())


def test_standardised_features_have_unit_spread_and_constants_become_zero() -> None:
    rows = torch.cat([3 + 2 * torch.randn(1, 50, 2), torch.full((1, 50, 1), 0.1)], dim=2)
    seen = Moments(1, 3)
    seen.update(rows, torch.ones(1, 50, dtype=torch.bool))
    found = seen.standardise(rows)[0]
    torch.testing.assert_close(found[:, :2].std(0, correction=0), torch.ones(2))
    assert found[:, 2].abs().max() < 1e-6
