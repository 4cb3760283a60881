"""The pickle of HKT: punchline, context and humour-centric features."""

import numpy as np
import pytest

from deconfound.datasets.readers.hkt import HktReader
from deconfound.errors import DataError
from support.corpora import hkt_content, write


def read(path, **arguments):
    return HktReader(text="none", **arguments).read(path)


def test_reads_all_of_it(tmp_path):
    content = hkt_content()
    dataset = read(write(tmp_path / "ur_funny.pkl", content))
    assert dataset.task.classes == ("no", "yes")
    assert {name: modality.shape for name, modality in dataset.modalities.items()} == {
        "vision": (36,),
        "audio": (60,),
        "hcf": (4,),
        "context_vision": (36,),
        "context_audio": (60,),
        "context_hcf": (4,),
    }
    rows = content["train"] + content["dev"] + content["test"]
    for number, ((spoken, visual, acoustic, hcf), before, row_id, label) in enumerate(rows):
        expected = {"vision": visual[:, 55:91], "audio": acoustic[:, :60], "hcf": hcf, "context_hcf": before[3]}
        for name, array in expected.items():
            signal = dataset.signals[name]
            assert np.array_equal(signal.values[number][signal.mask[number]].numpy(), array)
        assert dataset.columns["raw_text"].values[number] == " ".join(spoken)
        assert dataset.columns["raw_context_text"].values[number] == " ".join(before[0])
        assert dataset.columns["id"].values[number] == row_id
        assert int(dataset.target[number]) == label
    assert not bool(dataset.signals["context_vision"].present[0])
    assert dataset.environment == ()  # 1_60 of MUStARD is no clip 60 of a video 1


def test_all_columns_and_no_context_on_request(tmp_path):
    path = write(tmp_path / "mustard.pkl", hkt_content())
    dataset = read(path, features="all", context=False)
    assert {name: modality.shape for name, modality in dataset.modalities.items()} == {
        "vision": (91,),
        "audio": (81,),
        "hcf": (4,),
    }


def test_narrower_features_are_refused_with_the_remedy(tmp_path):
    content = hkt_content()
    content["train"][0] = ((["a"], np.ones((1, 36)), np.ones((1, 81)), np.ones((1, 4))), *content["train"][0][1:])
    with pytest.raises(DataError, match=r"has 36 columns, the authors use those up to 91; .*features=all"):
        read(write(tmp_path / "made.pkl", content))


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ((1, 2, 3), "is a tuple of 3; expected a tuple of 4"),
        (((1, 2), (), "a", 1), "punchline of row 0 of 'dev' is a tuple of 2; expected a tuple of 4"),
        (("abcd", (), "a", 1), "punchline of row 0 of 'dev' is 'abcd'"),
    ],
)
def test_refuses_what_is_not_this_layout(tmp_path, row, match):
    with pytest.raises(DataError, match=match) as caught:
        read(write(tmp_path / "made.pkl", {**hkt_content(), "dev": [row]}))
    assert "\n" not in str(caught.value)
