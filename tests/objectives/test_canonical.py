"""The canonical correlation beyond the label against scikit-learn, on chance, and on what the label alone ties together."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cross_decomposition import CCA
from torch import Tensor

from deconfound.objectives.canonical import label_columns, residual, residual_correlation


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ones(rows: int) -> Tensor:
    return torch.ones(rows, 1, dtype=torch.float64)


def pair(seed: int, rows: int = 200, shared: float = 1.0) -> tuple[Tensor, Tensor]:
    """Two modalities of 3 and 4 features with one common latent of that size."""
    draw = generator(seed)
    latent = torch.randn(rows, 1, generator=draw, dtype=torch.float64)
    mixes = [torch.randn(1, width, generator=draw, dtype=torch.float64) for width in (3, 4)]
    first, second = (shared * latent @ m + torch.randn(rows, m.shape[1], generator=draw).double() for m in mixes)
    return first, second


@pytest.mark.parametrize("seed", range(4))
def test_it_is_that_of_a_plain_cca_on_held_out_rows(seed: int) -> None:
    first, second = pair(seed)
    found = residual_correlation(first, second, ones(200), generator(seed))
    order = torch.randperm(200, generator=generator(seed)).numpy()  # the halves, and nothing else, are drawn
    fit, held = order[:100], order[100:]
    plain = CCA(1, scale=False, max_iter=5000, tol=1e-12).fit(first.numpy()[fit], second.numpy()[fit])
    a, b = plain.transform(first.numpy()[held], second.numpy()[held])
    assert found == pytest.approx(np.corrcoef(a[:, 0], b[:, 0])[0, 1], abs=1e-4)


def test_chance_with_many_features_does_not_count() -> None:
    draw = generator()
    found = []
    for seed in range(5):
        first, second = (torch.randn(400, 784, generator=draw) for _ in range(2))
        found.append(residual_correlation(first, second, ones(400), generator(seed)))
    assert max(map(abs, found)) < 0.25  # three and a half standard deviations of 200 rows


def test_shared_content_among_many_features_does() -> None:
    draw = generator()
    latent = torch.randn(400, 2, generator=draw)
    first, second = (
        latent @ torch.randn(2, 784, generator=draw) + 0.5 * torch.randn(400, 784, generator=draw) for _ in range(2)
    )
    assert residual_correlation(first, second, ones(400), generator()) > 0.95


@pytest.mark.parametrize("classification", [True, False])
def test_what_the_label_alone_ties_together_is_removed(classification: bool) -> None:
    draw = generator()
    y = torch.randn(300, generator=draw)
    target = torch.bucketize(y, torch.tensor([-0.5, 0.5])) if classification else y
    env = torch.randint(3, (300,), generator=draw)
    tie = (target.float() * (env - 1)).unsqueeze(1)  # another law in every environment
    first, second = (tie + 0.3 * torch.randn(300, 3, generator=draw) for _ in range(2))
    assert residual_correlation(first, second, ones(300), generator()) > 0.7
    given_ = label_columns(target, env, classification)
    assert abs(residual_correlation(first, second, given_, generator())) < 0.3


def test_independent_causes_of_one_label_share_nothing() -> None:
    """Given y = a + b, a and -b rise together: a collider, not content that both have."""
    a, b = torch.randn(2, 300, 1, generator=generator())
    y = (a + b)[:, 0] + 0.5 * torch.randn(300, generator=generator(1))
    first, second = (c + 0.1 * torch.randn(300, 3, generator=generator(2 + n)) for n, c in enumerate((a, b)))
    rest = [residual(v.double(), label_columns(y, torch.zeros(300).long(), False)).mean(1) for v in (first, second)]
    assert np.corrcoef(*rest)[0, 1] < -0.6
    for classification, target in ((False, y), (True, (y > 0).long())):
        given_ = label_columns(target, torch.zeros(300).long(), classification)
        assert residual_correlation(first, second, given_, generator()) < 0.3


def test_labels_of_one_half_alone_are_removed_too() -> None:
    """A class and environment that the fitted half does not have would keep its mean."""
    draw = generator()
    env = torch.arange(120) // 2
    target = torch.arange(120) % 2
    tie = torch.randn(120, 1, generator=draw)  # every row is a cell of its own
    first, second = (tie + 0.1 * torch.randn(120, 3, generator=draw) for _ in range(2))
    assert residual_correlation(first, second, ones(120), generator()) > 0.9
    assert residual_correlation(first, second, label_columns(target, env, True), generator()) == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(10, 60), st.integers(1, 3), st.integers(0, 10_000))
def test_any_cubic_of_the_label_per_environment_is_explained(rows: int, environments: int, seed: int) -> None:
    draw = generator(seed)
    y = 3 + 2 * torch.randn(rows, generator=draw, dtype=torch.float64)
    env = 5 * torch.randint(environments, (rows,), generator=draw)
    factors = torch.randn(16, 4, generator=draw, dtype=torch.float64)
    cubic = (factors[env] * torch.stack([y**0, y, y**2, y**3], 1)).sum(1, keepdim=True)
    left = residual(cubic, label_columns(y, env, False))
    assert float(left.abs().max()) < 1e-8 * float(cubic.abs().max())


def test_any_mean_per_class_and_environment_is_explained() -> None:
    target, env = torch.arange(12) % 3, torch.arange(12) // 6
    values = torch.randn(6, 2, generator=generator(), dtype=torch.float64)[target * 2 + env]
    assert float(residual(values, label_columns(target, env, True)).abs().max()) < 1e-12


def test_nothing_to_correlate() -> None:
    first, second = pair(0)
    assert residual_correlation(first[:39], second[:39], ones(39), generator()) == 0
    assert residual_correlation(torch.full_like(first, 7.0), second, ones(200), generator()) == 0
    label = (torch.arange(200) % 2).unsqueeze(1).double()  # the label and nothing else
    given_ = label_columns(label[:, 0].long(), torch.zeros(200).long(), True)
    assert residual_correlation(label * 1e6 + 1e6, label, given_, generator()) == 0


@pytest.mark.filterwarnings("error")
def test_one_row_has_no_spread_and_no_warning():
    columns = label_columns(torch.tensor([3.0]), torch.tensor([0]), False)
    assert columns.tolist() == [[1.0, 0.0, 0.0, 0.0]]
