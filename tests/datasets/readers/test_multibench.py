"""The pickle of MultiBench: padding in front, labels in any shape, id triples."""

import numpy as np
import pytest

from deconfound.datasets.readers.multibench import MultibenchReader
from deconfound.errors import DataError
from support.corpora import multibench_content, write


def read(path):
    return MultibenchReader().read(path)


def test_reads_all_of_it(tmp_path):
    content = multibench_content()
    dataset = read(write(tmp_path / "mosi_raw.pkl", content))
    assert (dataset.task.loss, dataset.task.protocol) == ("l1", "mmsa-regression")
    for split, rows in dataset.splits.items():
        part = content[split]
        for position, number in enumerate(rows):
            padding = position % 3
            for modality in ("text", "audio", "vision"):
                signal = dataset.signals[modality]
                assert np.array_equal(
                    signal.values[number][signal.mask[number]].numpy(), part[modality][position, padding:]
                )
                assert signal.mask[number].tolist() == [step < 5 - padding for step in range(5)]
            assert float(dataset.target[number]) == pytest.approx(part["labels"][position].item())
            assert dataset.columns["id"].values[number] == "/".join(part["id"][position])
    assert (dataset.environment, dataset.group) == (("video",), ("video",))
    assert dataset.columns["video"].values[0] == "a"


def test_rows_begin_at_the_first_word_and_zeros_of_others_are_values(tmp_path):
    content = multibench_content()
    content["train"]["audio"][0, :2] = 0
    content["train"]["vision"][0] = 0
    dataset = read(write(tmp_path / "mosi.pkl", content))
    assert dataset.signals["audio"].mask[0].all()
    assert not bool(dataset.signals["vision"].present[0])


def test_humour_is_a_classification(tmp_path):
    content = multibench_content(binary=True)
    dataset = read(write(tmp_path / "humor.pkl", content))
    assert dataset.task.classes == ("no", "yes")
    for part in content.values():
        part["labels"] = part["labels"] * 2 - 1
        part["id"] = [f"{id(part)}-{row}" for row in range(len(part["labels"]))]
    again = read(write(tmp_path / "sarcasm.pkl", content))
    assert again.target.tolist() == dataset.target.tolist()
    assert again.environment == ()


def test_a_video_in_two_splits_is_no_group(tmp_path):
    content = multibench_content()
    content["test"]["id"][0] = ["a", "7", "8"]
    dataset = read(write(tmp_path / "mosi.pkl", content))
    assert (dataset.environment, dataset.group) == (("video",), ())


def change(split, **values):
    return lambda content: {**content, split: {**content[split], **values}}


SHARED = np.ones((9, 5, 300), dtype=np.float32)
BAD = {
    "a list": (lambda c: [c], "holds a list of 1; expected a dict with train"),
    "a split that is a list": (lambda c: {**c, "valid": [1]}, "'valid' is a list of 1; expected a dict with labels"),
    "no labels": (change("valid", labels=None), "'labels' of 'valid' is missing; expected one number"),
    "labels of text": (change("valid", labels=["a"] * 3), "'labels' of 'valid' is a list of 3; expected one number"),
    "labels in two columns": (
        change("valid", labels=np.zeros((3, 2))),
        r"has the shape \(3, 2\).* for several labels a row",
    ),
    "ids of dicts": (change("valid", id=[{}, {}, {}]), "an id of 'valid' is a dict"),
    "too few ids": (change("valid", id=["a"]), "labels has 3 rows"),
    "no modality": (change("valid", text=None, audio=None, vision=None), "'valid' has none of text, audio, vision"),
    "a modality in some splits": (change("valid", audio=None), "in some splits only"),
    "two axes": (change("valid", audio=np.ones((3, 5))), r"expected an array of numbers, \(N, T, D\)"),
    "too many rows": (change("valid", audio=np.ones((4, 5, 74))), "has 4 rows; labels has 3"),
    "another width": (change("valid", audio=np.ones((3, 5, 7))), r"audio: rows have \[7, 74\] features"),
    "one array for all": (change("train", audio=SHARED, text=SHARED, vision=SHARED), "features|the same array"),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses_what_is_not_this_layout(tmp_path, case):
    make, match = BAD[case]
    with pytest.raises(DataError, match=match) as caught:
        read(write(tmp_path / "made.pkl", make(multibench_content())))
    assert "\n" not in str(caught.value)
    assert "made.pkl" in str(caught.value)
