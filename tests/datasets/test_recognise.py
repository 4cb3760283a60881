"""`--format auto`, and the refusal of a wrong format, which names the right one."""

import pickle
from itertools import permutations

import pytest

from deconfound.datasets.recognise import read_corpus, recognise
from deconfound.errors import DataError
from support.corpora import write_pickled
from support.data_making import corpus
from support.raw_corpora import READERS, fast_options, write_raw

PICKLED = ("mag-bert", "misa", "hkt", "multibench")


def source(name, folder):
    if name in READERS:
        return write_raw(name, folder)
    if name != "mmsa":
        return write_pickled(name, folder)
    path = folder / "mmsa.pkl"
    path.write_bytes(pickle.dumps(corpus()))
    return path


@pytest.mark.parametrize("name", ["mmsa", "multibench"])
def test_auto_reads_with_the_right_reader(tmp_path, name):
    dataset, guess = read_corpus(source(name, tmp_path), "auto", {})
    assert guess is not None
    assert dataset.provenance["format"] == guess.reader == name


@pytest.mark.parametrize("name", ["mmsa", *PICKLED, *READERS])
def test_a_layout_is_recognised_by_its_content(tmp_path, name):
    guess = recognise(source(name, tmp_path))
    assert guess is not None
    assert guess.reader == name


@pytest.mark.parametrize(("written", "asked"), list(permutations(["mmsa", *PICKLED], 2)))
def test_a_wrong_format_names_the_right_one(tmp_path, written, asked):
    with pytest.raises(DataError, match=f"this looks like .*: use --format {written}$") as caught:
        read_corpus(source(written, tmp_path), asked, {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("written", "asked"), list(permutations(["mmsa", "misa", *READERS], 2)))
def test_a_wrong_format_of_a_folder_names_the_right_one(tmp_path, written, asked):
    path = source(written, tmp_path)
    with pytest.raises(DataError, match=f"this looks like .*: use --format {written}$") as caught:
        read_corpus(path, asked, fast_options(asked) if asked in READERS else {})
    assert "\n" not in str(caught.value)


def test_what_nothing_recognises(tmp_path):
    with pytest.raises(DataError, match=r"No such file.*name one with --format: .*multibench"):
        read_corpus(tmp_path / "none", "auto", {})
    (tmp_path / "noise.bin").write_bytes(b"\x00\x01 noise")
    with pytest.raises(DataError, match=r"its content is of no known layout; name one with --format"):
        read_corpus(tmp_path / "noise.bin", "auto", {})
    with pytest.raises(DataError, match="not a pickle") as caught:
        read_corpus(tmp_path / "noise.bin", "mmsa", {})
    assert "looks like" not in str(caught.value)
