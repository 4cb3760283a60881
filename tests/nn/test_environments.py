"""The noise of the virtual environments has the strength, the scale and the source that it should have."""

import pytest
import torch
from torch import nn

from deconfound.data.signal import Signal
from deconfound.data.task import Modality
from deconfound.errors import SpecError
from deconfound.nn.environments import Environments, RawNoise, noise_moments, noisy_views
from deconfound.nn.standardise import Standardise

CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_all_environments_have_growing_strengths() -> None:
    found = Environments(3, 0.2).draw(4, generator(), CPU)
    torch.testing.assert_close(found, torch.tensor([[0.2], [0.4], [0.6]]).expand(3, 4))


def test_pairs_are_distinct_and_equally_likely() -> None:
    found = Environments(4, 1.0, "pair").draw(12000, generator(), CPU)
    assert found.shape == (2, 12000)
    assert bool((found[0] != found[1]).all())
    counts = torch.bincount((found[0] * 5 + found[1]).long(), minlength=25).reshape(5, 5)[1:, 1:]
    assert counts.diagonal().sum() == 0
    off = counts[~torch.eye(4, dtype=torch.bool)].float()
    assert bool(((off - 1000).abs() < 150).all())  # five standard deviations


def test_auto_draws_all_up_to_three_environments() -> None:
    assert Environments(3, 1.0, "auto").draw(4, generator(), CPU).shape == (3, 4)
    assert Environments(4, 1.0, "auto").draw(4, generator(), CPU).shape == (2, 4)


def test_one_environment_per_row_is_any_of_them() -> None:
    found = Environments(3, 0.5, "one").draw(9000, generator(), CPU)
    assert found.shape == (1, 9000)
    values, counts = found.unique(return_counts=True)
    assert values.tolist() == [0.5, 1.0, 1.5]
    assert bool(((counts - 3000).abs() < 250).all())


@pytest.mark.parametrize("known", [True, False])
def test_views_are_the_clean_rows_then_noise_of_each_strength(known: bool) -> None:
    values = 3 * torch.randn(1, 5000, 2, generator=generator(1))
    moments = noise_moments("std" if known else "absolute", 1, 2)
    if moments is not None:
        moments.update(values, torch.ones(1, 5000, dtype=torch.bool))
    strengths = torch.tensor([[0.5], [1.0]]).expand(2, 5000)
    views = noisy_views(values, strengths, moments, generator()).unflatten(1, (3, 5000))
    assert torch.equal(views[:, 0], values)
    unit = 3.0 if known else 1.0
    for view, strength in ((1, 0.5), (2, 1.0)):
        noise = (views[:, view] - values)[0]
        torch.testing.assert_close(noise.std(0), torch.full((2,), unit * strength), rtol=0.05, atol=0)
    assert abs(torch.corrcoef((views[0, 1:] - values[0]).flatten(1))[0, 1]) < 0.05  # drawn anew for each view


def test_raw_noise_stays_off_missing_steps_and_is_in_the_units_of_the_data() -> None:
    modality = Modality("x", 3, (2,))
    scale = Standardise(modality)
    scale.set_scale(torch.zeros(2), torch.tensor([10.0, 0.1]))
    mask = torch.tensor([[True, True, False]]).expand(2000, 3)
    signal = scale(Signal(torch.randn(2000, 3, 2), mask))
    found = RawNoise({"x": modality}, "absolute")(
        {"x": signal}, torch.full((1, 2000), 0.5), generator(), nn.ModuleDict({"x": scale})
    )["x"]
    assert len(found) == 4000
    torch.testing.assert_close(found.values[:2000], signal.values)
    assert not found.values[:, 2].any()
    noise = (found.values[2000:] - signal.values)[:, :2].flatten(0, 1) * scale.std
    torch.testing.assert_close(noise.std(0), torch.full((2,), 0.5), rtol=0.05, atol=0)


def test_tokens_and_wide_covariances_are_refused() -> None:
    with pytest.raises(SpecError, match="cannot add noise to the tokens of words"):
        RawNoise({"words": Modality("words", 3, ())}, "std")
    with pytest.raises(SpecError, match="takes up to 2048 features; got 5000"):
        RawNoise({"face": Modality("face", 1, (50, 100))}, "whitened")


def structured(
    modalities: dict[str, Modality], factors: dict[str, torch.Tensor], along: tuple[float, float]
) -> RawNoise:
    noise = RawNoise(modalities, "absolute", along)
    for name, directions in noise.directed():
        directions.factor.copy_(factors[name].unsqueeze(0))
    return noise


def test_structured_raw_noise_moves_all_steps_of_a_row_together_and_leaves_padding_and_clean_rows() -> None:
    modality, rows = Modality("x", 3, (2,)), 20_000
    mask = torch.tensor([[True, True, False]]).expand(rows, 3)
    signal = Signal(torch.randn(rows, 3, 2), torch.ones(rows, 3, dtype=torch.bool)).keep(mask)
    factor = torch.tensor([[1.0, 0, 0, 0], [2, 0.5, 0, 0]])
    scales = nn.ModuleDict({"x": Standardise(modality)})
    strengths = torch.tensor([[1.0], [2.0]]).expand(2, rows)
    moved = structured({"x": modality}, {"x": factor}, (0.0, 0.5))({"x": signal}, strengths, generator(), scales)["x"]
    assert torch.equal(moved.values[:rows], signal.values)
    assert not moved.values[:, 2].any()
    noise = (moved.values[rows:] - signal.values.repeat(2, 1, 1)).unflatten(0, (2, rows))
    torch.testing.assert_close(noise[:, :, 0], noise[:, :, 1])
    for view, strength in ((0, 1.0), (1, 2.0)):
        expected = (0.5 * strength) ** 2 * factor @ factor.T
        torch.testing.assert_close(noise[view, :, 0].T.cov(), expected, rtol=0.05, atol=0.02)
    both = structured({"x": modality}, {"x": factor}, (0.3, 0.5))({"x": signal}, strengths, generator(), scales)["x"]
    steps = (both.values[rows : 2 * rows] - signal.values)[:, :2]
    torch.testing.assert_close(
        (steps[:, 0] - steps[:, 1]).T.cov(), 2 * 0.09 * torch.eye(2), rtol=0.05, atol=0.01
    )  # noise in all directions stays each step's own


def test_directions_belong_to_the_modality_of_their_name() -> None:
    """Whatever its name does in a ModuleDict, the order of the signals, and tokens among them."""
    modalities = {
        "words": Modality("words", 4, ()),
        "type": Modality("type", 1, (2,)),
        "a.b": Modality("a.b", 1, (3,)),
    }
    factors = {"type": torch.ones(2, 4), "a.b": torch.zeros(3, 4)}
    noise = structured(modalities, factors, (0.0, 1.0))
    assert [name for name, _ in noise.directed()] == ["type", "a.b"]
    signals = {
        name: Signal(torch.ones(5, m.steps, *m.shape).long() if m.kind == "tokens" else torch.randn(5, 1, *m.shape),
                     torch.ones(5, m.steps, dtype=torch.bool))
        for name, m in reversed(modalities.items())
    }  # fmt: skip
    scales = nn.ModuleDict({"type_": Standardise(modalities["type"]), "a/b": Standardise(modalities["a.b"])})
    found = noise(signals, torch.ones(1, 5), generator(), scales)
    moved = {name: not torch.equal(signal.values[:5], signal.values[5:]) for name, signal in found.items()}
    assert moved == {"a.b": False, "type": True, "words": False}
    assert found["words"].values.dtype == torch.int64
    with pytest.raises(SpecError, match="cannot add noise to the tokens of words"):
        RawNoise({"words": modalities["words"]}, "std", (0.2, 2.0))
    assert RawNoise({"type": modalities["type"]}, "std").directed() == []
