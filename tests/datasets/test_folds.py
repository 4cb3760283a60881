"""Folds of a dataset: who is left out, who validates, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import deconfound as dc
from deconfound.data.dataset import Dataset
from deconfound.datasets.fold_spec import FoldSpec
from deconfound.datasets.folds import fold_of, take_fold
from deconfound.errors import DataError, SpecError
from deconfound.testing.dataset import check_dataset

N = 240


def speakers(group: tuple[str, ...] = (), **changes: object) -> Dataset:
    """240 rows of 8 speakers in 2 rooms with 24 videos, each of one speaker; three classes."""
    draw = np.random.default_rng(0)
    label = draw.integers(0, 3, N)
    frame = {
        "label": [str(number) for number in label],
        "id": [f"r{row}" for row in range(N)],
        "speaker": [f"s{row % 8}" for row in range(N)],
        "room": [f"room{row % 8 % 2}" for row in range(N)],
        "video": [f"v{row % 24}" for row in range(N)],
    }
    arguments = {"target": "label", "x": draw.normal(size=(N, 4)), "group": list(group), "name": "rooms"}
    return dc.dataset(frame, **{**arguments, **changes})


def column(dataset: Dataset, split: str, name: str) -> set[str]:
    rows = dataset.splits[split]
    return set(dataset.columns[name].values[rows.start : rows.stop].tolist())


def ids(dataset: Dataset, *splits: str) -> list[str]:
    return [row for split in splits for row in dataset.columns["id"].values[list(dataset.splits[split])].tolist()]


def test_each_group_is_the_test_once_and_validates_no_other_time():
    data = speakers()
    made = dc.folds(data, kind="leave-one-group-out", group="speaker")
    assert made.names == tuple(f"speaker=s{n}" for n in range(8))
    left_out = []
    for name, fold in zip(made.names, made, strict=True):
        check_dataset(fold)
        assert fold.name == f"rooms, {name}"
        assert {f"speaker={value}" for value in column(fold, "test", "speaker")} == {name}
        assert not column(fold, "train", "speaker") & column(fold, "valid", "speaker")
        assert fold.group == ("speaker",)
        assert sorted(ids(fold, "train", "valid", "test")) == sorted(data.columns["id"].values)
        left_out += ids(fold, "test")
    assert sorted(left_out) == sorted(data.columns["id"].values)
    assert len({fold.checksum for fold in made} | {data.checksum}) == 9


def test_values_and_labels_go_with_their_rows():
    data = speakers()
    fold = dc.folds(data, folds=3)[1]
    rows = {name: row for row, name in enumerate(data.columns["id"].values.tolist())}
    origin = [rows[name] for name in fold.columns["id"].values.tolist()]
    assert np.array_equal(fold.signals["x"].values.numpy(), data.signals["x"].values.numpy()[origin])
    assert np.array_equal(fold.target.numpy(), data.target.numpy()[origin])


def test_k_folds_hold_classes_in_equal_shares_and_the_declared_groups_whole():
    for fold in dc.folds(speakers(), folds=4):
        counts = np.bincount(fold.batch("test").target.numpy(), minlength=3)
        whole = np.bincount(fold.target.numpy(), minlength=3)
        assert np.abs(counts - whole / 4).max() <= 1
        assert abs(len(fold.splits["valid"]) - 0.15 * 180) <= 2
    for fold in dc.folds(speakers(group=("video",)), folds=4):
        assert not column(fold, "train", "video") & (column(fold, "valid", "video") | column(fold, "test", "video"))
        assert fold.group == ("video",)


def test_rows_in_distribution_are_from_the_groups_of_train():
    for fold in dc.folds(speakers(), kind="leave-one-group-out", group="speaker", test_iid=0.2):
        assert column(fold, "test-iid", "speaker") == column(fold, "train", "speaker")
        assert abs(len(fold.splits["test-iid"]) - 0.2 * 210) <= 2
        assert fold.group == ()
    fold = dc.folds(speakers(group=("video",)), group="speaker", folds=4, test_iid=0.2)[0]
    assert fold.group == ("video",)
    assert not column(fold, "train", "video") & column(fold, "test-iid", "video")


def test_validation_by_row_shares_the_groups_of_train():
    fold = dc.folds(speakers(), kind="leave-one-group-out", group="speaker", valid_by="row")[0]
    assert column(fold, "valid", "speaker") == column(fold, "train", "speaker")


def test_kept_tests_take_no_part():
    data = speakers()
    for fold in dc.folds(data, folds=3, keep_tests=True):
        assert sorted(ids(fold, "test-kept")) == sorted(ids(data, "test"))
        assert sorted(ids(fold, "train", "valid", "test")) == sorted(ids(data, "train", "valid"))


def test_the_same_fold_is_made_of_its_note():
    data = speakers()
    fold = dc.folds(data, folds=3, seed=7)[2]
    note = fold_of(fold)
    assert note is not None
    assert (note["of"], note["checksum"], note["number"], note["count"]) == ("rooms", data.checksum, 3, 3)
    assert take_fold(data, FoldSpec(**note["spec"])).checksum == fold.checksum
    assert fold_of(data) is None
    by_video = fold_of(dc.folds(speakers(group=("video",)), folds=3)[0])
    assert by_video is not None
    assert by_video["spec"]["group"] == ["video"]


def test_a_fold_can_be_kept_as_a_store(tmp_path):
    fold = dc.folds(speakers(), folds=3)[0]
    dc.save(fold, tmp_path / "fold")
    assert dc.open_store(tmp_path / "fold").checksum == fold.checksum


def test_slices_are_lists_of_folds():
    assert [fold.name for fold in dc.folds(speakers(), folds=4)[:2]] == ["rooms, fold 1", "rooms, fold 2"]


def test_numbers_are_stratified_by_quarters():
    data = dc.dataset(target=np.linspace(0, 1, 100), x=np.ones((100, 2)), task="regression")
    for fold in dc.folds(data, folds=5):
        assert abs(float(fold.batch("test").target.mean()) - 0.5) < 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "leave-one-group-out"}, "needs a group; name one of the columns: speaker, room, video"),
        ({"group": "speeker"}, "no metadata column 'speeker'; did you mean 'speaker'"),
        ({"group": "room"}, "2 groups of room cannot fill 5 folds; lower 'folds'"),
        ({"folds": 300}, "240 rows cannot fill 300 folds"),
    ],
)
def test_what_cannot_be_folded_is_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        dc.folds(speakers(), **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"folds": 1}, "folds = 1: input should be greater than or equal to 2"),
        ({"kind": "loo"}, "kind = 'loo': input should be 'k-fold' or 'leave-one-group-out'"),
        ({"kind": "leave-one-group-out", "group": "speaker", "folds": 3}, "has a fold for each group; remove 'folds'"),
        ({"valid": 0.6, "test_iid": 0.4}, "leave no rows to train on"),
        ({"valid": float("nan")}, "valid = nan"),
    ],
)
def test_a_wrong_declaration_is_refused(arguments, message):
    with pytest.raises(SpecError, match=message):
        dc.folds(speakers(), **arguments)


def test_two_groups_leave_none_to_validate_on():
    with pytest.raises(DataError, match=r"one group is left.*valid_by = 'row' validates on rows of it"):
        dc.folds(speakers(), kind="leave-one-group-out", group="room")[0]
    assert len(dc.folds(speakers(), kind="leave-one-group-out", group="room", valid_by="row")[0].splits) == 3


def test_a_row_without_a_group_is_refused():
    data = speakers()
    values = data.columns["speaker"].values.copy()
    values[3] = ""
    broken = replace(data, columns=type(data.columns)({**data.columns, "speaker": values}))
    with pytest.raises(DataError, match=r"1 rows have no 'speaker' .*fill it in, or leave these rows out"):
        dc.folds(broken, kind="leave-one-group-out", group="speaker")


def test_a_declared_group_is_not_torn():
    data = replace(speakers(), group=("room",), splits={"train": range(N)})
    with pytest.raises(DataError, match=r"room 'room0' has rows in it and outside.*fold by whole groups of room"):
        dc.folds(data, kind="leave-one-group-out", group="speaker")[0]


def test_an_unknown_fold_is_refused_with_those_like_it():
    with pytest.raises(DataError, match=r"no fold 'speaker=s9'; did you mean .* \(8 folds\)"):
        take_fold(speakers(), FoldSpec(kind="leave-one-group-out", group=("speaker",), left_out="speaker=s9"))
