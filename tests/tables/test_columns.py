"""Names of scenarios in a table: severities in any notation, and hints where a name is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deconfound.errors import SpecError
from support.table_runs import one, recorded, write_run


@pytest.mark.parametrize("level", ["1", "1.0", "01", "1e0", "+1.00", "1.0000001"])
def test_a_severity_may_be_written_in_any_way(tmp_path: Path, level: str) -> None:
    paths = [write_run(tmp_path / "erm-0")]
    table = one(paths, scenarios=(f"gaussian@{level}", "gaussian@1"))
    assert [column.title for column in table.columns] == ["mse gaussian@1"], "one severity is one column"
    assert table.lines[0].cells[0].spread.mean == pytest.approx(np.mean(recorded(paths[0], "gaussian", "mse", 1.0)))


@pytest.mark.parametrize(
    ("scenario", "hint"),
    [
        ("gauss@1.0", r"; did you mean 'gaussian@1'\?"),
        ("gausian@2", r"; did you mean 'gaussian@2'\?"),
        ("gauss", r"; did you mean 'gaussian'\?"),
        ("gaussian@3", "; known: gaussian@0.5, gaussian@1, gaussian@2"),
        ("gaussian@loud", "; known: gaussian@0.5, gaussian@1, gaussian@2"),
        ("gaussian@nan", "; known: gaussian@0.5, gaussian@1, gaussian@2"),
        ("test-fip@0", r"; did you mean 'test-flip'\?"),
    ],
)
def test_a_scenario_that_was_not_evaluated_is_answered_by_one_that_was(
    tmp_path: Path, scenario: str, hint: str
) -> None:
    with pytest.raises(SpecError, match=f"^no scenario '{scenario}' was evaluated{hint}$"):
        one([write_run(tmp_path / "erm-0")], scenarios=(scenario,))
