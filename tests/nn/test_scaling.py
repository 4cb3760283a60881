"""Scales are learnt from the training rows, per modality and per group, and travel with the weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm, rankdata
from sklearn.preprocessing import StandardScaler

from deconfound.data.dataset import Dataset
from deconfound.data.scales import SCALES
from deconfound.data.signal import Signal
from deconfound.errors import DataError, SpecError
from deconfound.nn.backbone import Backbone
from deconfound.nn.standardise import FLOOR, training_scale
from support.small import tiny


def backbone_for(data: Dataset, scale: object = "standard") -> Backbone:
    backbone = Backbone.build(data.modalities, data.task, hidden=8, scale=scale)  # type: ignore[arg-type]
    backbone.fit_scales(data.development())
    return backbone


@pytest.mark.parametrize("scale", SCALES)
def test_existing_steps_of_training_rows_are_scaled_and_others_are_0(scale: str) -> None:
    data = tiny(60)
    signal, train = data.batch("train").signals["text"], data.batch("train")
    scaled = backbone_for(data, scale).standardise(train)["text"]
    steps = signal.values[signal.mask].double().numpy()
    rank = (rankdata(steps, axis=0) - 1) / (len(steps) - 1)
    low, middle, high = np.quantile(steps, [0.25, 0.5, 0.75], axis=0)
    expected = {
        "standard": StandardScaler().fit_transform(steps),
        "robust": (steps - middle) / (high - low) * (norm.ppf(0.75) - norm.ppf(0.25)),
        "rank-gauss": norm.ppf(np.clip(rank, 0.5 / len(steps), 1 - 0.5 / len(steps))),
        "none": steps,
    }[scale]
    np.testing.assert_allclose(scaled.values[signal.mask].numpy(), expected, atol=1e-4)
    assert not scaled.values[~signal.mask].any()


@pytest.mark.parametrize("scale", SCALES)
def test_other_rows_than_those_of_train_have_no_say(scale: str) -> None:
    data = tiny(60)
    train = data.rows("train").stop
    loud = {
        name: Signal(torch.cat([s.values[:train], 100 * s.values[train:]]), s.mask) for name, s in data.signals.items()
    }
    first, second = (backbone_for(rows, scale) for rows in (data, replace(data, signals=loud)))
    assert all(torch.equal(v, second.scales.state_dict()[n]) for n, v in first.scales.state_dict().items())


def test_each_modality_has_its_own_scale_and_unknown_ones_are_refused() -> None:
    data = tiny(60)
    scaled = backbone_for(data, {"audio": "none"}).standardise(data.batch("train"))
    assert torch.equal(scaled["audio"].values, data.batch("train").signals["audio"].values)
    assert not torch.equal(scaled["text"].values, data.batch("train").signals["text"].values)
    with pytest.raises(SpecError, match="scale: there is no modality 'adio'; did you mean 'audio'"):
        backbone_for(data, {"adio": "none"})
    with pytest.raises(SpecError, match="scale of 'text': there is no 'rank-gaus'; did you mean 'rank-gauss'"):
        backbone_for(data, "rank-gaus")


def test_a_group_is_scaled_by_its_own_rows_as_far_as_it_has_many() -> None:
    data = replace(tiny(120), scale_by=("speaker",))
    batch = data.batch("test")
    scaled = backbone_for(data).standardise(batch)["audio"].values[:, 0].double().numpy()
    train = data.batch("train").signals["audio"].values[:, 0].double().numpy()
    own = batch.signals["audio"].values[:, 0].double().numpy()
    for parity in (0, 1):
        rows = own[parity::2]
        share = len(rows) / (len(rows) + FLOOR)
        mean = share * rows.mean(0) + (1 - share) * train.mean(0)
        var = share * rows.var(0) + (1 - share) * train.var(0)
        np.testing.assert_allclose(scaled[parity::2], (rows - mean) / np.sqrt(var), atol=1e-4)


def test_offset_and_unit_of_a_large_group_vanish_at_train_and_test_alike() -> None:
    data = tiny(4000)
    other = torch.arange(4000) % 2 == 1  # speaker b
    moved = {
        name: Signal(torch.where(other[:, None, None], 5 + 3 * s.values, s.values), s.mask).keep(s.mask)
        for name, s in data.signals.items()
    }
    plain, apart = (replace(d, scale_by=("speaker",)) for d in (data, replace(data, signals=moved)))
    for split in ("train", "test"):
        first = backbone_for(plain).standardise(plain.batch(split))["audio"].values
        second = backbone_for(apart).standardise(apart.batch(split))["audio"].values
        assert float((first - second).abs().mean()) < 0.05
    bare = replace(apart, scale_by=())
    without = backbone_for(bare).standardise(bare.batch("test"))["audio"].values
    assert float((without[::2].mean() - without[1::2].mean()).abs()) > 1


def test_batches_keep_the_moments_through_selection_corruption_and_devices() -> None:
    data = replace(tiny(60), scale_by=("speaker",))
    backbone, batch = backbone_for(data), data.batch("test")
    order = torch.tensor([3, 0, 7])
    whole = backbone.standardise(batch)["audio"].values
    assert torch.equal(backbone.standardise(batch.select(order).to("cpu"))["audio"].values, whole[order])
    chosen = torch.arange(data.rows("test").start, data.rows("test").stop)[order]
    assert torch.equal(backbone.standardise(data.batch(chosen))["audio"].values, whole[order])
    noisy = batch.with_signals({"audio": Signal(batch.signals["audio"].values + 1, batch.signals["audio"].mask)})
    gap = backbone.standardise(noisy)["audio"].values - whole
    own = batch.own["audio"]
    share = (own.rows / (own.rows + FLOOR))[:, None]
    std = training_scale(data)["audio"][1]
    torch.testing.assert_close(gap[:, 0], 1 / (share * own.var + (1 - share) * std**2).sqrt(), rtol=1e-3, atol=1e-4)


def test_rows_without_a_group_and_constant_features_are_scaled_by_train() -> None:
    data = tiny(60)
    speakers = ["", "b"] * 30
    holes = tiny(60, metadata={"id": [f"r{i}" for i in range(60)], "speaker": speakers}, environment=())
    holes = replace(holes, scale_by=("speaker",))
    batch = holes.batch("test")
    scaled, plain = backbone_for(holes).standardise(batch), backbone_for(data).standardise(data.batch("test"))
    assert torch.equal(scaled["audio"].values[::2], plain["audio"].values[::2])
    assert not torch.equal(scaled["audio"].values[1::2], plain["audio"].values[1::2])
    flat = {name: Signal(torch.ones_like(s.values), s.mask).keep(s.mask) for name, s in data.signals.items()}
    constant = replace(data, signals=flat, scale_by=("speaker",))
    assert not backbone_for(constant).standardise(constant.batch("test"))["audio"].values.any()


def test_the_column_has_to_exist() -> None:
    with pytest.raises(DataError, match="tiny has no metadata column 'speeker'; did you mean 'speaker'"):
        replace(tiny(), scale_by=("speeker",))
