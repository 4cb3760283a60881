import pytest
import torch

from deconfound.data.columns import MetadataColumn
from deconfound.data.dataset import Dataset, evenly_spaced
from deconfound.data.signal import Signal
from deconfound.data.task import Task
from deconfound.errors import DataError
from support.small import tiny


def test_rows_are_sorted_by_split_and_stay_together():
    mixed = ["test", "train", "valid"] * 4
    data = tiny(split=mixed)
    assert list(data.splits) == ["train", "valid", "test"]
    assert data.splits["valid"] == range(4, 8)
    assert data.metadata["id"].tolist()[:4] == ["r1", "r4", "r7", "r10"]
    assert (data.metadata["split"].to_numpy() == ["train"] * 4 + ["valid"] * 4 + ["test"] * 4).all()


def test_a_range_of_rows_is_a_view_and_a_tensor_a_copy():
    data = tiny()
    view, copy = data.batch("valid"), data.batch(torch.arange(4, 8))
    assert view.signals["text"].values.data_ptr() == data.signals["text"].values[4:].data_ptr()
    assert torch.equal(view.signals["text"].values, copy.signals["text"].values)
    assert torch.equal(view.ids, copy.ids)


def test_development_holds_no_test_row_and_keeps_row_numbers():
    data = tiny()
    development = data.development()
    assert len(development) == 8
    assert development.test_splits == ()
    assert not {"r8", "r9", "r10", "r11"} & set(development.metadata["id"])
    assert torch.equal(development.batch("valid").ids, data.batch("valid").ids)
    with pytest.raises(DataError, match="no split 'test'"):
        development.batch("test")
    with pytest.raises(IndexError):
        development.batch(torch.tensor([9]))


def test_development_carries_no_latents():
    data = tiny(latents={"C": torch.zeros(12, 1)})
    assert data.latents
    assert not data.development().latents


def test_environments_are_combinations_of_columns():
    data = tiny().with_environment("speaker", "age")
    group, names = data.groups("speaker", "age")
    assert len(names) == 12
    assert names[int(group[3])] == "speaker=b, age=3"
    assert tiny().env.tolist() == [0, 1] * 6


def test_where_filters_by_value_or_list():
    data = tiny()
    assert data.where({"speaker": "a", "age": [0, 2, 3]}).tolist() == [0, 2]
    with pytest.raises(DataError, match="no row has"):
        data.where({"speaker": "z"})
    with pytest.raises(DataError, match="did you mean 'speaker'"):
        data.where({"speeker": "a"})


def test_where_compares_values_of_one_kind_alone():
    data = tiny(metadata={"id": [f"r{i}" for i in range(12)], "speaker": ["a", "7"] * 6, "age": list(range(12))})
    assert data.where({"speaker": ["a", 7], "age": [0, 1, "2", 2]}).tolist() == [0, 2]
    assert data.where({"speaker": "7", "age": [1, 2]}).tolist() == [1]
    assert data.where({"age": [2.0, True]}).tolist() == [1, 2]
    for never in ({"speaker": 7}, {"age": "1"}, {"age": []}):
        with pytest.raises(DataError, match="no row has"):
            data.where(never)


def test_resplit_reorders_and_leaves_rows_out():
    data = tiny()
    again = data.resplit(["valid", "train", ""] * 4)
    assert len(again) == 8
    assert again.metadata["id"].tolist()[:4] == ["r1", "r4", "r7", "r10"]
    assert torch.equal(again.target[0], data.target[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": torch.full((12,), float("nan"))}, "targets must be finite"),
        ({"metadata": {"id": ["x"] * 12}, "environment": ()}, "occurs 12 times"),
        ({"metadata": {"name": ["x"] * 12}}, "column 'id'"),
        ({"environment": ("room",)}, "no metadata column 'room'"),
        ({"target": torch.full((12,), 5), "task": Task.classification(("u", "v"))}, r"integers in \[0, 2\)"),
        ({"split": ["train"] * 3}, "12 targets but 3 split names"),
    ],
)
def test_bad_rows_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        tiny(**changes)


def test_an_id_shared_by_two_splits_is_refused_with_both_names():
    ids = [f"r{i}" for i in range(12)]
    ids[11] = "r0"
    with pytest.raises(DataError, match="'r0' occurs 2 times \\(in test, train\\)"):
        tiny(metadata={"id": ids}, environment=())


@pytest.mark.parametrize(
    ("values", "mask", "message"),
    [
        (float("inf"), True, "NaN or infinite"),
        (1.0, False, "absent in every row"),
    ],
)
def test_bad_signals_are_refused(values, mask, message):
    signal = Signal(torch.full((12, 1, 2), values), torch.full((12, 1), mask))
    with pytest.raises(DataError, match=message):
        tiny(signals={"text": signal})


def test_values_behind_a_mask_are_refused():
    mask = torch.ones(12, 1, dtype=torch.bool)
    mask[3] = False
    with pytest.raises(DataError, match="other than 0 where its mask is False"):
        tiny(signals={"text": Signal(torch.ones(12, 1, 2), mask)})


def test_training_needs_train_and_valid():
    with pytest.raises(DataError, match="no split 'valid'"):
        tiny(splits=("train", "test")).development()


def test_the_checksum_sees_every_part_and_nothing_else():
    base = tiny()
    assert base.checksum == tiny().checksum
    assert base.checksum == tiny(provenance={"note": "other"}).checksum
    moved = tiny(target=base.target + 1)
    assert moved.checksum != base.checksum
    assert tiny(metadata={"id": [f"q{i}" for i in range(12)], "speaker": ["a", "b"] * 6}).checksum != base.checksum


def test_text_columns_survive_any_characters():
    texts = ["", "ü", "a,b\n", "日本", "", "ü"]
    column = MetadataColumn.of(texts)
    assert column.values.tolist() == texts
    assert MetadataColumn.of([None, "x"]).values.tolist() == ["", "x"]
    assert column.select(torch.tensor([3, 0])).values.tolist() == ["日本", ""]


def test_numeric_columns_stay_numbers():
    assert MetadataColumn.of([3, 1, 3]).codes.tolist() == [1, 0, 1]
    assert MetadataColumn.of([0.5, 2.0]).values.dtype == float


def test_unknown_modalities_are_refused():
    with pytest.raises(DataError, match="did you mean 'audio'"):
        tiny().only("audo")
    assert list(tiny().only("audio").signals) == ["audio"]


def test_an_empty_dataset_is_refused():
    nothing = Signal(torch.zeros(0, 1, 2), torch.ones(0, 1, dtype=torch.bool))
    with pytest.raises(DataError, match="is empty"):
        Dataset.build("none", Task.regression(), {"a": nothing}, torch.zeros(0), {"id": []}, [])


def test_evenly_spaced_rows() -> None:
    assert evenly_spaced(range(3, 6), 10).tolist() == [3, 4, 5]
    assert evenly_spaced(range(10), 4).tolist() == [0, 3, 6, 9]
