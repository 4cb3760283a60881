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
    "parameters",
    [
        {},
        {"steps": 6, "task": "classification", "classes": 4},
        {"modalities": 1, "causal": 1, "spurious": 1, "features": 2},
        {"shared": 1.0, "spurious_modalities": 1, "rho": (0.5,)},
        {"nonlinearity": 0.0, "amplitude": 0.1},
    ],
)
def test_every_setting_is_a_valid_dataset(parameters):
    data = synthetic(rows=80, **parameters)
    check_dataset(data)
    assert data.checksum == synthetic(rows=80, **parameters).checksum
    assert data.checksum != synthetic(rows=80, seed=1, **parameters).checksum


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
        correlations = [np.corrcoef(column, y[env == e])[0, 1] for column in s[env == e].T]
        assert np.mean(correlations) == pytest.approx(factor * rho, abs=0.02)


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


def cut(data, split, values):
    rows = data.rows(split)
    return values[rows.start : rows.stop]


def test_the_name_is_that_of_the_dataset_and_changes_no_row():
    named = synthetic(rows=40, name="mine")
    assert named.name == "mine"
    assert torch.equal(named.signals["m1"].values, synthetic(rows=40).signals["m1"].values)


def test_flip_is_the_rho_of_all_rows_of_its_split_and_of_no_other():
    plain, data = (synthetic(rows=20_000, rho=(0.9, 0.2), flip=flip) for flip in (None, -0.5))
    assert set(cut(data, "test-flip", data.metadata["rho"])) == {-0.5}
    s, y = latents(data, "S", "test-flip")
    env = cut(data, "test-flip", data.env).numpy()
    for e in (0, 1):
        assert np.corrcoef(s[env == e, 0], y[env == e])[0, 1] == pytest.approx(-0.5, abs=0.03)
    for split in ("train", "valid", "test-iid"):
        assert torch.equal(cut(data, split, data.target), cut(plain, split, plain.target))
        assert np.array_equal(latents(data, "S", split)[0], latents(plain, "S", split)[0])


def test_in_the_mirror_shortcuts_hold_and_causes_are_reversed():
    assert "test-mirror" not in synthetic(rows=40).splits
    data = synthetic(rows=8000, rho=(0.8,), mirror=True)
    check_dataset(data)
    for split, sign in (("test-iid", 1), ("test-mirror", -1)):
        c, y = latents(data, "C", split)
        s, _ = latents(data, "S", split)
        causes = [np.corrcoef(column, y)[0, 1] for column in c.T]
        assert np.mean(causes) == pytest.approx(sign * np.sqrt(0.8 / 1.16 / 6), abs=0.03)  # six equal causes
        assert np.mean([np.corrcoef(column, y)[0, 1] for column in s.T]) == pytest.approx(0.8, abs=0.02)
    rows = data.rows("test-mirror")
    assert data.metadata["rho"][rows.start] == pytest.approx(0.8)


def test_content_shift_moves_the_mean_of_every_cause_from_minus_to_plus():
    data = synthetic(rows=9000, content_shift=0.7)
    for split, factor in (("train", 1), ("test-iid", 1), ("test-flip", 2), ("test-zero", 2)):
        c, _ = latents(data, "C", split)
        env = cut(data, split, data.env).numpy()
        for e, place in enumerate((-1, 0, 1)):
            assert c[env == e].mean(0) == pytest.approx(0.7 * factor * place, abs=0.1)
            assert c[env == e].std(0) == pytest.approx(1, abs=0.08)


def test_wrong_environments_are_random_ones_and_nothing_else_changes():
    right, data = (synthetic(rows=9000, rho=(0.9, 0.6, 0.2), wrong=wrong) for wrong in (0.0, 0.3))
    assert torch.equal(data.target, right.target)
    assert torch.equal(data.signals["m2"].values, right.signals["m2"].values)
    assert np.array_equal(data.metadata["rho"], right.metadata["rho"])
    moved = (data.metadata["environment"] != right.metadata["environment"]).mean()
    assert moved == pytest.approx(0.3 * 2 / 3, abs=0.02)
    random = synthetic(rows=9000, wrong=1.0).env
    assert np.corrcoef(random, right.env)[0, 1] == pytest.approx(0, abs=0.03)


def test_causes_can_be_observed_themselves():
    plain, data = (synthetic(rows=40, steps=5, observe=what) for what in ("mixture", "causes"))
    check_dataset(data)
    for name, signal in data.signals.items():
        assert torch.equal(signal.values[:, 0], data.latents[f"C/{name}"])
        assert bool(signal.mask.all())
    assert torch.equal(data.target, plain.target)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"row": 5}, "did you mean 'rows'"),
        ({"rows": 1}, "greater than or equal to 10"),
        ({"rho": (2,)}, "less than or equal to 1"),
        ({"features": 3}, "cannot be inverted"),
        ({"spurious_modalities": 4}, "of 3 modalities"),
        ({"content_shift": -1}, "greater than or equal to 0"),
        ({"wrong": 2}, "less than or equal to 1"),
        ({"flip": 2}, "less than or equal to 1"),
        ({"observe": "all"}, "mixture"),
        ({"name": ""}, "name"),
    ],
)
def test_bad_knobs_are_refused(parameters, message):
    with pytest.raises(SpecError, match=message):
        synthetic(**parameters)
