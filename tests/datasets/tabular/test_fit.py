"""Columns of a table as vectors: against scikit-learn, and what is refused or left out."""

from __future__ import annotations

import datetime
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from deconfound.datasets.frames import frame_columns
from deconfound.datasets.tabular.encoding import TabularEncoding
from deconfound.datasets.tabular.fit import TabularOptions, table_line, tabular_signal
from deconfound.errors import DataError

N = 60
DRAW = np.random.default_rng(0)
TRAIN = np.arange(N) < 40
FRAME = pd.DataFrame(
    {
        "age": DRAW.normal(40, 10, N),
        "income": [np.nan if row % 7 == 0 else 1e4 + 3 * row for row in range(N)],
        "city": [
            None if row % 9 == 0 else ("Rome", "Oslo", "Bern")[row % 3] if row < 40 else "Lima" for row in range(N)
        ],
    }
)


def fitted(table: Any = FRAME, **options: Any) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    columns = frame_columns(table)
    count = len(next(iter(columns.values())))
    train = TRAIN if count == N else np.ones(count, dtype=bool)
    ids = [str(row) for row in range(count)]
    signal, note = tabular_signal(columns, train, TabularOptions(**options), "record", ids)
    return signal.values[:, 0].numpy(), signal.mask[:, 0].numpy(), note


def test_numbers_and_categories_are_those_of_scikit_learn() -> None:
    values, mask, note = fitted()
    assert note["preparation"]["features"] == [
        "age", "income", "income missing", "city=Bern", "city=Oslo", "city=Rome", "city missing",
    ]  # fmt: skip
    scaler = StandardScaler().fit(FRAME[["age", "income"]][TRAIN])
    scaled = np.nan_to_num(scaler.transform(FRAME[["age", "income"]]))
    np.testing.assert_allclose(values[:, [0, 1]], scaled, atol=1e-4)
    np.testing.assert_array_equal(values[:, 2], FRAME["income"].isna())
    known = FRAME[["city"]].fillna("?")
    hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(known[TRAIN])
    assert list(hot.categories_[0]) == ["?", "Bern", "Oslo", "Rome"]
    np.testing.assert_array_equal(values[:, [6, 3, 4, 5]], hot.transform(known))
    assert mask.all()
    assert note["missing"] == {"income": 9, "city": 7}
    assert note["unknown"] == {"city": 18}
    assert table_line(note) == "columns age number, income number (9 missing), city 3 categories (7 missing, 18 others)"


def test_rows_outside_of_training_change_nothing() -> None:
    other = FRAME.copy()
    other.loc[~TRAIN, "age"] = 1e9
    other.loc[~TRAIN, "city"] = "Kyiv"
    assert fitted()[2]["preparation"] == fitted(other)[2]["preparation"]


def test_json_keeps_the_encoding_and_new_rows_are_read_alike() -> None:
    values, _, note = fitted()
    again = TabularEncoding.of(json.loads(json.dumps(note["preparation"]["encoding"])))
    signal = again.encode(frame_columns(FRAME), "record", [str(row) for row in range(N)])
    assert torch.equal(signal.values[:, 0], torch.from_numpy(values))
    alone = again.encode({"city": ["Rome", "Lima", None, " rome"]}, "record", list("abcd"))
    assert alone.mask[:, 0].tolist() == [True, True, False, True]
    assert alone.values[0, 0].tolist() == [0, 0, 1, 0, 0, 1, 0]
    assert alone.values[1, 0].tolist() == [0, 0, 1, 0, 0, 0, 0]
    assert not alone.values[2].any()


def test_a_row_without_any_value_lacks_the_modality() -> None:
    _, mask, _ = fitted({"a": [1.0, None, 3.0], "b": ["x", "n/a", None]})
    assert mask.tolist() == [True, False, True]


@pytest.mark.parametrize(
    "cells",
    [
        [True, False, True],
        ["true", "false", "TRUE"],
        np.array([True, False, True]),
        pd.array([True, False, True], dtype="boolean").tolist(),
    ],
)
def test_truth_is_two_categories_however_it_is_written(cells: Any) -> None:
    values, _, note = fitted({"member": cells})
    assert note["preparation"]["features"] == ["member=False", "member=True"]
    assert values.tolist() == [[0, 1], [1, 0], [0, 1]]


@pytest.mark.parametrize("cells", [[1, 2, 3], ["1", "2.0", "3"], np.array([1.0, 2.0, 3.0])])
def test_numbers_named_as_categories_have_one_name_in_every_file(cells: Any) -> None:
    assert fitted({"zip": cells}, categorical=("zip",))[2]["preparation"]["features"] == ["zip=1", "zip=2", "zip=3"]
    assert fitted({"zip": cells})[2]["preparation"]["features"] == ["zip"]


def test_leading_zeros_stay_texts() -> None:
    assert fitted({"zip": ["01067", "20095", "01067"]}, categorical=("zip",))[2]["preparation"]["features"] == [
        "zip=01067",
        "zip=20095",
    ]


def test_rare_categories_share_one_column() -> None:
    cells = ["a"] * 5 + ["b"] * 4 + ["c"] * 3 + ["d"] * 2 + ["e"]
    values, _, note = fitted({"kind": cells}, most_categories=2)
    assert note["preparation"]["features"] == ["kind=a", "kind=b", "kind other"]
    assert values.sum(axis=0).tolist() == [5, 4, 6]
    assert note["unknown"] == {"kind": 6}


def test_what_does_not_vary_in_training_is_left_out() -> None:
    _, _, note = fitted({"age": [1, 2, 3], "country": ["IT"] * 3, "empty": [None] * 3})
    assert note["preparation"]["features"] == ["age"]
    assert note["left_out"] == {
        "country": "it is 'IT' in all training rows",
        "empty": "it has no value in the training rows",
    }
    assert "country is left out, because it is 'IT' in all training rows" in table_line(note)


def test_a_column_that_numbers_the_rows_is_named() -> None:
    _, _, note = fitted({"row": range(30), "x": [row**2 for row in range(30)]})
    assert note["idlike"] == ["row"]
    assert table_line(note).endswith("; row holds another whole number in each row, as ids do")


def test_numbers_beyond_floats_are_missing_and_far_ones_finite() -> None:
    values, _, _ = fitted({"x": [1.0, 2.0, 1e300, np.inf, -np.inf, 3.0], "y": list("aabbab")})
    assert np.isfinite(values).all()
    assert values[:, 1].tolist() == [0, 0, 1, 1, 1, 0]
    encoding = TabularEncoding.of(fitted({"x": [1.0, 2.0]})[2]["preparation"]["encoding"])
    far = encoding.encode({"x": [1e38, -1e38]}, "record", ["a", "b"]).values
    assert torch.isfinite(far.square()).all()


@pytest.mark.parametrize(
    ("table", "options", "match"),
    [
        ({"day": ["2024-01-02", "2024-02-03", None]}, {}, "'day' holds dates, such as '2024-01-02'"),
        ({"day": [datetime.date(2024, 1, day) for day in (1, 2)]}, {}, "holds dates"),
        ({"day": ["31.12.2024", "1.1.2025"]}, {}, "holds dates"),
        (
            {"name": [f"n{row}" for row in range(60)]},
            {},
            "40 different texts in 40 training rows.*as ids and sentences do",
        ),
        ({"price": [f"{row},50 €" for row in range(30)]}, {}, "numbers that are written as texts, such as '0,50 €'"),
        ({"age": [1, 2, "old"]}, {}, "'age' holds 2 numbers and 1 texts, such as 'old'"),
        ({"age": [[1], [2]]}, {}, "one number or text per row"),
        ({"age": [1, 2]}, {"categorical": ("city",)}, "categorical names 'city'"),
        ({"age": [1, 1], "b": [None, None]}, {}, "no column varies in the training rows"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(table: Any, options: dict[str, Any], match: str) -> None:
    with pytest.raises(DataError, match=match) as error:
        fitted(table, **options)
    assert "\n" not in str(error.value)


def test_a_text_among_new_numbers_names_its_row() -> None:
    encoding = TabularEncoding.of(fitted()[2]["preparation"]["encoding"])
    with pytest.raises(DataError, match="'age' of 'b' is 'old'; it is a column of numbers"):
        encoding.encode({"age": [1, "old"]}, "record", ["a", "b"])
