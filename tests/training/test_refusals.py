"""What training refuses, in one line and before anything is written."""

import pytest
import torch

from deconfound.api import fit
from deconfound.data.task import Task
from deconfound.errors import DataError, RunError, SpecError
from deconfound.training.train import train_run
from support.small import FAST, small_run, small_spec, tiny


def test_another_specification_or_other_data_are_refused(tmp_path):
    small_run(tmp_path / "r")
    with pytest.raises(RunError, match=r"another specification \(train.epochs is 3 here and 4 there\)"):
        small_run(tmp_path / "r", train={**FAST, "epochs": 4})
    fit(tiny(), "erm", out=tmp_path / "own", train=FAST, progress=False)
    with pytest.raises(RunError, match="begun on other data"):
        fit(tiny(n=24), "erm", out=tmp_path / "own", train=FAST, progress=False)


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RunError, match=r"it holds 'thesis\.tex'"):
        small_run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_run_is_written_by_one_process_at_a_time(tmp_path):
    from deconfound.io.lock import exclusive_lock

    with exclusive_lock(tmp_path), pytest.raises(RunError, match="another process"), exclusive_lock(tmp_path):
        pass


class Overflowing(torch.nn.Module):
    """(B, 1, 4) values → (B, 2) features that no float holds once they are squared."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)

    def forward(self, values, mask):
        return 1e38 * self.layer(values[:, 0]) * mask


def test_an_infinite_loss_stops_with_advice(tmp_path):
    with pytest.raises(RunError, match=r"lower train\.learning_rate"):
        fit(tiny(), "erm", out=tmp_path / "r", train=FAST, encoders={"audio": Overflowing()}, progress=False)


def test_missing_splits_and_data_are_told(tmp_path):
    with pytest.raises(DataError, match="no split 'valid'"):
        fit(tiny(splits=("train", "test")), "erm", out=tmp_path / "r", progress=False)
    with pytest.raises(SpecError, match="data is missing"):
        small_run(tmp_path / "q", data={})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": {"hidden": 8, "encoders": {"m1": "cnn"}}}, "the encoder 'cnn' needs"),
        ({"backbone": {"hidden": 8, "encoders": {"m9": "mlp"}}}, "there is no modality 'm9'"),
        ({"train": {**FAST, "precision": "16-mixed"}}, "precision = '16-mixed' is not available here"),
        ({"train": {**FAST, "devices": 5}}, r"train\.devices = 5, nodes = 1: 64 training rows in batches of 16"),
    ],
)
def test_a_mistake_leaves_no_folder_bound_to_it(tmp_path, changes, message):
    with pytest.raises(SpecError, match=message):
        small_run(tmp_path / "r", **changes)
    assert list(tmp_path.iterdir()) == []


def test_a_protocol_that_does_not_fit_is_told_before_training(tmp_path):
    odd = tiny(task=Task.regression(protocol="classification"))
    with pytest.raises(DataError, match="judges classification, the task is regression"):
        fit(odd, "erm", out=tmp_path / "r", train=FAST, progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device that is asked for")
def test_a_device_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SpecError, match=r"train\.accelerator = 'gpu'.*is not available here"):
        small_run(tmp_path / "r", train={**FAST, "accelerator": "gpu"})
    assert list(tmp_path.iterdir()) == []


def test_a_seed_replaced_in_a_copy_is_checked(tmp_path):
    with pytest.raises(SpecError, match=r"^seed = 2147483648"):
        train_run(small_spec().model_copy(update={"seed": 2**31}), tmp_path / "r", progress=False)
    assert list(tmp_path.iterdir()) == []
