"""MVSA: tweets with an image, as JSON lines and as the JSON lists of CLMLF."""

import json

import pytest

from deconfound.datasets.readers.mvsa import MvsaReader
from deconfound.errors import DataError
from support.raw_corpora import fast_options, real_data, write_posts

LABELS = ("positive", "neutral", "negative")


def read(path, **arguments):
    return MvsaReader(**{**fast_options("mvsa"), **arguments}).read(path)


def test_reads_all_of_it(tmp_path):
    dataset = read(write_posts(tmp_path / "mvsa", LABELS))
    assert dataset.name == "mvsa"
    assert {split: len(rows) for split, rows in dataset.splits.items()} == {"train": 6, "valid": 3, "test": 3}
    assert dataset.task.classes == LABELS
    assert dataset.target.tolist() == [0, 1, 2] * 4
    assert dataset.columns["raw_text"].values[1] == "a neutral post, 1"
    assert dataset.columns["file"].values[1] == "images/train_1.png"
    assert dataset.modalities["image"].shape == (3, 64, 64)
    assert bool(dataset.signals["image"].mask.all())


def test_lists_with_numbers_as_labels(tmp_path):
    for split in ("train", "dev", "test"):
        posts = [{"id": f"{split}{n}", "text": f"post {n}", "emotion_label": n} for n in range(3)]
        (tmp_path / f"clmlf_{split}.json").write_text(json.dumps(posts))
    dataset = read(tmp_path, image="none")
    assert dataset.task.classes == LABELS
    assert dataset.target.tolist() == [0, 1, 2] * 3
    assert list(dataset.signals) == ["text"]


def test_a_missing_image_is_absent_and_all_missing_are_refused(tmp_path):
    folder = write_posts(tmp_path / "mvsa", LABELS)
    lines = (folder / "train.jsonl").read_text().splitlines()
    post = {**json.loads(lines[0]), "img": None}
    (folder / "train.jsonl").write_text("\n".join([json.dumps(post), *lines[1:]]))
    assert read(folder).signals["image"].present.tolist() == [False] + [True] * 11
    bare = write_posts(tmp_path / "bare", LABELS, images=False)
    with pytest.raises(DataError, match=r"image: none of 12 files, .* is in .*bare; .*--option image=none"):
        read(bare)


def test_an_image_outside_the_folder_is_refused(tmp_path):
    folder = write_posts(tmp_path / "mvsa", LABELS)
    text = (folder / "dev.jsonl").read_text().replace("images/dev_0.png", "../secret.png")
    (folder / "dev.jsonl").write_text(text)
    with pytest.raises(DataError, match="points outside"):
        read(folder)


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ('{"id": "x", "text": "a", "label": "postive"}', "a label 'postive'; did you mean 'positive'"),
        ('{"id": "x", "label": "positive"}', r"dev.jsonl: record 1 has no 'text' of text"),
        ('{"id": "train0", "text": "a", "label": "positive"}', "occurs 2 times"),
        ('{"id": "x", "text": "a"}', "no 'label' or 'emotion_label'"),
        ("[1]", "line 1 is a list"),
        ("{", "line 1 is not JSON"),
    ],
)
def test_refuses_what_is_not_this_layout(tmp_path, line, match):
    folder = write_posts(tmp_path / "mvsa", LABELS)
    (folder / "dev.jsonl").write_text(line + "\n")
    with pytest.raises(DataError, match=match) as caught:
        read(folder, image="none")
    assert "\n" not in str(caught.value)


def test_refuses_other_folders(tmp_path):
    with pytest.raises(DataError, match=r"has no file of the split train; expected train\.jsonl"):
        read(tmp_path)
    folder = write_posts(tmp_path / "mvsa", LABELS)
    with pytest.raises(DataError, match="is a file; name the folder"):
        read(folder / "train.jsonl")
    (folder / "train_2.jsonl").write_text("{}")
    with pytest.raises(DataError, match=r"holds train\.jsonl and train_2\.jsonl; keep one"):
        read(folder)


def test_the_real_texts():
    dataset = read(real_data("mvsa-single-text"), image="none")
    assert {split: len(rows) for split, rows in dataset.splits.items()} == {"train": 3611, "valid": 450, "test": 450}
