"""A share of train as validation: which rows move, which stay together, and what is said and refused."""

from __future__ import annotations

import numpy as np
import pytest

import deconfound as dc
from deconfound.data.dataset import Dataset
from deconfound.errors import DataError
from deconfound.testing.dataset import check_dataset
from support.small import FAST


def posts(**changes: object) -> Dataset:
    """200 rows, 150 of them train, of 25 speakers; a tenth is of the class "rare"."""
    frame = {
        "label": ["rare" if row % 10 == 0 else "often" for row in range(200)],
        "id": [f"r{row}" for row in range(200)],
        "speaker": [f"s{row // 2 % 25}" for row in range(200)],
        "split": ["train" if row % 4 else "test" for row in range(200)],
    }
    x = np.random.default_rng(0).normal(size=(200, 3))
    return dc.dataset(frame, **{"target": "label", "x": x, "name": "posts", "quiet": True, **changes})


def ids(dataset: Dataset, split: str) -> list[str]:
    return sorted(dataset.columns["id"].values[list(dataset.splits[split])].tolist())


def test_rows_of_train_alone_move_and_classes_keep_their_shares():
    whole = posts()
    data = dc.take_validation(whole, 0.2)
    check_dataset(data)
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 120, "valid": 30, "test": 50}
    assert ids(data, "test") == ids(whole, "test")
    assert sorted(ids(data, "train") + ids(data, "valid")) == ids(whole, "train")
    rare = [float((data.batch(name).target == 1).float().mean()) for name in ("train", "valid")]
    assert rare[0] == pytest.approx(rare[1], abs=0.02)


def test_groups_stay_whole():
    data = dc.take_validation(posts(), 0.2, group="speaker")
    speakers = data.metadata.groupby("split")["speaker"].agg(set)
    assert not speakers["train"] & speakers["valid"]
    assert 20 <= len(data.splits["valid"]) <= 40
    assert data.provenance["validation_taken"]["group"] == ["speaker"]


def test_the_seed_decides():
    taken = [ids(dc.take_validation(posts(), 0.2, seed=seed), "valid") for seed in (0, 0, 1)]
    assert taken[0] == taken[1] != taken[2]


def test_a_frame_says_what_was_taken(capsys):
    data = posts(valid=0.2, quiet=False)
    assert len(data.splits["valid"]) == 30
    said = "posts: took 30 of 150 rows of train as 'valid' (single rows, labels in about equal shares, seed 0)"
    assert said in capsys.readouterr().out


def test_a_frame_takes_whole_groups():
    frame = {"label": [0, 1] * 40, "speaker": [f"s{row // 4}" for row in range(80)], "split": ["train"] * 80}
    data = dc.dataset(frame, target="label", x=np.ones((80, 2)), group="speaker", valid=0.25, quiet=True)
    speakers = data.metadata.groupby("split")["speaker"].agg(set)
    assert not speakers["train"] & speakers["valid"]
    assert len(data.splits["valid"]) == 20


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: dc.take_validation(dc.take_validation(posts(), 0.2), 0.2),
            "there is a split 'valid' already, of 30 rows",
        ),
        (lambda: dc.take_validation(posts(), 1.0), "give a share of the rows of train between 0 and 1"),
        (lambda: dc.take_validation(posts(), 0.2, group="speeker"), "did you mean 'speaker'"),
        (lambda: posts(valid="speaker"), "valid = 'speaker': give a share of the rows of train between 0 and 1"),
        (lambda: posts(split={"train": 0.5, "test": 0.5}, valid=0.2), "name 'valid' among them"),
        (lambda: posts(split=["valid"] * 100 + ["train"] * 100, valid=0.2), "there is a split 'valid' already"),
    ],
)
def test_what_cannot_be_taken_is_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()


def test_training_without_validation_is_refused_with_an_offer_and_done_where_it_is_stated(tmp_path):
    dc.save(posts(), tmp_path / "store")
    table = {"method": "erm", "backbone": {"hidden": 8}, "train": FAST}
    with pytest.raises(DataError, match=r"no split 'valid' .*take a share of train: valid = 0.15 under"):
        dc.train_run(dc.Spec.of({**table, "data": {"store": str(tmp_path / "store")}}), tmp_path / "a", progress=False)
    spec = dc.Spec.of({**table, "data": {"store": str(tmp_path / "store"), "valid": 0.2}})
    run = dc.train_run(spec, tmp_path / "run", progress=False)
    assert run.environment["data"]["splits"] == {"train": 120, "test": 50, "valid": 30}
    records = run.evaluate()
    assert {record.split for record in records} == {"valid", "test"}
