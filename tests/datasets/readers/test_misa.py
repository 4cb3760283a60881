"""The folder of MISA and CLUE: one pickle per split."""

import numpy as np
import pytest

from deconfound.datasets.readers.misa import MisaReader
from deconfound.errors import DataError
from support.corpora import misa_content, write, write_misa


def read(path, **arguments):
    return MisaReader(text="none", **arguments).read(path)


def test_reads_all_of_it(tmp_path):
    dataset = read(write_misa(tmp_path / "MOSI"))
    assert dataset.name == "MOSI"
    assert {split: len(rows) for split, rows in dataset.splits.items()} == {"train": 6, "valid": 6, "test": 6}
    for split, file, seed in (("train", "train", 0), ("valid", "dev", 1), ("test", "test", 2)):
        for number, ((_, visual, acoustic, spoken), label, segment) in zip(
            dataset.rows(split), misa_content(file, seed), strict=True
        ):
            vision, audio = dataset.signals["vision"], dataset.signals["audio"]
            assert np.array_equal(vision.values[number][vision.mask[number]].numpy(), visual)
            assert np.array_equal(audio.values[number][audio.mask[number]].numpy(), acoustic)
            assert float(dataset.target[number]) == float(label.item())
            assert dataset.columns["id"].values[number] == segment
            assert dataset.columns["raw_text"].values[number] == " ".join(spoken)
    assert dataset.group == ("video",)
    assert set(dataset.provenance["sha256"]) == {"train.pkl", "dev.pkl", "test.pkl"}


def test_the_splits_of_clue_are_two_tests(tmp_path):
    dataset = read(write_misa(tmp_path / "split_dataset_2", tests=("test_IID", "test_OOD")))
    assert dataset.test_splits == ("test-iid", "test-ood")


def test_emotions_are_metadata(tmp_path):
    dataset = read(write_misa(tmp_path / "MOSEI", emotions=6))
    assert dataset.columns["fear"].values[0] == pytest.approx(misa_content("train", 0, 6)[0][1][0, 6])


@pytest.mark.parametrize(
    ("file", "content", "match"),
    [
        ("dev", {"train": []}, "the split 'dev.pkl' is a dict"),
        ("dev", [(1, 2)], "row 0 of 'dev.pkl' is a tuple of 2"),
        ("test", [((1, 2, 3), 0.0, "a")], "first part of row 0 of 'test.pkl' is a tuple of 3; expected a tuple of 4"),
        ("test", [(([], np.ones((1, 47)), np.ones((1, 74)), ["a"]), 0.0, "a")] * 2, "same array|occurs"),
    ],
)
def test_refuses_what_is_not_this_layout(tmp_path, file, content, match):
    folder = write_misa(tmp_path / "MOSI")
    write(folder / f"{file}.pkl", content)
    with pytest.raises(DataError, match=match) as caught:
        read(folder)
    assert "\n" not in str(caught.value)
    assert "MOSI" in str(caught.value)


def test_a_file_and_an_empty_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"is a file; name the folder that holds train\.pkl"):
        read(write(tmp_path / "train.pkl", []))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"has no train\.pkl"):
        read(tmp_path / "empty")
