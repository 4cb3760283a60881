"""The confounded model: its variables against their graph, and its closed-form truth against simulation."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, norm

from deconfound.datasets.imbalance import Imbalance, Split, draw, imbalance, truth
from deconfound.datasets.synthetic import synthetic
from deconfound.errors import SpecError
from deconfound.runs.build import load_data
from deconfound.runs.spec import Spec
from deconfound.testing import check_dataset

WORLDS: dict[str, dict[str, Any]] = {
    "context": {},
    "content": {"content": 0.5},
    "interaction": {"effect_both": 0.4, "content": 0.3},
    "child": {"auxiliary": "child", "content": 0.4},
    "collider": {"auxiliary": "collider", "content": 0.3, "opened": 0.3, "effect_both": -0.3},
    "environments": {"context": (0.95, 0.8, 0.4)},
    "child, environments": {"auxiliary": "child", "content": 0.3, "context": (0.9, 0.3)},
    "pure collider": {"auxiliary": "collider", "effect_auxiliary": 0.0},
}


@pytest.fixture(params=list(WORLDS), scope="module")
def model(request: pytest.FixtureRequest) -> Imbalance:
    return Imbalance(**WORLDS[request.param])


def rows(model: Imbalance, split: Split, n: int = 200_000) -> dict[str, np.ndarray]:
    sample = draw(model, n, split, torch.Generator().manual_seed(1))
    return {name: getattr(sample, name).numpy() for name in ("confounder", "content", "context", "auxiliary", "label")}


def predicted(model: Imbalance, sample: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    right = truth(model, *(torch.from_numpy(sample[name]) for name in ("content", "context", "auxiliary")))
    return {name: getattr(right, name).numpy() for name in ("do", "iid", "effect")}


def test_variables_have_unit_variance_and_the_stated_correlations_in_training(model: Imbalance) -> None:
    sample = rows(model, "train")
    for name in ("confounder", "content", "context", "auxiliary"):
        assert sample[name].var() == pytest.approx(1, abs=0.02)
    assert np.corrcoef(sample["confounder"], sample["context"])[0, 1] == pytest.approx(model.mean_context, abs=0.01)
    assert np.corrcoef(sample["confounder"], sample["content"])[0, 1] == pytest.approx(model.content, abs=0.01)
    if model.auxiliary == "parent":
        assert np.corrcoef(sample["auxiliary"], sample["content"])[0, 1] == pytest.approx(model.shared, abs=0.01)


@pytest.mark.parametrize(
    ("split", "factor"), [("train", 1), ("valid", 1), ("test-iid", 1), ("test-do", 0), ("test-flip", -1)]
)
def test_splits_cut_or_reverse_the_arrow_from_the_confounder_alone(model: Imbalance, split: Split, factor: int) -> None:
    sample = rows(model, split)
    assert np.corrcoef(sample["confounder"], sample["context"])[0, 1] == pytest.approx(
        factor * model.mean_context, abs=0.01
    )
    assert np.corrcoef(sample["confounder"], sample["content"])[0, 1] == pytest.approx(factor * model.content, abs=0.01)
    assert np.corrcoef(sample["content"], sample["context"])[0, 1] == pytest.approx(
        model.content * model.mean_context, abs=0.01
    )


@pytest.mark.parametrize(("split", "name"), [("test-do", "do"), ("test-iid", "iid")])
def test_no_function_of_the_rows_explains_what_the_bayes_predictor_leaves(
    model: Imbalance, split: Split, name: str
) -> None:
    """Y - P(Y=1 | x) is uncorrelated with every function of x exactly if the probability is right."""
    sample = rows(model, split)
    p = predicted(model, sample)[name]
    d, b, a = (sample[key] for key in ("content", "context", "auxiliary"))
    functions = [
        np.ones_like(d),
        d,
        b,
        a,
        d * a,
        d * b,
        a * b,
        d * d,
        b * b,
        a * a,
        np.sign(b),
        p,
        (p > 0.5),
        (p > 0.8),
    ]
    for function in functions:
        products = (sample["label"] - p) * function
        assert abs(products.mean()) < 4.5 * products.std() / len(products) ** 0.5


def graph(model: Imbalance, context: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean per unit of U, (3,), and covariance given U, (3, 3), of (D, B, A), from the matrix of the linear equations."""
    arrows, own = np.zeros((3, 3)), np.array([model.own_content, 1 - context**2, model.own_auxiliary])
    from_u = np.array([model.content, context, model.from_confounder])
    if model.auxiliary == "parent":
        arrows[0, 2] = model.shared
    else:
        arrows[2, :2] = model.shared, model.leak
    solved = np.linalg.inv(np.eye(3) - arrows)
    return solved @ from_u, solved @ np.diag(own) @ solved.T


def test_the_posterior_of_the_confounder_is_that_of_the_joint_density(model: Imbalance) -> None:
    points = np.random.default_rng(0).normal(size=(50, 3))
    likelihood = np.zeros((2, 50))
    for mean, covariance in (graph(model, context) for context in model.context):
        likelihood += np.stack([multivariate_normal(u * mean, covariance).pdf(points) for u in (-1, 1)])
    d, _, a = points.T
    score = model.effect_content * d + model.effect_auxiliary * a + model.effect_both * d * a
    y = np.stack([norm.cdf(score + u * model.effect_confounder) for u in (-1, 1)])
    expected = (likelihood * y).sum(0) / likelihood.sum(0)
    optimum = truth(model, *torch.from_numpy(points).T)
    np.testing.assert_allclose(optimum.iid.numpy(), expected, rtol=1e-8)


def test_the_interventional_truth_is_what_setting_x_does(model: Imbalance) -> None:
    """Set (D, B) by hand, let U, A and Y follow their equations, and look at Y: over all A, and weighted near one a."""
    draws, generator = 400_000, np.random.default_rng(1)
    u, fresh, noise = np.sign(generator.normal(size=draws)), *generator.normal(size=(2, draws))
    for d, b, a in ((0.5, 1.0, 0.4), (-1.2, 0.3, 1.0), (0.0, -1.5, -0.7)):
        downstream = model.auxiliary != "parent"
        mean = (model.shared * d + model.leak * b if downstream else 0.0) + model.from_confounder * u
        own = model.own_auxiliary**0.5
        auxiliary = mean + own * fresh

        def label(values: Any, d: float = d) -> np.ndarray:
            score = model.effect_content * d + (model.effect_auxiliary + model.effect_both * d) * values
            return (score + model.effect_confounder * u + noise > 0).astype(float)

        optimum = truth(model, *(torch.tensor([value]) for value in (d, b, a)))
        assert optimum.effect.item() == pytest.approx(label(auxiliary).mean(), abs=4 * 0.5 / draws**0.5)
        weight = norm.pdf(a, mean, own)
        expected = (weight * label(a)).sum() / weight.sum()
        assert optimum.do.item() == pytest.approx(expected, abs=0.005)


def test_the_defaults_are_calibrated() -> None:
    """Accuracies of the Bayes predictors: interventional 0.69 anywhere, the other 0.78, 0.63 and 0.48."""
    model = Imbalance()
    expected: dict[Split, tuple[float, float]] = {
        "test-iid": (0.69, 0.78),
        "test-do": (0.69, 0.63),
        "test-flip": (0.69, 0.48),
    }
    for split, accuracies in expected.items():
        found = rows(model, split)
        p = predicted(model, found)
        for name, accuracy in zip(("do", "iid"), accuracies, strict=True):
            assert np.mean((p[name] > 0.5) == found["label"]) == pytest.approx(accuracy, abs=0.01)


@pytest.mark.parametrize("name", WORLDS)
def test_every_world_is_a_valid_dataset(name: str) -> None:
    knobs = {"rows": 40, "test_rows": 20, **WORLDS[name]}
    data = imbalance(**knobs)
    check_dataset(data)
    assert list(data.splits) == list(get_args(Split))
    assert data.checksum == imbalance(**knobs).checksum != imbalance(**knobs, seed=1).checksum
    model = Imbalance(**knobs)
    parts = (data.latents[name][:, 0] for name in ("C/predominant", "S/predominant", "C/auxiliary"))
    right = truth(model, *parts)
    for key, values in (("bayes-do", right.do), ("bayes-iid", right.iid), ("effect", right.effect)):
        torch.testing.assert_close(data.latents[key][:, 0], values.float(), rtol=1e-4, atol=1e-5)


def test_the_features_show_content_and_context_in_one_and_the_auxiliary_in_the_other() -> None:
    data = imbalance(rows=3000, noise=0.0, auxiliary_noise=0.0, nonlinearity=0.0, test_rows=2)
    train = data.rows("train")
    for name, shown, hidden in (
        ("predominant", ("C/predominant", "S/predominant"), ()),
        ("auxiliary", ("C/auxiliary",), ("S/predominant",)),
    ):
        x = data.signals[name].values[train.start : train.stop, 0].double()
        for latent in (*shown, *hidden):
            z = data.latents[latent][train.start : train.stop].double()
            left = z - x @ torch.linalg.lstsq(x, z, driver="gelsd").solution
            assert (left.var() < 1e-6) == (latent in shown)


def test_it_is_named_in_specifications_as_a_synthetic_model() -> None:
    knobs = {"rows": 40, "test_rows": 20}
    spec = Spec.of({"method": "erm", "data": {"synthetic": {"model": "imbalance", **knobs}}})
    assert (
        load_data(spec.data).checksum == synthetic(model="imbalance", **knobs).checksum == imbalance(**knobs).checksum
    )
    assert synthetic(model="shortcut", rows=40).checksum == synthetic(rows=40).checksum
    with pytest.raises(SpecError, match="no model 'imbalanced'; did you mean 'imbalance'"):
        synthetic(model="imbalanced")


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"row": 5}, "did you mean 'rows'"),
        ({"context": 1.0}, "less than 1"),
        ({"context": [0.9, 1.2]}, "less than 1"),
        ({"context": []}, "at least 1"),
        ({"context": "strong"}, "valid tuple"),
        ({"features": 3}, "cannot show 4 latents"),
        ({"content": 0.8, "shared": 0.7}, "no variance of its own"),
        ({"auxiliary": "collider", "opened": 0.8, "leak": 0.5}, "no variance of its own"),
        ({"auxiliary": "mediator"}, "'parent', 'child' or 'collider'"),
    ],
)
def test_bad_knobs_are_refused(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=f"imbalance: .*{message}"):
        imbalance(**knobs)


def test_environments_differ_in_the_context_alone() -> None:
    model = Imbalance(context=(0.9, 0.5))
    for split, sign in (("train", 1), ("test-do", 0), ("test-flip", -1)):
        found = draw(model, 100_000, split, torch.Generator().manual_seed(1))
        for number, tie in enumerate(model.context):
            u, b, d = (
                getattr(found, name)[found.environment == number].numpy()
                for name in ("confounder", "context", "content")
            )
            assert np.corrcoef(u, b)[0, 1] == pytest.approx(sign * tie, abs=0.015)
            assert b.var() == pytest.approx(1, abs=0.02)
            assert d.var() == pytest.approx(1, abs=0.02)
    data = imbalance(context=(0.9, 0.5), rows=20, test_rows=4)
    assert data.environment == ("environment",)
    assert data.metadata["environment"][:3].tolist() == ["e1", "e2", "e1"]
    assert not imbalance(rows=20, test_rows=4).environment


@pytest.mark.parametrize(("auxiliary", "said"), [("child", "best 0.691"), ("collider", "best 0.739")])
def test_the_best_interventional_accuracy_is_that_of_the_findings(auxiliary: str, said: str) -> None:
    model = Imbalance(auxiliary=auxiliary)
    sample = rows(model, "test-do", 500_000)
    right = (predicted(model, sample)["do"] > 0.5) == (sample["label"] == 1)
    assert right.mean() == pytest.approx(float(said.removeprefix("best ")), abs=4 * right.std() / 500_000**0.5)
    page = Path(__file__).parents[2] / "docs" / "findings" / "imml.md"
    assert said in " ".join(page.read_text(encoding="utf-8").split())
