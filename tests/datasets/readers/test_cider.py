"""The files of CIDer: the layout of mmsa as joblib writes it, and attacks through joblib."""

import os

import joblib
import numpy as np
import pytest
import torch

from deconfound.datasets.joblib_pickle import read_joblib
from deconfound.datasets.readers.cider import CiderReader
from deconfound.datasets.recognise import recognise
from deconfound.errors import DataError
from deconfound.testing import check_dataset
from support.data_making import corpus, read_made, same


def dump(path, content, **options):
    joblib.dump(content, path, **options)
    return path


def test_it_is_the_dataset_of_mmsa(tmp_path):
    content = corpus()
    for part in content.values():
        part["raw_text"] = np.array(part["raw_text"], dtype=object)
        part["vision"] = np.asfortranarray(part["vision"])
    path = dump(tmp_path / "MOSI_aligned_50.pkl", content)
    dataset, usual = CiderReader().read(path), read_made(tmp_path, corpus(), name="MOSI_aligned_50.pkl2")
    check_dataset(dataset)
    assert dataset.provenance["format"] == "cider"
    assert torch.equal(dataset.target, usual.target)
    for name, signal in usual.signals.items():
        assert torch.equal(dataset.signals[name].values, signal.values)
        assert torch.equal(dataset.signals[name].mask, signal.mask)
    assert dataset.columns["raw_text"].values.tolist() == usual.columns["raw_text"].values.tolist()


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_all_that_joblib_writes_of_plain_data(tmp_path, protocol):
    shared = np.arange(3)
    content = {
        "c": np.arange(6, dtype=np.float32).reshape(2, 3),
        "f": np.asfortranarray(np.arange(6.0).reshape(3, 2)),
        "none": np.empty((0, 4)),
        "text": np.array(["a", "bcd"]),
        "objects": np.array(["x", None, 3], dtype=object),
        "big endian": np.arange(3, dtype=">i4"),
        "lists": [1, "a", [2.5], (True, None)],
        "shared": [shared, shared],
    }
    read = read_joblib(dump(tmp_path / "made.pkl", content, protocol=protocol)).content
    assert isinstance(read, dict)
    assert read.pop("objects") == content.pop("objects").tolist()
    for left, right in zip(read.pop("shared"), content.pop("shared"), strict=True):
        assert np.array_equal(left, right)
    same(read, content)


def test_it_is_recognised(tmp_path):
    guess = recognise(dump(tmp_path / "made.pkl", corpus()))
    assert guess is not None
    assert guess.reader == "cider"


class Calls:
    def __reduce__(self):
        return os.system, ("touch ran",)


def objects_of(value):
    array = np.empty(1, dtype=object)
    array[0] = value
    return array


ATTACKS = {
    "a call": {"train": Calls()},
    "a call beside an array": {"train": {"text": np.ones(3), "x": Calls()}},
    "a call within an array of objects": {"train": objects_of(Calls())},
    "an array within an array of objects": {"train": objects_of(np.ones(3))},
    "a matrix of objects": {"train": np.empty((2, 2), dtype=object)},
    "an estimator": {"train": joblib.Memory()},
    "a class": {"train": [np.ndarray]},
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_attacks_through_joblib_run_nothing(tmp_path, monkeypatch, attack, protocol):
    monkeypatch.chdir(tmp_path)
    path = dump(tmp_path / "made.pkl", ATTACKS[attack], protocol=protocol)
    with pytest.raises(DataError, match="is refused") as caught:
        CiderReader().read(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_files_that_are_cut_or_compressed_are_refused(tmp_path):
    path = dump(tmp_path / "made.pkl", {"train": np.ones(1000)})
    data = path.read_bytes()
    for size in range(1, len(data), 37):
        path.write_bytes(data[:size])
        with pytest.raises(DataError):
            read_joblib(path)
    with pytest.raises(DataError, match="compressed with zlib"):
        read_joblib(dump(path, {"train": np.ones(1000)}, compress=3))


def test_a_shape_that_lies_is_refused(tmp_path):
    path = dump(tmp_path / "made.pkl", {"train": np.ones(100)})
    path.write_bytes(path.read_bytes().replace(b"Kd\x85", b"K\xff\x85"))
    with pytest.raises(DataError, match="is refused: it ends early"):
        read_joblib(path)
