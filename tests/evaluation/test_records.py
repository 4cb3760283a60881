from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from deconfound.errors import RunError
from deconfound.evaluation.records import Record, frame, merged, read_records, write_records

ONE = Record("run-0", "erm", "toys", 0, "test", "test", 0.0, 0, "all", "regression", "mae", 0.1 + 0.2, 10)
WORST = replace(ONE, group="worst(speaker)", groups=4, undefined=1)
ODD = replace(ONE, scenario="a\u2028b", group='speaker="x"\n', metric="corr", value=None)


def uncounted(record: Record) -> dict[str, Any]:
    return {name: value for name, value in asdict(record).items() if name not in ("groups", "undefined")}


def test_records_survive_a_file_exactly(tmp_path: Path) -> None:
    write_records(tmp_path / "records.jsonl", [ONE, ODD])
    assert read_records(tmp_path / "records.jsonl") == [ONE, ODD]
    write_records(tmp_path / "worst.jsonl", [WORST])
    assert read_records(tmp_path / "worst.jsonl") == [WORST]
    lines = (tmp_path / "records.jsonl").read_bytes().split(b"\n")
    assert [json.loads(line) for line in lines[:-1]] == [uncounted(ONE), uncounted(ODD)]


def test_a_file_that_is_not_there_holds_no_record(tmp_path: Path) -> None:
    assert read_records(tmp_path / "records.jsonl") == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"n": "10"}, "n is '10'"),
        ({"n": True}, "n is True"),
        ({"value": math.nan}, "value is nan"),
        ({"severity": math.inf}, "severity is inf"),
        ({"run": 3}, "run is 3"),
        ({"undefined": "1"}, "undefined is '1'"),
        ({"other": 3}, "its fields are not those of a record"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, change: dict[str, object], complaint: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(f"{json.dumps(asdict(ONE))}\n{json.dumps({**asdict(ONE), **change})}\n")
    with pytest.raises(RunError, match=f"line 2 is not a record \\({complaint}"):
        read_records(path)


@pytest.mark.parametrize("line", ["{", "[1]", "[" * 100_000, '{"run": "\udcff"}'])
def test_what_is_not_json_is_refused_in_one_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_bytes(line.encode(errors="surrogateescape"))
    with pytest.raises(RunError, match="line 1 is not a record") as caught:
        read_records(path)
    assert "\n" not in str(caught.value)


def test_records_of_earlier_versions_do_not_say_how_many_groups_were_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(json.dumps(uncounted(WORST)) + "\n")
    assert read_records(path) == [replace(WORST, groups=None, undefined=None)]
    path.write_text(json.dumps({k: v for k, v in asdict(WORST).items() if k != "value"}) + "\n")
    with pytest.raises(RunError, match="its fields are not those of a record"):
        read_records(path)


def test_merging_replaces_scenarios_and_keeps_the_others() -> None:
    old = [replace(ONE, value=1.0), replace(ONE, scenario="valid", value=2.0), replace(ONE, metric="corr")]
    assert merged(old, [ONE]) == [old[1], ONE]


def test_the_frame_has_a_column_per_field_and_nan_where_undefined() -> None:
    table = frame([ONE, ODD])
    assert list(table.columns) == list(asdict(ONE))
    assert table["value"][0] == ONE.value
    assert math.isnan(table["value"][1])
    assert list(frame([]).columns) == list(asdict(ONE))
    assert frame([replace(ODD, severity=1)])["severity"].dtype == float
    assert frame([ONE, WORST])["undefined"].isna().tolist() == [True, False]
