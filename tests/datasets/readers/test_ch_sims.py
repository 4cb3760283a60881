"""The label table of CH-SIMS: with and without a header, its splits, and the real table of CMU-MOSEI."""

import pytest

from deconfound.datasets.readers.ch_sims import ChSimsReader
from deconfound.datasets.recognise import recognise
from deconfound.errors import DataError
from deconfound.registry import build
from support.raw_corpora import ch_sims_rows, fast_options, real_data, write_csv


def read(path):
    return ChSimsReader(**fast_options("ch-sims")).read(path)


@pytest.mark.parametrize("header", [True, False])
def test_reads_all_of_it(tmp_path, header):
    rows = ch_sims_rows()
    dataset = read(write_csv(tmp_path / "label.csv", rows, header))
    assert {split: len(numbers) for split, numbers in dataset.splits.items()} == {"train": 9, "valid": 3, "test": 3}
    assert dataset.task.protocol == "sims"
    assert dataset.group == dataset.environment == ("video",)
    assert dataset.columns["id"].values[0] == "video_0000$_$0001"
    assert dataset.columns["raw_text"].values.tolist() == [row["text"] for row in rows]
    assert dataset.columns["label_A"].values[0] == -0.2
    assert dataset.target.tolist() == pytest.approx([row["label"] for row in rows])
    assert dataset.provenance["masks"]["text"]["preparation"]["extractor"]["name"] == "word-pieces"


@pytest.mark.parametrize("header", [True, False])
def test_it_is_recognised(tmp_path, header):
    guess = recognise(write_csv(tmp_path / "label.csv", ch_sims_rows(), header))
    assert guess is not None
    assert guess.reader == "ch-sims"


def test_an_extractor_takes_arguments(tmp_path):
    fast_options("ch-sims")
    options = {"text": {"name": "word-pieces", "most": 5}}
    dataset = build("readers", "ch-sims", **options).read(write_csv(tmp_path / "label.csv", ch_sims_rows()))
    assert str(dataset.modalities["text"]) == "text tokens 5"


def test_rows_that_mix_splits_or_have_no_label_are_left_out(tmp_path):
    rows = [{**row, "mask": 1} for row in ch_sims_rows()]
    rows.append({**rows[0], "mode": "train_mix"})
    rows[1]["label"] = ""
    dataset = read(write_csv(tmp_path / "meta.csv", rows))
    assert len(dataset) == 14
    assert dataset.provenance["mixed_rows_dropped"] == dataset.provenance["unlabelled_rows_dropped"] == 1
    assert dataset.task.protocol == "sims-v2"


def test_wider_labels_are_those_of_mosei(tmp_path):
    rows = [{name: row[name] for name in ("video_id", "clip_id", "text", "label", "mode")} for row in ch_sims_rows()]
    rows[0]["label"] = 3.0
    assert read(write_csv(tmp_path / "label.csv", rows)).task.protocol == "mmsa-regression"


def test_clips_that_are_not_there_are_refused_with_the_remedy(tmp_path):
    path = write_csv(tmp_path / "label.csv", ch_sims_rows())
    with pytest.raises(DataError, match=r"none of 15 files, such as Raw/video_0000/0001.mp4.*--option video=none"):
        ChSimsReader(**fast_options("ch-sims"), video="frames").read(path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"mode": "trian"}, "there is a split 'trian'; did you mean 'train'"),
        ({"label": "good"}, "'label' of row 1 is 'good'; expected a number"),
        ({"clip_id": "0002"}, "occurs 2 times"),
    ],
)
def test_refuses_what_is_not_this_layout(tmp_path, change, match):
    rows = ch_sims_rows()
    rows[0] |= change
    with pytest.raises(DataError, match=match) as caught:
        read(write_csv(tmp_path / "label.csv", rows))
    assert "\n" not in str(caught.value)


def test_refuses_other_sources(tmp_path):
    with pytest.raises(DataError, match="is a folder; name its CSV"):
        read(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(DataError, match=r"is not a \.csv file"):
        read(tmp_path / "a.txt")


@pytest.mark.slow
def test_the_real_table_of_mosei():
    dataset = read(real_data("mosei-text/label.csv"))
    assert {split: len(rows) for split, rows in dataset.splits.items()} == {"train": 16274, "valid": 1861, "test": 4653}
    assert dataset.group == ("video",)
