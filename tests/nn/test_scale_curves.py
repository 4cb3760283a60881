"""The curves of the input scaling against scikit-learn and SciPy."""

import numpy as np
import pytest
import torch
from scipy.stats import norm, rankdata
from sklearn.preprocessing import QuantileTransformer, RobustScaler

from deconfound.nn.scale_curves import MOST_QUANTILES, RankGauss, Robust


def draw(rows: int, seed: int = 0) -> torch.Tensor:
    """(rows, 4): a normal, a wide log-normal, a bimodal and a uniform feature."""
    z = torch.randn(rows, 4, generator=torch.Generator().manual_seed(seed))
    return torch.stack([z[:, 0], z[:, 1].exp() * 1e3, z[:, 2] + 5 * z[:, 2].sign(), norm_cdf(z[:, 3])], dim=1)


def norm_cdf(z: torch.Tensor) -> torch.Tensor:
    return torch.special.ndtr(z)


@pytest.mark.parametrize("rows", [50, 3000])
def test_rank_gauss_is_the_quantile_transformer_of_scikit_learn_within_the_shares_of_half_a_row(rows: int) -> None:
    train, new = draw(rows), draw(400, 1) * 1.5
    curve = RankGauss((4,))
    curve.fit(train.T)
    reference = QuantileTransformer(
        n_quantiles=min(rows, MOST_QUANTILES), output_distribution="uniform", subsample=None
    )
    share = reference.fit(train.double().numpy()).transform(new.double().numpy())
    expected = norm.ppf(np.clip(share, 0.5 / rows, 1 - 0.5 / rows))
    np.testing.assert_allclose(curve(new[:, None])[:, 0].numpy(), expected, atol=2e-3)
    assert float(curve(train[:, None]).std()) == pytest.approx(1, abs=0.05)


def test_ties_get_the_middle_of_their_ranks() -> None:
    train = torch.tensor([[0.0] * 6 + [1.0, 1.0, 2.0, 5.0], [3.0] * 10]).T
    curve = RankGauss((2,))
    curve.fit(train.T)
    share = np.clip((rankdata(train.numpy(), axis=0) - 1) / 9, 0.05, 0.95)
    np.testing.assert_allclose(curve(train[:, None])[:, 0].numpy(), norm.ppf(share), atol=1e-5)


def test_beyond_the_training_rows_the_curve_is_flat_and_rises_before() -> None:
    curve = RankGauss((1,))
    curve.fit(torch.arange(10.0)[None])
    x = torch.linspace(-5, 15, 401)[:, None, None]
    y = curve(x)[:, 0, 0]
    assert bool((y.diff() >= 0).all())
    np.testing.assert_allclose([float(y[0]), float(y[-1])], [norm.ppf(0.05), norm.ppf(0.95)], rtol=1e-5)


def test_one_row_and_no_fit_at_all() -> None:
    curve = RankGauss((1,))
    x = torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    assert torch.equal(curve(x), x), "before the fit it is the identity"
    curve.fit(torch.tensor([[2.0]]))
    assert torch.equal(curve(x)[:, 0, 0], torch.zeros(3)), "one row tells nothing"


def test_robust_is_the_robust_scaler_of_scikit_learn() -> None:
    train, new = draw(200), draw(100, 1)
    curve = Robust((4,))
    curve.fit(train.T)
    reference = RobustScaler(unit_variance=True).fit(train.double().numpy())
    np.testing.assert_allclose(curve(new[:, None])[:, 0].numpy(), reference.transform(new.double().numpy()), rtol=1e-4)
    flat = Robust((1,))
    flat.fit(torch.tensor([[0.0, 0, 0, 0, 0, 0, 0, 9]]))
    assert float(flat(torch.tensor([[[3.0]]]))) == 3, "where the quartiles agree the unit stays"


@pytest.mark.parametrize(("shape", "scale"), [((3, 4, 5), (3, 1, 1)), ((4, 5), (1, 1))])
def test_images_have_one_curve_a_channel(shape: tuple[int, ...], scale: tuple[int, ...]) -> None:
    x = torch.randn(7, 2, *shape, generator=torch.Generator().manual_seed(0)).exp()
    curve = RankGauss(scale)
    curve.fit(curve.columns(x))
    y = curve(x)
    for channel in range(scale[0]):
        part = (slice(None), slice(None), channel) if len(shape) > 2 else (slice(None), slice(None))
        values = x[part].reshape(-1)
        share = (rankdata(values) - 1) / (len(values) - 1)
        expected = norm.ppf(np.clip(share, 0.5 / len(values), 1 - 0.5 / len(values)))
        np.testing.assert_allclose(y[part].reshape(-1).numpy(), expected, atol=1e-4)


def test_gradients_reach_the_values() -> None:
    curve = RankGauss((4,))
    curve.fit(draw(100).T)
    x = draw(20, 1)[:, None].requires_grad_()
    curve(x).sum().backward()
    assert x.grad is not None
    assert bool(torch.isfinite(x.grad).all())
    assert bool((x.grad > 0).any())
