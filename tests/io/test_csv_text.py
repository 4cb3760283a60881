"""Cells of CSV that no spreadsheet computes."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deconfound.io.csv_text import csv_row_writer, defuse


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "−", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", " =", "\u00a0@", "\ufeff="]
)
def test_what_begins_a_formula_is_text(start: str) -> None:
    assert defuse(f"{start}cmd|' /C calc'!A0") == f"'{start}cmd|' /C calc'!A0"


@pytest.mark.parametrize(
    "value", ["-1", "+2.5e-3", "−0.5", "-.5", ".5", -1, -0.5, 3, None, True, "a=b", "anna", "", "1-2"]
)
def test_numbers_and_plain_texts_stay(value: Any) -> None:
    assert defuse(value) == value
    assert type(defuse(value)) is type(value)


@pytest.mark.parametrize("value", ["-1+2", "=1", "--1", "-", "+", "-1e", "-inf", "-1\n=2"])
def test_what_only_begins_like_a_number_is_text(value: str) -> None:
    assert defuse(value) == f"'{value}"


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), min_size=1))
def test_raw_cells_are_read_back_and_others_too_without_their_apostrophe(row: list[str]) -> None:
    for raw in (True, False):
        file = io.StringIO(newline="")
        csv_row_writer(file, raw=raw)(row)
        cells = next(csv.reader(io.StringIO(file.getvalue(), newline="")), [])
        expected = row if raw else [defuse(cell) for cell in row]
        assert cells == expected
