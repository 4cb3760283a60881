import pytest
import torch

from deconfound.augmentations.noise import Noise
from deconfound.data.signal import Batch, Signal
from deconfound.data.task import Modality, Task
from deconfound.nn.backbone import Backbone
from deconfound.nn.standardise import training_scale
from support.toy import rows


def test_the_noise_is_a_share_of_the_spread_of_the_training_rows() -> None:
    data = rows(4000)
    backbone = Backbone.build(data.modalities, data.task, hidden=2)
    backbone.set_scale(training_scale(data))
    batch = data.batch("train")
    ((weight, noisy),) = Noise(strength=0.5, clean=0.25)(batch, backbone, torch.Generator().manual_seed(0))
    assert weight == 1
    moved = torch.stack([(noisy.signals[n].values != batch.signals[n].values).flatten(1).any(1) for n in batch.signals])
    assert float(moved[1].float().mean()) == pytest.approx(0.75, abs=0.05)
    assert torch.equal(moved[0], moved[1]), "a row is noisy in all its modalities or in none"
    for name, signal in batch.signals.items():
        gap = (noisy.signals[name].values - signal.values)[signal.mask & moved[0].unsqueeze(1)]
        spread = training_scale(data)[name][1]
        torch.testing.assert_close(gap.std(0), 0.5 * spread, rtol=0.08, atol=0)
        torch.testing.assert_close(gap.mean(0), torch.zeros_like(spread), atol=0.06 * float(spread.max()), rtol=0)


def test_tokens_stay_and_no_strength_is_no_change() -> None:
    here = torch.ones(6, 1, dtype=torch.bool)
    signals = {"words": Signal(torch.arange(6).unsqueeze(1), here), "x": Signal(torch.ones(6, 1, 2), here)}
    batch = Batch(signals, torch.zeros(6), torch.arange(6), torch.zeros(6, dtype=torch.int64))
    encoder = torch.nn.Embedding(6, 2)
    words = torch.nn.Sequential(encoder)
    words.forward = lambda values, mask: encoder(values[:, 0])  # type: ignore[method-assign]
    forms = {"words": Modality("words", 1, ()), "x": Modality("x", 1, (2,))}
    backbone = Backbone.build(forms, Task.regression(), encoders={"words": words}, hidden=2)
    ((_, noisy),) = Noise(clean=0.0)(batch, backbone, torch.Generator().manual_seed(0))
    assert torch.equal(noisy.signals["words"].values, signals["words"].values)
    assert not torch.equal(noisy.signals["x"].values, signals["x"].values)
    ((_, same),) = Noise(strength=0.0)(batch, backbone, torch.Generator().manual_seed(0))
    assert torch.equal(same.signals["x"].values, signals["x"].values)
