"""Folders of images that are named after their classes."""

import pytest

from deconfound.datasets.readers.imagefolder import ImagefolderReader
from deconfound.errors import DataError
from support.raw_corpora import fast_options, write_image, write_imagefolder


def read(path, **arguments):
    return ImagefolderReader(**fast_options("imagefolder"), **arguments).read(path)


def test_reads_splits_and_classes(tmp_path):
    dataset = read(write_imagefolder(tmp_path / "pets"))
    assert {split: len(rows) for split, rows in dataset.splits.items()} == {"train": 4, "valid": 4, "test": 4}
    assert dataset.task.classes == ("cat", "dog")
    assert dataset.target.tolist() == [0, 0, 1, 1] * 3
    assert dataset.columns["id"].values[0] == "train/cat/0.png"
    assert dataset.modalities["image"].shape == (3, 64, 64)


def test_splits_are_drawn_where_there_are_none(tmp_path):
    folder = write_imagefolder(tmp_path / "pets", ("",), count=10)
    dataset = read(folder)
    assert {split: len(rows) for split, rows in dataset.splits.items()} == {"train": 14, "valid": 3, "test": 3}
    assert read(folder).columns["id"].values.tolist() == dataset.columns["id"].values.tolist()
    assert read(folder, seed=1).columns["id"].values.tolist() != dataset.columns["id"].values.tolist()


def test_refuses_what_is_not_this_layout(tmp_path):
    folder = write_imagefolder(tmp_path / "pets")
    write_image(folder / "vaild" / "cat" / "0.png")
    with pytest.raises(DataError, match="there is a split 'vaild'; did you mean 'valid'"):
        read(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="there is no image; expected train/CLASS"):
        read(tmp_path / "empty")
    with pytest.raises(DataError, match="is a file; name the folder"):
        read(folder / "train" / "cat" / "0.png")


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    folder = write_imagefolder(tmp_path / "pets")
    write_image(tmp_path / "secret.png")
    (folder / "train" / "cat" / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match="is a link that leads out of"):
        read(folder)
