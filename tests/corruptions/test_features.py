"""Corruptions of single features: the distribution of what they do, from its definition."""

import pytest
import torch
from scipy import stats

from deconfound.corruption import Corruption
from deconfound.corruptions.erase import Erase
from deconfound.corruptions.laplace import Laplace
from deconfound.corruptions.mix_noise import MixNoise
from deconfound.corruptions.salt_and_pepper import SaltAndPepper
from deconfound.corruptions.time_shift import TimeShift
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch, Signal
from deconfound.errors import SpecError
from deconfound.nn.standardise import training_scale
from support.toy import rows


def corrupted(corruption: Corruption, dataset: Dataset, severity: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Standardised values of "audio" before and after, at the steps that exist: (N, D) each."""
    batch = dataset.batch(torch.arange(len(dataset)))
    after = corruption.fitted(dataset)(batch, severity, torch.Generator().manual_seed(0)).signals["audio"]
    before, (mean, std) = batch.signals["audio"], training_scale(dataset)["audio"]
    return tuple(((signal.values - mean) / std)[before.mask] for signal in (before, after))


def test_laplace_noise_is_laplace_of_variance_1() -> None:
    before, after = corrupted(Laplace(), rows(4_000), 0.5)
    noise = ((after - before) / 0.5).flatten().double().numpy()
    assert stats.kstest(noise, stats.laplace(scale=0.5**0.5).cdf).pvalue > 0.01


def test_mixed_features_keep_the_share_that_is_left() -> None:
    before, after = corrupted(MixNoise(), rows(4_000), 0.3)
    noise = ((after - 0.7 * before) / 0.3).flatten().double().numpy()
    assert stats.kstest(noise, stats.norm.cdf).pvalue > 0.01


def test_erased_features_are_at_the_mean_and_the_others_as_they_were() -> None:
    before, after = corrupted(Erase(), rows(4_000), 0.3)
    erased = after.abs() < 1e-5
    assert erased.float().mean().item() == pytest.approx(0.3, abs=0.01)
    torch.testing.assert_close(after[~erased], before[~erased])


def test_extremes_are_hit_on_both_sides_alike() -> None:
    before, after = corrupted(SaltAndPepper(amplitude=5.0), rows(4_000), 0.4)
    high, low = (after - 5).abs() < 1e-4, (after + 5).abs() < 1e-4
    assert high.float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert low.float().mean().item() == pytest.approx(0.2, abs=0.01)
    torch.testing.assert_close(after[~(high | low)], before[~(high | low)])


def test_a_shifted_sequence_has_its_steps_elsewhere_and_nothing_where_none_came() -> None:
    steps = torch.arange(1.0, 11).reshape(1, 10, 1).repeat(4_000, 1, 1)
    batch = Batch(
        {"x": Signal(steps, torch.ones(4_000, 10, dtype=torch.bool))},
        torch.zeros(4_000), torch.arange(4_000), torch.zeros(4_000, dtype=torch.int64),
    )  # fmt: skip
    signal = TimeShift()(batch, 0.5, torch.Generator().manual_seed(0)).signals["x"]
    shifts = (torch.arange(1, 11) - signal.values[..., 0]) * signal.mask
    here = signal.mask.any(1)
    shift = torch.where(signal.mask, shifts, torch.nan).nanmean(1)[here]
    assert bool((shifts == torch.where(signal.mask, shift.unsqueeze(1), 0)).all())
    assert bool((signal.mask.sum(1) == 10 - shift.abs()).all())
    assert shift.abs().mean().item() == pytest.approx(2.5, abs=0.1)  # uniform up to half of ten steps
    assert shift.mean().item() == pytest.approx(0, abs=0.15)


@pytest.mark.parametrize("corruption", [MixNoise(), Erase(), SaltAndPepper(), TimeShift()])
def test_shares_above_1_are_refused(corruption: Corruption) -> None:
    dataset = rows(10)
    batch = dataset.batch(torch.arange(10))
    with pytest.raises(SpecError, match="the severity must be a number from 0 to 1"):
        corruption.fitted(dataset)(batch, 1.5, torch.Generator())
