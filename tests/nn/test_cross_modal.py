"""Which pairs of modalities are aligned, by what measurement, and what is told of it."""

from typing import Any

import pytest
import torch

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.datasets.synthetic import synthetic
from deconfound.nn.backbone import Backbone
from deconfound.nn.cross_modal import CrossModal
from deconfound.nn.standardise import training_scale
from deconfound.objectives.alignment import instance_alignment


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def world(**hyperparameters: Any) -> Dataset:
    return synthetic(
        **{"rows": 200, "modalities": 2, "features": 4, "nonlinearity": 0.3, **hyperparameters}
    ).development()


def measured(data: Dataset, needed: float = 0.5) -> CrossModal:
    backbone = Backbone.build(data.modalities, data.task, hidden=4)
    backbone.set_scale(training_scale(data))
    found = CrossModal(list(data.signals), 0.2, needed)
    found.measure(backbone, data, generator())
    return found


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_shared_causes_are_seen_and_private_ones_are_not(task: str) -> None:
    shared = measured(world(shared=0.95, spurious_modalities=1, task=task))
    private = measured(world(shared=0.0, task=task))
    assert shared.correlation.item() > 0.6
    assert shared.aligned == [(0, 1)]
    assert abs(private.correlation.item()) < 0.4
    assert private.aligned == []


def test_the_notes_tell_what_was_measured_and_decided() -> None:
    data = world(shared=0.95, spurious_modalities=1)
    assert CrossModal(["m1", "m2"], 0.2, 0.5).summary_lines() == ()
    (note,) = measured(data).summary_lines()
    assert "m1-m2 0." in note
    assert "pairs from 0.5 are aligned" in note
    (note,) = measured(data, needed=1.0).summary_lines()
    assert "none reaches 1, so nothing is aligned and the method is plain cmir" in note


def test_it_is_the_mean_over_the_aligned_pairs_of_rows_that_have_both() -> None:
    found = CrossModal(["a", "b", "c"], 0.3, 0.5)
    parts, present = torch.randn(3, 8, 4, generator=generator()), torch.rand(3, 8, generator=generator(1)) < 0.8
    assert found(parts, present).item() == 0
    found.correlation.copy_(torch.tensor([0.9, 0.1, 0.5]))  # a-b, a-c, b-c
    found.measured.fill_(True)
    assert found.aligned == [(0, 1), (1, 2)]
    each = [instance_alignment(parts[i], parts[j], present[i] & present[j], 0.3) for i, j in ((0, 1), (1, 2))]
    torch.testing.assert_close(found(parts, present), torch.stack(each).mean())


def test_the_decision_is_part_of_the_state() -> None:
    first, second = CrossModal(["a", "b"], 0.2, 0.5), CrossModal(["a", "b"], 0.2, 0.5)
    first.correlation.fill_(0.7)
    first.measured.fill_(True)
    second.load_state_dict(first.state_dict())
    assert second.aligned == [(0, 1)]
    assert second.summary_lines() == first.summary_lines()


def test_tokens_and_modalities_that_never_meet_are_not_aligned() -> None:
    data = world(shared=0.95)
    never = torch.arange(len(data)).unsqueeze(1) % 2 == 0
    signals = {"m1": data.signals["m1"].keep(never), "m2": data.signals["m2"].keep(~never)}
    apart = Dataset.build(
        "apart", data.task, signals, data.target, data.columns, data.metadata["split"].to_numpy()
    )  # fmt: skip
    never_met = measured(apart)
    assert never_met.aligned == []
    assert "m1-m2 not measurable; none reaches 0.5" in never_met.summary_lines()[0]
    words = Signal(torch.ones(len(data), 2, dtype=torch.int64), torch.ones(len(data), 2, dtype=torch.bool))
    both = {"m1": data.signals["m1"], "words": words}
    told = Dataset.build("told", data.task, both, data.target, data.columns, data.metadata["split"].to_numpy())
    found = CrossModal(["m1", "words"], 0.2, 0.5)
    found.measure(Backbone.build(told.modalities, told.task, hidden=4, encoders={"words": Words()}), told, generator())
    assert found.aligned == []
    assert "m1-words not measurable" in found.summary_lines()[0]
    assert measured(apart, needed=-1.0).aligned == [(0, 1)]  # asked for, whatever the data say
    assert CrossModal(["m1", "words"], 0.2, -1.0).aligned == []  # not yet measured


class Words(torch.nn.Module):
    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return (values * mask).float()
