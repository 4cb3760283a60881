"""What is seen of the training rows, what is told of it, and which data are refused."""

import pytest
import torch

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.task import Task
from deconfound.errors import DataError
from deconfound.nn.backbone import Backbone
from deconfound.nn.collect_features import (
    MOST_ROWS,
    check_environments,
    collect_features,
    directions_note,
    label_bins,
    training_rows,
)
from support.small import tiny
from support.toy import rows


def backbone(data: Dataset, **choices: object) -> Backbone:
    torch.manual_seed(0)
    return Backbone.build(data.modalities, data.task, hidden=4, dropout=0.5, **choices)  # type: ignore[arg-type]


def test_it_is_what_the_encoders_make_of_the_training_rows_in_eval_mode() -> None:
    data = rows(40).development()
    model = backbone(data).train()
    model.head.eval()
    modes = {name: part.training for name, part in model.named_modules()}
    state = torch.get_rng_state()
    seen = collect_features(model, data)
    assert {name: part.training for name, part in model.named_modules()} == modes
    assert torch.equal(state, torch.get_rng_state())
    batch = data.batch("train")
    with torch.no_grad():
        expected = model.eval().encode(batch)
    for name, values in expected.items():
        torch.testing.assert_close(seen.features[name], values)
        assert torch.equal(seen.present[name], batch.present[name])
    assert torch.equal(seen.target, batch.target)
    assert torch.equal(seen.env, batch.env)


def test_inputs_are_the_mean_of_the_steps_that_exist() -> None:
    words = Signal(torch.randint(9, (12, 3)), torch.ones(12, 3, dtype=torch.bool))
    data = tiny(signals={**tiny().signals, "words": words})
    model = Backbone.build(data.only("text", "audio").modalities, data.task, hidden=4)
    model.set_scale({"text": (torch.tensor([1.0, 2.0]), torch.tensor([2.0, 0.5]))})
    seen = collect_features(model, data.only("text", "audio"), of="inputs")
    signal = data.batch("train").signals["text"]
    for row, mask in enumerate(signal.mask):
        steps = (signal.values[row][mask] - torch.tensor([1.0, 2.0])) / torch.tensor([2.0, 0.5])
        expected = steps.mean(0) if len(steps) else torch.zeros(2)
        torch.testing.assert_close(seen.features["text"][row], expected)
    assert not seen.present["text"][0]


def test_many_rows_are_sampled_evenly() -> None:
    data = rows(40).development()
    assert training_rows(data).tolist() == list(data.rows("train"))
    some = training_rows(data, 4)
    assert some.tolist() == [0, 3, 6, 9]
    assert MOST_ROWS >= 1000


def test_bins_are_classes_or_quarters() -> None:
    classes = torch.tensor([2, 0, 1])
    assert torch.equal(label_bins(Task.classification(("a", "b", "c")), classes), classes)
    y = torch.randn(400, generator=torch.Generator().manual_seed(0))
    bins = label_bins(Task.regression(), y)
    assert torch.bincount(bins).tolist() == [100] * 4
    assert bool((y[bins == 0].max() < y[bins == 1].min()).item())
    other = torch.tensor([-9.0, 9.0])
    assert label_bins(Task.regression(), other, among=y).tolist() == [0, 3]


def test_the_note_tells_whether_anything_moves() -> None:
    assert "no direction moves with the environment beyond chance (a 0, b 0)" in directions_note({"a": 0, "b": 0})
    assert directions_note({"a": 0, "b": 2}).endswith("fixed label: a 0, b 2")


@pytest.mark.parametrize("task", [Task.regression(), Task.classification(("a", "b"))])
def test_one_environment_and_too_few_rows_are_refused_in_one_line(task: Task) -> None:
    check_environments(rows(160, task).development())
    with pytest.raises(DataError, match="are of one environment; name columns") as one:
        check_environments(rows(160, task, environment=()).development())
    ids = {"id": [f"r{i}" for i in range(160)], "speaker": [f"s{i // 2}" for i in range(160)]}
    with pytest.raises(DataError, match="no label of toys has 3 training rows in two environments") as few:
        check_environments(rows(160, task, metadata=ids).development())
    assert all("\n" not in str(error.value) for error in (one, few))


def test_a_label_in_one_environment_each_is_refused() -> None:
    """Many rows of each environment, but no label that two of them have."""
    task, half = Task.classification(("a", "b")), [i % 2 for i in range(160)]
    ids = {"id": [f"r{i}" for i in range(160)], "speaker": [f"s{k}" for k in half]}
    data = rows(160, task, metadata=ids, target=torch.tensor(half))
    with pytest.raises(DataError, match="cannot be compared; name coarser columns"):
        check_environments(data.development())
