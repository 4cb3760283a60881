"""Planted leaks: each is refused, or leaves a trace."""

import json

import pytest
import torch

from deconfound.api import fit
from deconfound.errors import DataError
from deconfound.evaluation.scenario import Scenario
from deconfound.runs.build import leave_out
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
