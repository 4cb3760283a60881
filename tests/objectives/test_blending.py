import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deconfound.objectives.blending import FLOOR, blend_weights

losses = st.lists(st.floats(0.1, 5), min_size=3, max_size=3)


@settings(deadline=None, max_examples=100)
@given(losses, losses, losses, losses)
def test_weights_are_the_ratio_of_generalisation_to_squared_overfitting(a, b, c, d) -> None:
    start, end = torch.tensor([a, b], dtype=torch.float64), torch.tensor([c, d], dtype=torch.float64)
    ratios = []
    for k in range(3):
        gain = b[k] - d[k]
        over = (d[k] - c[k]) - (b[k] - a[k])
        ratios.append(max(gain, 0) / max(abs(over), FLOOR * b[k]) ** 2)
    expected = [r / sum(ratios) for r in ratios] if sum(ratios) > 0 else [1 / 3] * 3
    assert blend_weights(start, end).tolist() == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_a_loss_that_only_memorises_weighs_nothing_and_one_that_overfits_less_weighs_more() -> None:
    start = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    end = torch.tensor([[0.5, 0.6, 0.1], [0.7, 0.7, 1.2]])  # ΔG .3 .3 -.2, ΔO .2 .1 1.1
    found = blend_weights(start, end)
    assert found[2] == 0
    assert (found[1] / found[0]).item() == pytest.approx(4, rel=1e-4)
