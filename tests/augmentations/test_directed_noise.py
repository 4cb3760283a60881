"""Noise along what moves with the environment: the directions and strengths of a planted one."""

from pathlib import Path

import pytest
import torch

import deconfound as dc
from deconfound.augmentations.directed_noise import DirectedNoise
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.task import Task
from deconfound.errors import DataError
from deconfound.nn.backbone import Backbone
from deconfound.nn.standardise import training_scale
from support.small import FAST


def planted(rows: int = 900, environments: int = 3) -> Dataset:
    """A cause, and a shortcut in the last feature whose slope on the label differs between environments."""
    draw = torch.Generator().manual_seed(0)
    env = torch.arange(rows) % environments
    cause = torch.randn(rows, generator=draw)
    label = cause + 0.5 * torch.randn(rows, generator=draw)
    slope = torch.linspace(2.0, -1.0, environments)[env] if environments > 1 else torch.full((rows,), 2.0)
    shortcut = slope * label + 0.3 * torch.randn(rows, generator=draw)
    noise = torch.randn(rows, generator=draw)
    values = torch.stack([10 * cause, noise, shortcut], 1).unsqueeze(1)
    whole = Signal(values, torch.ones(rows, 1, dtype=torch.bool))
    other = Signal(torch.randn(rows, 1, 2, generator=draw), torch.ones(rows, 1, dtype=torch.bool))
    metadata = {"id": [str(row) for row in range(rows)], "place": [str(int(e)) for e in env]}
    split = [["train", "train", "valid"][row // 3 % 3] for row in range(rows)]
    return Dataset.build(
        "planted", Task.regression(), {"x": whole, "other": other}, label, metadata, split, environment=("place",)
    )


def learned(data: Dataset, **arguments) -> tuple[DirectedNoise, Backbone]:
    backbone = Backbone.build(data.modalities, data.task, hidden=4)
    backbone.set_scale(training_scale(data))
    augmentation = DirectedNoise(**arguments)
    augmentation.prepare(backbone)
    augmentation.check_rows(data)
    augmentation.learn(0, data, backbone, torch.Generator().manual_seed(0))
    return augmentation, backbone


def gaps(augmentation: DirectedNoise, backbone: Backbone, data: Dataset, repeats: int = 30) -> torch.Tensor:
    """(R, 3) noise of "x" in standard deviations of the training rows."""
    batch, spread = data.batch("train"), training_scale(data)["x"][1]
    made = [augmentation(batch, backbone, torch.Generator().manual_seed(seed))[0][1] for seed in range(repeats)]
    return torch.cat([(m.signals["x"].values - batch.signals["x"].values)[:, 0] / spread for m in made])


def test_the_noise_is_strong_along_the_shortcut_and_weak_elsewhere() -> None:
    data = planted()
    augmentation, backbone = learned(data, strength=0.1, directed_strength=4.0, environments=1)
    deviation = gaps(augmentation, backbone, data).std(0)
    assert deviation[2] == pytest.approx(4.0, rel=0.05)
    assert deviation[0] < 0.6
    assert deviation[1] == pytest.approx(0.1, rel=0.5)
    assert augmentation.summary_lines() == ("directions that move with the environment at a fixed label: x 1, other 0",)


def test_the_factor_is_one_of_the_environments_and_rows_may_stay_clean() -> None:
    data = planted()
    augmentation, backbone = learned(data, strength=1.0, directed_strength=0.0, environments=3, clean=0.4)
    noise = gaps(augmentation, backbone, data)
    still = (noise == 0).all(1)
    assert float(still.float().mean()) == pytest.approx(0.4, abs=0.02)
    assert float(noise[~still].square().mean()) == pytest.approx((1 + 4 + 9) / 3, rel=0.05)


def test_nothing_new_is_learned_after_the_first_epoch() -> None:
    data = planted()
    augmentation, backbone = learned(data)
    before = {name: value.clone() for name, value in augmentation.state_dict().items()}
    augmentation.learn(1, data, backbone, torch.Generator().manual_seed(9))
    assert all(torch.equal(value, before[name]) for name, value in augmentation.state_dict().items())


def test_one_environment_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    method = {"name": "erm", "augmentations": {"directed-noise": {}}}
    with pytest.raises(DataError, match="the training rows of planted are of one environment"):
        dc.fit(planted(environments=1), method, out=tmp_path / "r", train=FAST)
    assert list(tmp_path.iterdir()) == []


def test_a_run_says_what_it_found_and_keeps_it(tmp_path: Path) -> None:
    method = {"name": "erm", "augmentations": {"directed-noise": {}}}
    run = dc.fit(planted(180), method, out=tmp_path / "r", backbone={"hidden": 4}, train=FAST)
    assert run.done is not None
    assert any("directions that move with the environment" in note for note in run.done["notes"])
    assert any("learned.0.directions.x.factor" in name for name in run.method().state_dict())
