"""The scores of the others, and the coefficients of OGM and PMR, by hand."""

import math

import torch

from deconfound.objectives.modulation import modulation, score_ratio, slow_and_fast

SCORES = torch.tensor([0.8, 0.2, 0.4, 0.9])
PRESENT = torch.tensor([True, True, True, False])


def test_the_ratio_is_to_the_mean_of_the_other_present_modalities() -> None:
    torch.testing.assert_close(score_ratio(SCORES, PRESENT), torch.tensor([0.8 / 0.3, 0.2 / 0.6, 0.4 / 0.5, 1.0]))


def test_only_modalities_ahead_are_slowed() -> None:
    expected = torch.tensor([1 - math.tanh(0.5 * 0.8 / 0.3), 1.0, 1.0, 1.0])
    torch.testing.assert_close(modulation(SCORES, PRESENT, 0.5), expected)


def test_slow_and_fast_are_the_distances_from_one_up_to_one() -> None:
    slow, fast = slow_and_fast(SCORES, PRESENT)
    torch.testing.assert_close(slow, torch.tensor([0.0, 1.0, 0.25, 0.0]))
    torch.testing.assert_close(fast, torch.tensor([1.0, 0.0, 0.0, 0.0]))


def test_one_modality_has_no_rival() -> None:
    alone = torch.tensor([True, False, False, False])
    torch.testing.assert_close(score_ratio(SCORES, alone), torch.ones(4))
