from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.errors import SpecError
from deconfound.evaluation.scenario import Scenario, default_scenarios, read_scenarios, scenario_from
from support.toy import rows


def with_modalities(*names: str) -> Dataset:
    return rows(signals={name: Signal(torch.ones(40, 1, 2), torch.ones(40, 1, dtype=torch.bool)) for name in names})


def test_the_defaults_ask_every_question_once() -> None:
    scenarios = {scenario.name: scenario for scenario in default_scenarios(rows())}
    assert list(scenarios) == [
        "valid",
        "test-iid",
        "test-flip",
        "gaussian",
        "drop-frames",
        "present=text",
        "present=audio",
    ]
    assert [name for name, scenario in scenarios.items() if scenario.clean] == ["valid", "test-iid", "test-flip"]
    assert {s.split for name, s in scenarios.items() if not s.clean} == {"test-iid"}
    assert scenarios["gaussian"].severities == (0.25, 0.5, 1.0, 2.0)
    assert scenarios["drop-frames"].severities == (0.1, 0.3, 0.5, 0.7, 0.9)
    assert scenarios["gaussian"].repeats == scenarios["drop-frames"].repeats == 3
    assert scenarios["present=audio"].present == ("audio",)
    assert scenarios["present=audio"].severities == (0.0,)


@pytest.mark.parametrize(("count", "expected"), [(1, 0), (2, 2), (3, 6), (4, 14), (5, 10), (6, 12)])
def test_subsets_are_all_of_four_and_one_or_all_but_one_of_more(count: int, expected: int) -> None:
    scenarios = default_scenarios(with_modalities(*"abcdef"[:count]))
    subsets = [set(s.present) for s in scenarios if s.present]
    assert len(subsets) == expected
    assert all(0 < len(subset) < count for subset in subsets)
    assert "drop-frames" not in {s.name for s in scenarios}, "there is no sequence"


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (("train", "valid", "test", "test-iid"), "test-iid"),
        (("train", "valid", "test-ood", "test"), "test"),
        (("train", "valid", "test-ood", "test-far"), "test-ood"),
        (("train", "valid", "valid", "valid"), "valid"),
    ],
)
def test_damage_is_done_to_the_in_distribution_split_or_to_what_there_is(
    splits: tuple[str, ...], expected: str
) -> None:
    scenarios = default_scenarios(rows(split=[splits[4 * i // 40] for i in range(40)]))
    assert {s.split for s in scenarios if s.corruption or s.present} == {expected}


def test_training_rows_alone_cannot_be_evaluated() -> None:
    with pytest.raises(SpecError, match="toys has only the split train"):
        default_scenarios(rows(split=["train"] * 40))


def test_without_training_rows_there_is_no_noise_scale_and_no_noise() -> None:
    names = [s.name for s in default_scenarios(rows(split=["test"] * 40))]
    assert "gaussian" not in names
    assert "drop-frames" in names


TABLE: dict[str, Any] = {
    "name": "loud",
    "split": "test",
    "where": {"room": ["street", 2]},
    "corruption": "gaussian",
    "arguments": {"modalities": ["audio"]},
    "severities": [0.5, 1],
    "repeats": 2,
    "present": ["audio"],
}


def test_a_table_says_the_same_as_the_constructor() -> None:
    expected = Scenario(
        "loud", "test", {"room": ["street", 2]}, "gaussian", {"modalities": ["audio"]}, (0.5, 1.0), 2, ("audio",)
    )
    assert scenario_from(TABLE) == expected
    assert scenario_from({"name": "plain", "split": "test"}) == Scenario("plain", "test")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"severity": [1]}, r"scenario 'loud': there is no argument 'severity'; did you mean 'severities'"),
        ({"split": 3}, "scenario 'loud': split = 3: input should be a valid string"),
        ({"corruption": "gausian"}, "there is no corruption 'gausian'; did you mean 'gaussian'"),
        (
            {"arguments": {"modality": ["audio"]}},
            "gaussian: there is no argument 'modality'; did you mean 'modalities'",
        ),
        ({"severities": []}, r"severities are distinct numbers from 0; got \[\]"),
        ({"severities": [1, 1]}, "severities are distinct numbers"),
        ({"severities": [-1]}, "severities are distinct numbers"),
        ({"severities": [float("nan")]}, "severities are distinct numbers"),
        ({"repeats": 0}, "repeats must be from 1 to 1000; got 0"),
        ({"name": " "}, "needs a name of printable characters; got ' '"),
        ({"name": "a\nb"}, r"needs a name of printable characters; got 'a\\nb'"),
        ({"corruption": None}, "arguments, severities and repeats need a corruption"),
    ],
)
def test_a_wrong_table_is_refused_in_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        scenario_from({**TABLE, **change})
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(SpecError, match="a scenario: the argument 'name' is missing"):
        scenario_from({"split": "test"})


def test_scenarios_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "scenarios.toml"
    path.write_text('[[scenario]]\nname = "a"\nsplit = "test"\n\n[[scenario]]\nname = "b"\nsplit = "valid"\n')
    assert read_scenarios(path) == [Scenario("a", "test"), Scenario("b", "valid")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[scenario]\n", "scenarios.toml is not TOML"),
        ("", r"holds no such table; a file of scenarios is made of \[\[scenario\]\] tables alone"),
        ("[[scenarios]]\nname = 'a'\n", "holds the key 'scenarios'"),
        ("scenario = 3\n", "holds no such table"),
        ("[[scenario]]\nname = 'a'\n", "scenarios.toml: scenario 'a': the argument 'split' is missing"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "scenarios.toml"
    path.write_text(text)
    with pytest.raises(SpecError, match=message) as caught:
        read_scenarios(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"cannot read the scenarios .*: No such file"):
        read_scenarios(tmp_path / "none.toml")
