from __future__ import annotations

import pytest
import torch

from deconfound.corruptions.gaussian import Gaussian
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch, Signal
from deconfound.errors import SpecError
from support.toy import rows


def seed(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def every(dataset: Dataset) -> Batch:
    return dataset.batch(torch.arange(len(dataset)))


def test_noise_has_each_features_training_scale() -> None:
    dataset = rows(20_000)
    batch = every(dataset)
    corrupted = Gaussian().fitted(dataset)(batch, 0.5, seed())
    train = dataset.batch("train")
    for name in ("text", "audio"):
        there = batch.signals[name].mask
        noise = (corrupted.signals[name].values - batch.signals[name].values)[there]
        scale = train.signals[name].values[train.signals[name].mask].std(dim=0, correction=0)
        torch.testing.assert_close(noise.std(dim=0), 0.5 * scale, rtol=0.03, atol=0)
        torch.testing.assert_close(noise.mean(dim=0), torch.zeros_like(scale), rtol=0, atol=0.1)


def test_severity_multiplies_one_draw() -> None:
    dataset = rows()
    batch, noise = every(dataset), Gaussian().fitted(dataset)
    one, two = (noise(batch, severity, seed()).signals["audio"].values for severity in (1.0, 2.0))
    clean = batch.signals["audio"].values
    torch.testing.assert_close(two - clean, 2 * (one - clean), rtol=1e-4, atol=1e-5)


def test_the_corruption_of_a_modality_does_not_depend_on_the_others() -> None:
    dataset = rows()
    both, alone = every(dataset), every(dataset.only("audio"))
    expected = Gaussian().fitted(dataset)(both, 1.0, seed()).signals["audio"].values
    given = Gaussian().fitted(dataset.only("audio"))(alone, 1.0, seed()).signals["audio"].values
    assert torch.equal(given, expected)


def test_only_named_modalities_are_damaged() -> None:
    dataset = rows()
    corrupted = Gaussian(modalities=["audio"]).fitted(dataset)(every(dataset), 1.0, seed())
    assert torch.equal(corrupted.signals["text"].values, dataset.signals["text"].values)
    assert not torch.equal(corrupted.signals["audio"].values, dataset.signals["audio"].values)


def test_wrong_use_is_refused_in_one_line() -> None:
    dataset = rows()
    batch = every(dataset)
    with pytest.raises(SpecError, match=r"call fitted\(dataset\) first"):
        Gaussian()(batch, 1.0, seed())
    with pytest.raises(SpecError, match="no modality 'txt' to corrupt; did you mean 'text'"):
        Gaussian(modalities=["txt"]).fitted(dataset)(batch, 1.0, seed())
    with pytest.raises(SpecError, match="the severity must be a number from 0; got -1"):
        Gaussian().fitted(dataset)(batch, -1.0, seed())
    words = Signal(torch.ones(len(batch), 2, dtype=torch.int64), torch.ones(len(batch), 2, dtype=torch.bool))
    with pytest.raises(SpecError, match="'words' holds tokens"):
        Gaussian(modalities=["words"]).fitted(dataset)(batch.with_signals({"words": words}), 1.0, seed())


def test_repr_shows_every_argument() -> None:
    assert repr(Gaussian(modalities=["text"])) == "Gaussian(modalities=['text'])"
