"""Planted leaks: each is refused, or leaves a trace."""

import json
from dataclasses import replace

import pytest
import torch

from deconfound.api import fit
from deconfound.data.signal import Signal
from deconfound.data.store import open_store, save
from deconfound.diagnostics.diagnose import diagnose
from deconfound.errors import DataError, StoreError
from deconfound.evaluation.scenario import Scenario
from deconfound.runs.build import leave_out
from deconfound.runs.infer_environments import infer_environments
from support.small import FAST, small_data, small_run, tiny


def test_a_speaker_in_validation_and_test_is_refused():
    speakers = ["a"] * 4 + ["b"] * 3 + ["c"] + ["c"] * 4
    metadata = {"id": list(range(12)), "speaker": speakers}
    with pytest.raises(DataError, match=r"speaker 'c' has rows in 'valid' and in 'test'; split by whole groups"):
        tiny(metadata=metadata, group=["speaker"])
    assert tiny(metadata=metadata).group == ()


def test_a_resplit_keeps_the_groups_apart():
    data = tiny(metadata={"id": list(range(12)), "room": [i // 2 for i in range(12)]}, environment=(), group=["room"])
    with pytest.raises(DataError, match="room '0' has rows in 'train' and in 'valid'"):
        data.resplit(["train", "valid", "test"] * 4)


def test_training_writes_validation_records_only_and_each_opening_of_test_rows_is_logged(tmp_path):
    run = small_run(tmp_path / "r")
    assert set(run.records()["split"]) == {"valid"}
    assert [path.name for path in (run.path / "predictions").iterdir()] == ["valid.npz"]
    assert not (run.path / "test_access.jsonl").exists()
    run.evaluate([Scenario("valid", "valid"), Scenario("test-flip", "test-flip")])
    run.evaluate([Scenario("test-flip", "test-flip")])
    run.evaluate([Scenario("zero", "test-zero")])
    openings = [json.loads(line) for line in (run.path / "test_access.jsonl").read_text().splitlines()]
    assert [opening["scenarios"] for opening in openings] == [["test-flip"], ["zero"]]


def test_a_method_that_looks_for_test_rows_finds_none(tmp_path, monkeypatch):
    from deconfound.training.learner import Learner

    held: list[tuple[int, tuple[str, ...]]] = []
    step = Learner.training_step

    def peek(self, batch, batch_idx):
        held.append((len(self.dataset), self.dataset.test_splits))
        for name in ("test-iid", "test-flip"):
            with pytest.raises(DataError, match="no split"):
                self.dataset.batch(name)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Learner, "training_step", peek)
    data = small_data()
    fit(data, "erm", out=tmp_path / "r", train=FAST, progress=False)
    assert set(held) == {(data.splits["valid"].stop, ())}


def test_leaving_an_environment_out_moves_its_development_rows_to_validation():
    data = small_data()
    again = leave_out(data, "environment=e2")
    environment = again.columns["environment"].values
    assert set(environment[again.splits["valid"].start : again.splits["valid"].stop]) == {"e2"}
    assert "e2" not in set(environment[: again.splits["train"].stop])
    assert again.splits["valid"].stop == data.splits["valid"].stop
    for name in data.test_splits:
        assert again.splits[name] == data.splits[name]
        assert torch.equal(again.batch(name).target, data.batch(name).target)
    with pytest.raises(DataError, match="has no environment 'environment=e9'"):
        leave_out(data, "environment=e9")


@pytest.mark.parametrize(
    "splits",
    [
        {"test": range(4), "train": range(4, 8), "valid": range(8, 12)},
        {"train": range(4), "test": range(4, 8), "valid": range(8, 12)},
        {"valid": range(4), "test": range(4, 8), "train": range(8, 12)},
        {"valid": range(4), "train": range(4, 8), "test": range(8, 12)},
    ],
)
def test_no_order_of_the_rows_gives_a_test_row_to_training(splits):
    data = replace(tiny(), splits=splits)
    poison = torch.zeros(12, dtype=torch.bool)
    poison[list(splits["test"])] = True
    signals = {"audio": Signal(poison[:, None, None].float().expand(12, 1, 4), torch.ones(12, 1, dtype=torch.bool))}
    data = replace(data, signals=signals, target=poison.float())
    held = data.development()
    assert len(held) == 8
    assert held.test_splits == ()
    assert float(held.target.sum()) == 0
    for split in ("train", "valid"):
        whole, part = data.batch(split), held.batch(split)
        assert float(part.signals["audio"].values.sum()) == 0
        ids = [dataset.metadata["id"][list(dataset.splits[split])].tolist() for dataset in (data, held)]
        assert ids[0] == ids[1]
        assert torch.equal(whole.env, part.env)
    out = leave_out(data, "speaker=a")
    assert float(out.development().target.sum()) == 0
    assert set(out.metadata["speaker"][list(out.splits["valid"])]) == {"a"}


@pytest.mark.parametrize(
    "splits",
    [
        {"train": range(0, 12, 3), "valid": range(1, 12, 3), "test": range(2, 12, 3)},
        {"train": range(8), "valid": range(4, 8), "test": range(8, 12)},
        {"train": range(4), "valid": range(4, 13)},
        {"train": range(-4, 4), "valid": range(4, 8)},
    ],
)
def test_a_row_of_two_splits_is_refused(splits):
    with pytest.raises(DataError, match="row"):
        replace(tiny(), splits=splits)


def test_a_byte_that_changed_after_training_ends_every_use_of_the_store(tmp_path):
    path = save(small_data(), tmp_path / "data")
    run = small_run(tmp_path / "r", data={"store": str(path)})
    content = bytearray((path / "data.safetensors").read_bytes())
    content[-3] ^= 4
    (path / "data.safetensors").write_bytes(content)
    for use in (
        run.evaluate,
        run.dataset,
        lambda: run.evaluate(dataset=open_store(path)),
        lambda: small_run(tmp_path / "again", data={"store": str(path)}),
        lambda: fit(open_store(path), "erm", out=tmp_path / "fitted", train=FAST, progress=False),
        lambda: diagnose(run.path),
        lambda: infer_environments(run.path),
    ):
        with pytest.raises(StoreError, match="differs from the one written"):
            use()
    assert not (tmp_path / "again").exists()
    assert not (tmp_path / "fitted").exists()
