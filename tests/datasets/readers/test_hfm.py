"""HFM: one Python list per line, parsed and never executed."""

import pytest

from deconfound.datasets.readers.hfm import HfmReader
from deconfound.errors import DataError
from support.raw_corpora import fast_options, write_hfm


def read(path):
    return HfmReader(**fast_options("hfm")).read(path)


def test_reads_all_of_it_and_takes_the_label_of_people(tmp_path):
    dataset = read(write_hfm(tmp_path / "hfm"))
    assert {split: len(rows) for split, rows in dataset.splits.items()} == {"train": 4, "valid": 2, "test": 2}
    assert dataset.task.classes == ("no", "yes")
    assert dataset.target.tolist() == [0, 1, 0, 1, 0, 1, 0, 1]
    assert dataset.columns["raw_text"].values[0] == "what a 'great' day, 0"
    assert bool(dataset.signals["image"].mask.all())


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("__import__('os').system('touch ran')", "line 1 is no list of text and numbers; nothing in it was executed"),
        ("[" * 5000, "line 1 is no list"),
        ("['a', 'b']", r"expected a list \[id, text, label\]"),
        ("['a', 'b', 2]", "has the label 2; expected 0 or 1"),
        ("['a', ['b'], 1]", r"expected a list \[id, text, label\]"),
        ("'" + "a" * 100_000 + "'", "has 100002 characters"),
    ],
)
def test_refuses_what_is_not_this_layout(tmp_path, monkeypatch, line, match):
    folder = write_hfm(tmp_path / "hfm")
    monkeypatch.chdir(tmp_path)
    (folder / "text" / "valid2.txt").write_text(line + "\n")
    with pytest.raises(DataError, match=match) as caught:
        read(folder)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()
