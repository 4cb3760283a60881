"""Specifications with any value at any place are accepted or refused by one of our errors."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deconfound.errors import DeconfoundError
from deconfound.evaluation.scenario import scenario_from
from deconfound.runs.spec import Spec
from deconfound.sweeps.spec import SweepSpec
from deconfound.tuning.spec import TuneSpec
from fuzz import readers

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates() | st.datetimes()
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)

MAKERS: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "specification": (readers.SPEC, Spec.of),
    "sweep": (readers.SWEEP, SweepSpec.of),
    "tuning": (readers.TUNE, TuneSpec.of),
    "scenario": (readers.SCENARIOS, lambda values: [scenario_from(table) for table in _tables(values)]),
}


def _tables(values: dict[str, Any]) -> list[dict[str, Any]]:
    """What `read_scenarios` lets through."""
    tables = values.get("scenario")
    return [table for table in tables if isinstance(table, dict)] if isinstance(tables, list) else []


def _places(value: Any) -> list[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [(value, key) for key in keys] + [place for key in keys for place in _places(value[key])]


@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_value_at_any_place(name: str, data: st.DataObject) -> None:
    text, make = MAKERS[name]
    values = copy.deepcopy(tomllib.loads(text))
    parent, key = data.draw(st.sampled_from(_places(values)))
    parent[key] = data.draw(VALUES)
    line = ""
    try:
        make(values)
    except DeconfoundError as error:
        line = str(error)
    assert len(line) < 2000
