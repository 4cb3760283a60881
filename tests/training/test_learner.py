import math

import pytest

from deconfound.training.learner import rate_at


def test_the_rate_rises_linearly_and_falls_along_half_a_cosine():
    rates = [rate_at(step, 10, 110) for step in range(111)]
    assert rates[:10] == pytest.approx([k / 10 for k in range(1, 11)])
    assert rates[60] == pytest.approx(0.5)
    assert rates[85] == pytest.approx(0.5 * (1 + math.cos(0.75 * math.pi)))
    assert rates[110] == pytest.approx(0)
    assert max(rates) == 1
