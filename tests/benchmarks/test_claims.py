"""What the docs claim about the published method, where algebra can say it."""

import importlib.util
import math
from pathlib import Path

import pytest
import torch

from deconfound.objectives.decorrelation import cross_correlation, row_products
from deconfound.objectives.invariance import invariance

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "causal" / "closed_form.py"


@pytest.fixture(scope="module")
def closed_form():
    spec = importlib.util.spec_from_file_location("closed_form", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_p5_the_published_invariance_is_the_length_of_the_rows_of_the_jacobian():
    draw = torch.Generator().manual_seed(0)
    jacobian = torch.randn(4, 6, generator=draw)
    scale = torch.rand(6, generator=draw) + 0.5  # standard deviation of the noise per input
    first, second = 0.2, 0.4
    noise = torch.randn(2, 200_000, 6, generator=draw)
    views = torch.stack([first * noise[0], second * noise[1]]) * scale @ jacobian.T
    measured = invariance(views, torch.ones(200_000, dtype=torch.bool), "l1")
    rows = (jacobian * scale).norm(dim=1)
    expected = math.sqrt(2 / math.pi) * math.hypot(first, second) * rows.mean()
    torch.testing.assert_close(measured, expected, rtol=0.01, atol=0)


def test_p5_the_charge_helps_against_small_shortcuts_and_hurts_from_parity_on(closed_form):
    plain = closed_form.risk(closed_form.fitted(0.0, 1.0), closed_form.FLIPPED)
    assert plain == pytest.approx(1.677, abs=5e-3)
    for weight in closed_form.WEIGHTS[1:]:
        charged = {
            a: closed_form.risk(closed_form.fitted(weight, a), closed_form.FLIPPED) for a in closed_form.AMPLITUDES
        }
        assert all(charged[a] < plain for a in (0.1, 0.3, 0.5))
        assert all(charged[a] > plain for a in (1.0, 2.0, 4.0))
    weak = min(closed_form.risk(closed_form.fitted(w, 0.1), closed_form.FLIPPED) for w in closed_form.WEIGHTS)
    assert weak > 1 - closed_form.CAUSED  # even then the causes alone are better


def test_orthogonal_rows_may_share_everything():
    shared = torch.randn(500, 3, generator=torch.Generator().manual_seed(1))
    nothing = torch.zeros_like(shared)
    invariant, spurious = torch.cat([shared, nothing], 1), torch.cat([nothing, shared], 1)
    rows = torch.ones(500, dtype=torch.bool)
    assert row_products(invariant, spurious, rows, "orth", 1.0) == 0
    assert cross_correlation(invariant, spurious, rows) > 3 / 36 - 1e-3  # 3 of 6 × 6 pairs of columns are equal


def test_t4_exchanging_the_roles_of_causes_and_shortcuts_keeps_what_one_environment_shows():
    """Jointly Gaussian C – Y – S is the same law read as C → Y → S and as S → Y → C; only another environment differs."""
    a, b = 0.7, 0.6  # correlation of C and of S with Y
    forward = torch.tensor([[1, a, a * b], [a, 1, b], [a * b, b, 1]])  # C causes Y, Y causes S
    backward = torch.eye(3)
    backward[1, 2] = backward[2, 1] = b  # S causes Y with weight b and noise 1 − b²
    backward[0, 1] = backward[1, 0] = a  # Y causes C with weight a and noise 1 − a²
    backward[0, 2] = backward[2, 0] = a * b
    torch.testing.assert_close(forward, backward)
    weights = torch.linalg.solve(forward[[0, 2]][:, [0, 2]], forward[[0, 2], 1])
    for sign_c, sign_s in ((1, -1), (-1, 1)):  # the shortcut flips in one world, what was called cause in the other
        with_y = torch.tensor([sign_c * a, sign_s * b])
        both = torch.tensor([[1, sign_c * sign_s * a * b], [sign_c * sign_s * a * b, 1]])
        risk = 1 - 2 * weights @ with_y + weights @ both @ weights
        assert risk > 1 - a**2  # the predictor that is best in training fails in one of the worlds, whichever holds
