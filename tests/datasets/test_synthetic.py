import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression

from deconfound.datasets.synthetic import INTERACTION, synthetic
from deconfound.errors import SpecError
from deconfound.testing import check_dataset


def latents(data, kind, split):
    rows = data.rows(split)
    parts = [values for name, values in data.latents.items() if name.startswith(kind)]
    return torch.cat(parts, dim=1)[rows.start : rows.stop].numpy(), data.target[rows.start : rows.stop].numpy()


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"steps": 6, "task": "classification", "classes": 4},
        {"modalities": 1, "causal": 1, "spurious": 1, "features": 2},
        {"shared": 1.0, "spurious_modalities": 1, "rho": (0.5,)},
        {"nonlinearity": 0.0, "amplitude": 0.1},
    ],
)
def test_every_form_is_a_valid_dataset(knobs):
    data = synthetic(rows=80, **knobs)
    check_dataset(data)
    assert data.checksum == synthetic(rows=80, **knobs).checksum
    assert data.checksum != synthetic(rows=80, seed=1, **knobs).checksum


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_the_label_has_unit_variance_and_its_causes_leave_the_stated_noise(shared):
    data = synthetic(rows=20_000, shared=shared, label_noise=0.3)
    c, y = latents(data, "C", "train")
    assert y.var() == pytest.approx(1, abs=0.05)
    features = np.column_stack([c, c[:, 0] * c[:, -1]])  # the two terms of f; the oracle is their regression
    fitted = LinearRegression().fit(features, y)
    assert np.mean((y - fitted.predict(features)) ** 2) == pytest.approx(0.3, abs=0.02)
    weight = fitted.coef_[-1] / np.sqrt(0.7 / (1 + INTERACTION**2))
    assert weight == pytest.approx(INTERACTION, abs=0.05)


@pytest.mark.parametrize(("split", "factor"), [("train", 1), ("test-iid", 1), ("test-flip", -1), ("test-zero", 0)])
def test_the_shortcut_follows_rho_in_every_environment(split, factor):
    data = synthetic(rows=30_000, rho=(0.9, 0.3))
    rows = data.rows(split)
    s, y = latents(data, "S", split)
    env = data.env[rows.start : rows.stop].numpy()
    for e, rho in enumerate((0.9, 0.3)):
        found = [np.corrcoef(column, y[env == e])[0, 1] for column in s[env == e].T]
        assert np.mean(found) == pytest.approx(factor * rho, abs=0.02)


def test_only_the_last_modalities_carry_the_shortcut():
    data = synthetic(rows=20_000, rho=(0.9,), spurious_modalities=1)
    rows = data.rows("train")
    y = data.target[rows.start : rows.stop]
    for name, rho in (("S/m1", 0), ("S/m2", 0), ("S/m3", 0.9)):
        s = data.latents[name][rows.start : rows.stop, 0]
        assert float(torch.corrcoef(torch.stack([s, y]))[0, 1]) == pytest.approx(rho, abs=0.03)


def test_the_mixing_can_be_inverted():
    data = synthetic(rows=4000, noise=0.0)
    rows = data.rows("train")
    x = data.signals["m1"].values[rows.start : rows.stop, 0].numpy()
    z = data.latents["C/m1"][rows.start : rows.stop, 0].numpy()
    model = HistGradientBoostingRegressor(max_iter=200).fit(x[:3000], z[:3000])
    assert model.score(x[3000:], z[3000:]) > 0.9


def test_classes_are_equally_likely_in_training():
    data = synthetic(rows=3000, task="classification", classes=3)
    counts = torch.bincount(data.batch("train").target)
    assert (counts - 1000).abs().max() <= 1


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"row": 5}, "did you mean 'rows'"),
        ({"rows": 1}, "greater than or equal to 10"),
        ({"rho": (2,)}, "less than or equal to 1"),
        ({"features": 3}, "cannot be inverted"),
        ({"spurious_modalities": 4}, "of 3 modalities"),
    ],
)
def test_bad_knobs_are_refused(knobs, message):
    with pytest.raises(SpecError, match=message):
        synthetic(**knobs)
