"""Folds in a sweep: one declaration, a dataset per fold, and test rows that neither training nor selection can reach."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import deconfound as dc
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.store import open_store, save
from deconfound.errors import DataError, SpecError
from deconfound.evaluation.predictions import load_predictions
from deconfound.evaluation.records import read_records
from deconfound.results.collect_runs import RunFilter, collect_runs
from deconfound.runs.run import Run
from deconfound.sweeps.jobs import read_selection
from deconfound.sweeps.plan import make_plan, read_plan
from deconfound.sweeps.spec import SweepSpec
from deconfound.sweeps.sweep import run_sweep
from deconfound.training.learner import Learner
from support.sweeping import results

SPEAKERS = ("a", "b", "c", "d")
BY_SPEAKER = {"kind": "leave-one-group-out", "group": "speaker", "test_iid": 0.2}


def speech() -> Dataset:
    """80 rows of four speakers; the store's own splits mix them."""
    draw = np.random.default_rng(0)
    label = draw.integers(0, 2, 80)
    frame = {"label": ["no" if n else "yes" for n in label], "speaker": [SPEAKERS[row % 4] for row in range(80)]}
    return dc.dataset(frame, target="label", x=draw.normal(size=(80, 3)) + label[:, None], name="speech", quiet=True)


def sweep(store: Path, **changes: object) -> SweepSpec:
    values = {
        "seeds": 1,
        "draws": 2,
        "base": {"train": {"epochs": 2, "batch_size": 16, "accelerator": "cpu"}, "backbone": {"hidden": 8}},
        "search": {"train": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}},
        "dataset": [{"name": "speech", "store": str(store)}],
        "method": [{"name": "erm"}],
        "folds": BY_SPEAKER,
    }
    return SweepSpec.of({**values, **changes})


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return save(speech(), tmp_path_factory.mktemp("folds") / "speech")


@pytest.fixture(scope="module")
def done(tmp_path_factory, store) -> Path:
    out = tmp_path_factory.mktemp("sweep") / "out"
    summary = run_sweep(sweep(store), out)
    assert not summary.unfinished
    assert "speech: 4 folds, leave-one-group-out by speaker" in summary.text()
    return out


def test_one_declaration_makes_a_dataset_per_fold(store):
    plan = make_plan(sweep(store))
    assert [pair[0] for pair in plan.pairs] == [f"speech, speaker={name}" for name in SPEAKERS]
    assert len({job.checksum for job in plan.jobs}) == 4
    assert {job.spec["data"]["fold"]["left_out"] for job in plan.jobs} == {f"speaker={name}" for name in SPEAKERS}


def test_a_dataset_can_have_folds_of_its_own(store):
    twice = [
        {"name": "by two", "store": str(store), "folds": {"folds": 2}},
        {"name": "speech", "store": str(store)},
    ]
    names = {job.dataset for job in make_plan(sweep(store, dataset=twice)).jobs}
    assert names == {"by two, fold 1", "by two, fold 2", *(f"speech, speaker={name}" for name in SPEAKERS)}


def test_every_run_predicts_the_part_that_its_training_left_out(done, store):
    whole = open_store(store)
    speaker = dict(zip(whole.columns["id"].values.tolist(), whole.columns["speaker"].values.tolist(), strict=True))
    for entry in read_selection(done):
        (name,) = entry["runs"]
        run = done / "runs" / name
        left_out = entry["dataset"][-1]
        tested = {split: load_predictions(run / "predictions" / f"{split}.npz").ids.tolist() for split in _SPLITS}
        assert {speaker[row] for row in tested["test"]} == {left_out}
        assert len(tested["test"]) == 20
        assert left_out not in {speaker[row] for split in ("valid", "test-iid") for row in tested[split]}
        assert sum(map(len, tested.values())) == len({row for rows in tested.values() for row in rows})


_SPLITS = ("valid", "test", "test-iid")


def test_only_chosen_runs_open_test_rows_and_after_the_choice(done):
    chosen = {name for entry in read_selection(done) for name in entry["runs"]}
    written = (done / "selection.json").stat().st_mtime_ns
    assert len(chosen) == 4
    for folder in (done / "runs").iterdir():
        splits = {record.split for record in read_records(folder / "records.jsonl")}
        assert splits == ({*_SPLITS} if folder.name in chosen else {"valid"})
        if folder.name in chosen:
            assert (folder / "test_access.jsonl").stat().st_mtime_ns >= written


def test_training_and_selection_hold_no_row_of_the_part_that_is_left_out(tmp_path, monkeypatch):
    """Rows of speaker c carry poison, which the runs that leave c out must never see."""
    data = speech()
    poison = torch.from_numpy((data.columns["speaker"].values == "c").astype(np.float32))
    signals = {"x": Signal(poison[:, None, None].expand(80, 1, 3).contiguous(), data.signals["x"].mask)}
    path = save(replace(data, signals=signals), tmp_path / "poisoned")
    held: dict[str, set[float]] = {}
    step = Learner.training_step

    def peek(self, batch, batch_idx):
        assert self.dataset.test_splits == ()
        held.setdefault(self.dataset.name, set()).update(self.dataset.signals["x"].values.unique().tolist())
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Learner, "training_step", peek)
    run_sweep(sweep(path, draws=1), tmp_path / "out")
    assert held["speech, speaker=c"] == {0.0}
    assert all(held[f"speech, speaker={name}"] == {0.0, 1.0} for name in "abd")


def test_a_sweep_that_was_stopped_goes_on_and_ends_alike(done, store, tmp_path):
    copy = Path(shutil.copytree(done, tmp_path / "copy"))
    before = results(copy)
    runs = sorted((copy / "runs").iterdir())
    shutil.rmtree(runs[0])
    shutil.rmtree(runs[1])
    (copy / "selection.json").unlink()
    run_sweep(sweep(store), copy)
    assert results(copy) == before
    assert read_plan(copy).spec == sweep(store)


def test_a_run_knows_its_fold_and_takes_it_of_a_store_that_moved(done, store, tmp_path):
    (entry,) = [entry for entry in read_selection(done) if entry["dataset"] == "speech, speaker=b"]
    folder = Path(shutil.copytree(done / "runs" / entry["runs"][0], tmp_path / "run"))
    spec = json.loads((folder / "spec.json").read_text())
    spec["data"]["store"] = str(tmp_path / "gone")
    (folder / "spec.json").write_text(json.dumps(spec))
    moved = open_store(Path(shutil.copytree(store, tmp_path / "moved")))
    data = Run.open(folder).dataset(moved)
    rows = data.splits["test"]
    assert set(data.columns["speaker"].values[rows.start : rows.stop].tolist()) == {"b"}
    assert Run.open(folder).corpus(moved).own


def test_a_fold_can_be_trained_by_a_specification_alone(store, tmp_path):
    fold = {**BY_SPEAKER, "left_out": "speaker=a"}
    train = {"epochs": 1, "batch_size": 16, "accelerator": "cpu"}
    spec = dc.Spec.of({"method": "erm", "data": {"store": str(store), "fold": fold}, "train": train})
    run = dc.train_run(spec, tmp_path / "run", progress=False)
    again = dc.train_run(spec, tmp_path / "again", dataset=open_store(store), progress=False)
    assert run.checksum == again.checksum
    run.evaluate([dc.Scenario("test", "test")])
    assert len(load_predictions(run.path / "predictions" / "test.npz").ids) == 20


def test_results_are_filtered_by_the_data_that_are_folded(done):
    assert len(collect_runs([done], RunFilter(datasets=("speech",))).runs) == 4
    assert len(collect_runs([done], RunFilter(datasets=("speech, speaker=a",))).runs) == 1


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"folds": {"kind": "leave-one-group-out", "group": "speeker"}}, DataError, r"dataset 'speech': .*'speeker'"),
        ({"folds": {"fold": 3}}, SpecError, "no argument 'folds.fold'; did you mean 'folds'"),
        ({"folds": {"group": "speaker", "folds": 5}}, DataError, "4 groups of speaker cannot fill 5 folds"),
        ({"seeds": 10_000, "draws": 4}, SpecError, "4 folds and .* make 160000 runs, the limit is 100000"),
    ],
)
def test_a_wrong_declaration_ends_before_any_training(store, changes, error, message):
    with pytest.raises(error, match=message):
        make_plan(sweep(store, **changes))
