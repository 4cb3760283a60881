"""The scale of the training rows against NumPy, and what standardising does with constants and masks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from deconfound.data.signal import Signal
from deconfound.data.task import Modality
from deconfound.errors import DataError
from deconfound.nn import standardise
from deconfound.nn.standardise import Standardise, scale_shape, training_scale
from support.small import tiny


def with_signal(values: torch.Tensor, mask: torch.Tensor):
    dataset = tiny(len(values))
    return replace(dataset, signals={"x": Signal(values, torch.ones_like(mask)).keep(mask)})


@pytest.mark.parametrize("chunk", [1, 40, 1 << 22])
def test_equals_numpy_over_present_training_steps(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standardise, "_CHUNK", chunk)
    values, mask = 1e4 + torch.randn(12, 5, 3), torch.rand(12, 5) < 0.6
    dataset = with_signal(values, mask)
    rows = dataset.rows("train")
    mean, std = training_scale(dataset)["x"]
    kept = values[rows.start : rows.stop][mask[rows.start : rows.stop]].double().numpy()
    np.testing.assert_allclose(mean.numpy(), kept.mean(0), rtol=1e-6)
    np.testing.assert_allclose(std.numpy(), kept.std(0), rtol=1e-5)


@pytest.mark.parametrize(("shape", "axes"), [((4, 3), (0, 1, 2)), ((2, 4, 3), (0, 2, 3))])
def test_images_have_one_scale_per_channel(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    values, mask = torch.randn(12, 1, *shape), torch.ones(12, 1, dtype=torch.bool)
    dataset = with_signal(values, mask)
    mean, std = training_scale(dataset)["x"]
    kept = values[: dataset.rows("train").stop, 0].double().numpy()
    assert mean.shape == std.shape == scale_shape(Modality("x", 1, shape))
    np.testing.assert_allclose(mean.flatten().numpy(), kept.mean(axes).reshape(-1), atol=1e-6)
    np.testing.assert_allclose(std.flatten().numpy(), kept.std(axes).reshape(-1), rtol=1e-5)


def test_tokens_have_no_scale_and_a_modality_without_training_rows_keeps_its_own() -> None:
    dataset = tiny()
    mask = torch.ones(12, 2, dtype=torch.bool)
    gone = mask.clone()
    gone[: dataset.rows("train").stop] = False
    signals = {
        "words": Signal(torch.ones(12, 2, dtype=torch.int64), mask),
        "late": Signal(torch.randn(12, 2, 3), mask).keep(gone),
    }
    scale = training_scale(replace(dataset, signals=signals))
    assert list(scale) == ["late"]
    assert torch.equal(scale["late"][0], torch.zeros(3))
    assert torch.equal(scale["late"][1], torch.ones(3))


def test_constant_features_become_zero_and_masked_steps_stay_zero() -> None:
    layer = Standardise(Modality("x", 3, (2,)))
    layer.set_scale(torch.tensor([1e4, 5.0]), torch.tensor([1e-4, 2.0]))
    mask = torch.tensor([[True, True, False]])
    values = torch.tensor([[[1e4, 7.0], [1e4 + 1, 3.0], [torch.nan, 1e30]]])
    found = layer(Signal(values, mask))
    assert found.values.tolist() == [[[0, 1], [1, -1], [0, 0]]]
    assert torch.equal(found.mask, mask)


def test_the_scale_is_part_of_the_state() -> None:
    layer, other = Standardise(Modality("x", 1, (2,))), Standardise(Modality("x", 1, (2,)))
    layer.set_scale(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    other.load_state_dict(layer.state_dict())
    assert other.std.tolist() == [3, 4]


def test_a_scale_of_another_form_is_refused() -> None:
    layer = Standardise(Modality("x", 1, (2,)))
    with pytest.raises(DataError, match=r"the scale of x vector 1×2 has shape \(2,\)"):
        layer.set_scale(torch.zeros(3), torch.ones(3))
    with pytest.raises(DataError, match="finite"):
        layer.set_scale(torch.zeros(2), torch.tensor([1.0, torch.nan]))
