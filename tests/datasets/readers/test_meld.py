"""MELD: ids that begin again in each split, and marks of another encoding."""

import pytest

from deconfound.datasets.readers.meld import MeldReader
from deconfound.errors import DataError
from support.raw_corpora import fast_options, meld_rows, write_csv, write_meld


def read(path, **arguments):
    return MeldReader(**fast_options("meld"), **arguments).read(path)


def test_reads_all_of_it(tmp_path):
    dataset = read(write_meld(tmp_path / "MELD"))
    assert {split: len(rows) for split, rows in dataset.splits.items()} == {"train": 6, "valid": 4, "test": 4}
    assert dataset.task.classes == ("anger", "joy", "neutral")
    assert dataset.columns["id"].values[6] == "valid/dia0_utt0"
    assert dataset.columns["dialogue"].values[6] == "valid/0"
    assert dataset.columns["raw_text"].values[0] == "It’s line 0 of 0"
    assert dataset.provenance["mended_texts"] == 14
    assert dataset.environment == ("speaker",)
    assert dataset.columns["emotion"].values[0] == "joy"


def test_three_sentiments_on_request(tmp_path):
    assert read(write_meld(tmp_path / "MELD"), target="sentiment").task.classes == ("negative", "neutral", "positive")


def test_text_that_was_decoded_wrongly_is_mended(tmp_path):
    folder = write_meld(tmp_path / "MELD")
    rows = meld_rows(2)
    rows[0]["Utterance"] = "itâ€™s"
    rows[1]["Utterance"] = "un château"
    write_csv(folder / "dev_sent_emo.csv", rows)
    assert read(folder).columns["raw_text"].values[6:8].tolist() == ["it’s", "un château"]


def test_refuses_what_is_not_this_layout(tmp_path):
    folder = write_meld(tmp_path / "MELD")
    write_csv(folder / "dev_sent_emo.csv", [{"Utterance": "a", "Speaker": "b"}])
    with pytest.raises(DataError, match=r"dev_sent_emo\.csv has no column 'Emotion'"):
        read(folder)
    with pytest.raises(DataError, match="is a file; name the folder"):
        read(folder / "dev_sent_emo.csv")
