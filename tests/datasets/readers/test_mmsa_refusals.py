"""What the reader of the field's pickle refuses, each in one line."""

import pickle
import tracemalloc

import numpy as np
import pytest

from deconfound.datasets.readers.mmsa import read_mmsa
from deconfound.errors import DataError
from support.data_making import corpus, refuse_mmsa


def change(**changes):
    def apply(content):
        for place, value in changes.items():
            split, key = place.split("__")
            if value is None:
                del content[split][key]
            else:
                content[split][key] = value
        return content

    return apply


def alias(content):
    shared = np.ones((5, 4, 2), dtype=np.float32)
    return {"train": {"regression_labels": [0.0] * 5, "text": shared, "audio": shared, "vision": shared}}


SHARED: list[object] = ["x"]


def ragged():
    rows = np.empty(5, dtype=object)
    rows[:] = [np.ones((1 + i, 3)) for i in range(5)]
    return rows


BAD = {
    "a list": (lambda c: [c], "holds a list; expected a dict with train, valid, test"),
    "other splits": (lambda c: {"a": c["train"]}, r"a dict with \['a'\]"),
    "a misspelt split": (lambda c: {**c, "vaild": c["valid"]}, "'vaild'; did you mean 'valid'"),
    "a split that is a list": (lambda c: {**c, "valid": [1]}, "'valid' is a list"),
    "no labels": (change(valid__regression_labels=None), "'regression_labels' of 'valid' is missing"),
    "labels of text": (change(valid__regression_labels=["a", "b", "c"]), "something other than numbers"),
    "labels in two columns": (
        change(train__regression_labels=np.zeros((5, 2))),
        r"shape \(5, 2\).* for several labels a row",
    ),
    "a label that is NaN": (change(train__regression_labels=[0.0, float("nan"), 0, 0, 0]), r"'train0\$_\$1' is nan"),
    "no rows": (lambda c: {**c, "valid": {"regression_labels": [], "text": np.zeros((0, 4, 2))}}, "'valid' is empty"),
    "no modality": (lambda c: {"train": {"regression_labels": [1.0]}}, "no split has any of text, audio, vision"),
    "a modality in one split": (change(test__audio=None), "'audio' is in 'train' but not in 'test'"),
    "a modality of NaN": (
        lambda c: {s: {**p, "audio": np.full_like(p["audio"], np.nan)} for s, p in c.items()},
        "'audio' is absent in every row",
    ),
    "other steps in a split": (change(test__text=np.ones((4, 9, 2))), "different steps and features"),
    "other features in a split": (change(test__text=np.ones((4, 4, 3))), "different steps and features"),
    "too many rows": (change(train__text=np.ones((6, 4, 2))), "regression_labels has 5 rows"),
    "a modality of text": (change(train__text=np.array([["a"]] * 5)), "expected an array of numbers"),
    "a modality that is a list": (change(train__text=[[1.0]] * 5), "'text' of 'train' is a list"),
    "one axis": (change(train__text=np.ones(5)), r"\(N, T, D\) or \(N, D\)"),
    "rows of unequal length": (
        change(train__audio=[np.ones((1 + i, 3)) for i in range(5)]),
        "is a list; .* pad rows of unequal length with zeros, and give their steps as 'audio_lengths'",
    ),
    "an object array of rows of unequal length": (
        change(train__audio=ragged()),
        "pad arrays of unequal length to one array of numbers",
    ),
    "rows that lack a modality": (
        change(train__text=np.ones((3, 4, 2))),
        r"shape \(3, 4, 2\); regression_labels has 5 rows: give each row one, of zeros where it lacks the modality",
    ),
    "no features": (change(train__text=np.ones((5, 4, 0))), r"shape \(5, 4, 0\)"),
    "a length beyond the array": (
        change(valid__text_lengths=[1, 9, 1]),
        r"of 'valid0\$_\$1' is 9; the array has 4 steps",
    ),
    "a negative length": (change(valid__text_lengths=[1, -1, 1]), "is -1"),
    "half a step": (change(valid__text_lengths=[1, 0.5, 1]), "is 0.5"),
    "too few lengths": (change(valid__text_lengths=[1, 1]), "has 2 rows; regression_labels has 3"),
    "lengths in one split": (change(valid__text_lengths=None), "not in all splits"),
    "an id twice": (change(valid__id=["a", "b", "a"]), "'a' occurs 2 times"),
    "an id in two splits": (change(valid__id=["train0$_$0", "b", "c"]), "occurs 2 times .in train, valid."),
    "ids of lists": (change(valid__id=[["a"], "b", "c"]), "'id' of 'valid' is not a list of texts"),
    "too few texts": (change(valid__raw_text=["a"]), "has 1 rows"),
    "one array for all": (alias, "the same array"),
    "lists of lists": (change(valid__regression_labels=[SHARED, SHARED, SHARED]), "something other than numbers"),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses_what_is_not_this_layout(tmp_path, case):
    make, match = BAD[case]
    refuse_mmsa(tmp_path, make(corpus()), match)


def test_missing_and_other_files_are_refused_in_one_line(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_mmsa(tmp_path / "none.pkl")
    (tmp_path / "rows.csv").write_text("id,label\na,1\n")
    with pytest.raises(DataError, match="not a pickle"):
        read_mmsa(tmp_path / "rows.csv")


def test_long_texts_cost_their_length_once(tmp_path):
    """A text as wide as the longest one in every row would take 500 × 4 MB here."""
    rows = 500
    long = "x" * 10**6
    part = {"regression_labels": np.zeros(rows), "text": np.ones((rows, 1)), "id": [f"a$_${i}" for i in range(rows)]}
    part["raw_text"] = [long] * rows
    path = tmp_path / "long.pkl"
    path.write_bytes(pickle.dumps({"train": part}))
    tracemalloc.start()
    dataset = read_mmsa(path)
    assert tracemalloc.get_traced_memory()[1] < 20 * 10**6
    tracemalloc.stop()
    assert dataset.columns["raw_text"].values[3] == long
