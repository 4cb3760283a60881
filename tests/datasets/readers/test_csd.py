"""Computational sequences of the CMU Multimodal SDK: segments by time, aligned files, splits, and hostile HDF5."""

import json
from pathlib import Path

import numpy as np
import pytest

from deconfound.datasets.readers.csd import CsdReader
from deconfound.datasets.recognise import recognise
from deconfound.errors import DataError
from deconfound.testing import check_dataset

h5py = pytest.importorskip("h5py", reason="the extra 'csd' is not installed")

VIDEOS = ("v_1", "v_2", "v_3", "v_4")


def write_sequence(path: Path, data: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """ROOT/data/KEY/features and intervals, and ROOT/metadata/KEY of JSON, as the SDK writes them."""
    with h5py.File(path, "w") as file:
        root = file.create_group(path.stem)
        for key, (features, intervals) in data.items():
            group = (
                root.create_group("data").create_group(key) if "data" not in root else root["data"].create_group(key)
            )
            group.create_dataset("features", data=features)
            group.create_dataset("intervals", data=intervals)
        metadata = root.create_group("metadata")
        metadata.create_dataset("root name", data=[json.dumps(path.stem)], dtype=h5py.string_dtype())


def times(count: int, seconds: float) -> np.ndarray:
    return np.stack([np.arange(count), np.arange(count) + 1], axis=1) * seconds


def write_corpus(folder: Path, width: int = 1) -> Path:
    """Four videos of two segments of 2 s, features at 10 Hz, and words of 1 s."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    labels = {v: (generator.uniform(-3, 3, (2, width)), times(2, 2.0)) for v in VIDEOS}
    write_sequence(folder / "CMU_MOSI_Opinion_Labels.csd", labels)
    write_sequence(
        folder / "CMU_MOSI_COVAREP.csd", {v: (generator.normal(size=(40, 3)), times(40, 0.1)) for v in VIDEOS}
    )
    write_sequence(
        folder / "CMU_MOSI_Visual_Facet_41.csd",
        {v: (generator.normal(size=(20, 2)), times(20, 0.2)) for v in VIDEOS[:3]},
    )
    words = np.array([[b"sp"], [b"so"], [b"very"], [b"good"]])
    write_sequence(folder / "CMU_MOSI_TimestampedWords.csd", {v: (words, times(4, 1.0)) for v in VIDEOS})
    splits = {"train": VIDEOS[:2], "valid": VIDEOS[2:3], "test": VIDEOS[3:]}
    (folder / "splits.json").write_text(json.dumps(splits))
    return folder


def read(path, **options):
    return CsdReader(text="none", **options).read(path)


def test_steps_belong_to_the_segment_of_their_middle(tmp_path):
    dataset = read(write_corpus(tmp_path / "mosi"))
    check_dataset(dataset)
    assert {split: len(rows) for split, rows in dataset.splits.items()} == {"train": 4, "valid": 2, "test": 2}
    assert dataset.columns["id"].values.tolist()[:3] == ["v_1[0]", "v_1[1]", "v_2[0]"]
    assert dataset.columns["raw_text"].values.tolist()[:2] == [
        "so",
        "very good",
    ]
    assert {name: modality.steps for name, modality in dataset.modalities.items()} == {"audio": 20, "vision": 10}
    with h5py.File(tmp_path / "mosi" / "CMU_MOSI_COVAREP.csd") as file:
        audio = file["CMU_MOSI_COVAREP/data/v_1/features"][()]
    assert np.array_equal(dataset.signals["audio"].values[1].numpy(), audio[20:].astype(np.float32))
    assert dataset.signals["vision"].present.tolist() == [True] * 6 + [False] * 2
    assert dataset.group == ("video",)


def test_whole_videos_are_drawn_without_splits_and_unnamed_ones_left_out(tmp_path):
    folder = write_corpus(tmp_path / "mosi")
    (folder / "splits.json").write_text(json.dumps({"train": ["v_1"], "dev": ["v_2"]}))
    dataset = read(folder)
    assert list(dataset.splits) == ["train", "valid"]
    assert dataset.provenance["segments_without_split"] == 4
    (folder / "splits.json").unlink()
    assert len(read(folder)) == 8
    assert read(folder).group == ("video",)


def test_aligned_files_are_taken_by_their_keys_and_emotions_are_metadata(tmp_path):
    folder = write_corpus(tmp_path / "mosei", width=7)
    keys = [f"{video}[{n}]" for video in VIDEOS for n in range(2)]
    write_sequence(folder / "CMU_MOSI_COVAREP.csd", {key: (np.ones((5, 3)), times(5, 0.1)) for key in keys})
    dataset = read(folder)
    assert dataset.signals["audio"].mask.sum(dim=1).tolist() == [5] * 8
    assert "fear" in dataset.columns


def test_it_is_recognised(tmp_path):
    guess = recognise(write_corpus(tmp_path / "mosi"))
    assert guess is not None
    assert guess.reader == "csd"


def hostile(path: Path, make) -> None:
    with h5py.File(path, "w") as file:
        make(file, file.create_group("x/data/v_1"))


def link_outside(file, group):
    group["features"] = h5py.ExternalLink("other.h5", "/a")


def link_soft(file, group):
    group["features"] = h5py.SoftLink("/x/data/v_2")


def store_outside(file, group):
    group.create_dataset("features", (1, 8), "f4", external=[("other.bin", 0, 32)])
    group.create_dataset("intervals", data=times(1, 1.0))


def announce(file, group):
    group.create_dataset("features", (10**9, 100), "f4", chunks=(1000, 100))
    group.create_dataset("intervals", data=times(1, 1.0))


def times_of_others(file, group):
    group.create_dataset("features", data=np.ones((3, 2)))
    group.create_dataset("intervals", data=times(2, 1.0))


def no_features(file, group):
    group.create_dataset("intervals", data=times(2, 1.0))


HOSTILE = {
    link_outside: "'features' is a link; nothing outside of the file is read",
    link_soft: "'features' is a link",
    store_outside: "'features' is no array in this file",
    announce: "announces 400000000000 bytes",
    times_of_others: r"intervals are float64 \(2, 2\)",
    no_features: "has no 'features'; expected ROOT/data/KEY/features",
}


@pytest.mark.parametrize("make", HOSTILE)
def test_hostile_files_are_refused(tmp_path, make):
    folder = write_corpus(tmp_path / "mosi")
    hostile(folder / "CMU_MOSI_COVAREP.csd", make)
    with pytest.raises(DataError, match=HOSTILE[make]) as caught:
        read(folder)
    assert "\n" not in str(caught.value)


def test_refuses_other_folders_and_files(tmp_path):
    folder = write_corpus(tmp_path / "mosi")
    (folder / "CMU_MOSI_COVAREP.csd").write_bytes(b"\x89HDF damaged")
    with pytest.raises(DataError, match="no HDF5 file of a computational sequence"):
        read(folder)
    with pytest.raises(DataError, match=r"is a file; name the folder of all \.csd files"):
        read(folder / "CMU_MOSI_COVAREP.csd")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds \[\]; expected \.csd files"):
        read(tmp_path / "empty")
    (folder / "CMU_MOSI_COVAREP.csd").unlink()
    (folder / "splits.json").write_text('{"train": ["v_1"], "test": ["v_1"]}')
    with pytest.raises(DataError, match="'v_1' is in two splits"):
        read(folder)
