import pytest
import torch

from deconfound.objectives.reconstruction import reconstruction
from deconfound.objectives.rows import row_mean, row_moments


def test_equals_the_loop_over_present_rows() -> None:
    decoded, target = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    present = torch.tensor([True, False, True, True, False])
    errors = [float((decoded[b, k] - target[b, k]) ** 2) for b in (0, 2, 3) for k in range(3)]
    assert reconstruction(decoded, target, present).item() == pytest.approx(sum(errors) / len(errors))


def test_no_row_costs_nothing() -> None:
    assert reconstruction(torch.ones(2, 3), torch.zeros(2, 3), torch.zeros(2, dtype=torch.bool)).item() == 0


def test_moments_are_those_of_the_present_rows() -> None:
    values, present = torch.randn(2, 6, 3), torch.rand(2, 6) < 0.6
    present[0, :2], present[1] = True, False
    mean, centred, variance = row_moments(values, present)
    kept = values[0][present[0]]
    torch.testing.assert_close(mean[0, 0], kept.mean(0))
    torch.testing.assert_close(variance[0, 0], kept.var(0, correction=0))
    torch.testing.assert_close(centred[0][present[0]], kept - kept.mean(0))
    assert not centred[~present].any()
    assert not variance[1].any()
    torch.testing.assert_close(row_mean(values[0, :, 0], present[0]), kept[:, 0].mean())
