"""The whole diagnosis of small runs: files, the log of openings, and defined answers where there is little to measure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deconfound import diagnose
from deconfound.api import fit
from deconfound.cli import app as cli
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.task import Task
from deconfound.diagnostics.result import Diagnosis
from deconfound.diagnostics.rows import observe
from deconfound.errors import DataError, RunError
from deconfound.report.diagnostics import read_diagnoses
from deconfound.results.run_result import read_run
from deconfound.runs.run import Run
from support.small import FAST, small_run

QUICK: dict[str, Any] = {"permutations": 9, "resamples": 20}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def cmir(tmp_path_factory: pytest.TempPathFactory) -> Run:
    data = {"synthetic": {"rows": 128, "modalities": 2}}
    return small_run(tmp_path_factory.mktemp("runs") / "cmir", method={"name": "cmir", "dim": 3}, data=data)


@pytest.fixture(scope="module")
def found(cmir: Run) -> Diagnosis:
    return diagnose(cmir, **QUICK)


def answers(found: Diagnosis) -> dict[str, str]:
    return {each.key: each.answer for each in found.verdict}


def of_rows(n: int, task: str = "regression", **changes: Any) -> Dataset:
    """2n rows, half of them for validation: a vector "a" that shows the label, and "b"."""
    rng = torch.Generator().manual_seed(0)
    label = torch.randn(2 * n, generator=rng)
    ones = torch.ones(2 * n, 1, dtype=torch.bool)
    a = Signal((label[:, None] + torch.randn(2 * n, 3, generator=rng))[:, None], ones)
    b = Signal(torch.randn(2 * n, 1, 2, generator=rng), ones)
    classes = Task.classification(("low", "high"))
    given: dict[str, Any] = {
        "name": "made",
        "task": classes if task == "classification" else Task.regression(),
        "signals": {"a": a, "b": b},
        "target": (label > 0).long() if task == "classification" else label,
        "metadata": {"id": [f"r{i}" for i in range(2 * n)], "speaker": [f"s{i % 3}" for i in range(2 * n)]},
        "split": ["train"] * n + ["valid"] * n,
        "environment": ("speaker",),
    }
    return Dataset.build(**{**given, **changes})


def test_everything_is_written_and_read_again(cmir: Run, found: Diagnosis) -> None:
    text = (cmir.path / "diagnosis.json").read_text(encoding="utf-8")
    assert json.loads(text) == json.loads(json.dumps(found.to_json()))
    assert "NaN" not in text
    assert (found.split, found.rows, found.splits_features) == ("valid", 32, True)
    assert found.widths == {part: {"m1": 3, "m2": 3} for part in ("predictive", "spurious")}
    assert {(p.asks, p.part, p.modality, p.kind) for p in found.probes} == {
        (asks, part, modality, kind)
        for asks in ("label", "environment")
        for part in ("predictive", "spurious")
        for modality in ("all", "m1", "m2")
        for kind in ("linear", "kernel")
    }
    assert {(r.source, r.factor) for r in found.recovery} == {
        *((part, factor) for part in ("predictive", "spurious") for factor in "CS"),
        ("C", "S"),
        ("S", "C"),
    }
    assert found.swap is not None
    assert found.swap.prediction_moves == 0
    assert {each.partner for each in found.swap.decoded} == {"same", "other"}
    assert sum(found.environments.values()) == 32


def test_equal_seeds_give_equal_numbers(cmir: Run, found: Diagnosis, tmp_path: Path) -> None:
    assert diagnose(cmir.path, out=tmp_path / "again.json", **QUICK) == found
    other = diagnose(cmir, out=tmp_path / "other.json", seed=1, **QUICK)
    assert other.probes != found.probes


def test_observed_parts_are_those_of_the_method(cmir: Run) -> None:
    data, method = cmir.dataset(), cmir.method()
    observed, _ = observe(method, data, "valid")
    with torch.no_grad():
        batch = data.batch("valid")
        parts = method.representations(batch)
        risk = data.task.risk(method(batch), batch.target)
    assert observed.spurious["m2"] == pytest.approx(parts.spurious["m2"].numpy(), abs=1e-5)
    assert observed.risks == pytest.approx(risk.numpy(), abs=1e-5)
    assert observed.rest == pytest.approx(0, abs=1e-5)
    span = data.rows("valid")
    assert np.array_equal(observed.latents["C/m1"], data.latents["C/m1"][span.start : span.stop].double().numpy())


def test_only_a_diagnosis_of_test_rows_is_an_opening(cmir: Run) -> None:
    log = cmir.path / "test_access.jsonl"
    diagnose(cmir, **QUICK)
    assert not log.exists()
    for _ in range(2):
        diagnose(cmir, split="test-zero", **QUICK)
    assert [json.loads(line)["scenarios"] for line in log.read_text().splitlines()] == [["diagnose test-zero"]] * 2
    assert json.loads((cmir.path / "diagnosis-test-zero.json").read_text())["split"] == "test-zero"
    assert list(read_diagnoses(read_run(cmir.path))) == ["test-zero", "valid"]


def test_erm_has_no_spurious_part(tmp_path: Path) -> None:
    found = diagnose(small_run(tmp_path / "erm"), **QUICK)  # 16 rows of validation
    assert (found.splits_features, found.swap, found.dependence, found.role_swap) == (False, None, [], [])
    assert {p.why for p in found.probes} == {"too few rows (16; 20 are needed)"}
    assert {key: answer for key, answer in answers(found).items() if answer == "yes"}.keys() <= {"risk"}


@pytest.mark.parametrize("n", [2, 4])
def test_few_rows_have_defined_answers(n: int, tmp_path: Path) -> None:
    data = of_rows(n)
    fit(data, "cmir", out=tmp_path / "r", train={**FAST, "batch_size": 4}, progress=False)
    found = diagnose(tmp_path / "r", data, **QUICK)
    assert set(answers(found).values()) <= {"cannot tell", "", "no"}
    assert answers(found)["swap"] == "no"
    assert len(found.pictures) == (2 if n > 2 else 0)
    assert found.recovery == found.mcc == found.dci == []


def test_one_environment_and_one_class(tmp_path: Path) -> None:
    data = of_rows(30, "classification", environment=())
    valid_of_one_class = torch.cat([data.target[:30], torch.zeros(30, dtype=torch.int64)])
    data = of_rows(30, "classification", environment=(), target=valid_of_one_class)
    fit(data, "cmir", out=tmp_path / "r", train=FAST, progress=False)
    found = diagnose(tmp_path / "r", data, **QUICK)
    assert found.environments == {}
    assert {p.why for p in found.probes} == {"there is one value only"}
    assert {answers(found)[key] for key in ("risk", "shift-of-predictive", "label-from-predictive")} == {"cannot tell"}
    assert "declare no environment" in next(f.text for f in found.verdict if f.key == "risk")
    assert set(found.pictures[0].label) == {"low"}


def test_an_absent_modality_is_left_out(tmp_path: Path) -> None:
    data = of_rows(30)
    gone = torch.ones(60, 1, dtype=torch.bool)
    gone[30:] = False
    absent = of_rows(30, signals={"a": data.signals["a"], "b": data.signals["b"].keep(gone)})
    fit(absent, "cmir", out=tmp_path / "r", train=FAST, progress=False)
    found = diagnose(tmp_path / "r", absent, **QUICK)
    assert found.present == {"a": 30, "b": 0}
    by_modality = {p.modality: p.why for p in found.probes if p.asks == "label" and p.part == "predictive"}
    assert by_modality["all"] == by_modality["a"] == ""
    assert by_modality["b"] == "too few rows (0; 20 are needed)"
    assert {each.modality for each in found.swap.decoded} == {"a"} if found.swap else False


def test_rows_of_a_group_are_held_out_together(tmp_path: Path) -> None:
    metadata = {"id": [f"r{i}" for i in range(60)], "speaker": [f"s{i // 30}{i % 6}" for i in range(60)]}
    data = of_rows(30, metadata=metadata, group=("speaker",), environment=())
    fit(data, "erm", out=tmp_path / "r", train=FAST, progress=False)
    found = diagnose(tmp_path / "r", data, **QUICK)
    assert found.groups == ["speaker"]
    assert {p.grouped for p in found.probes if p.asks == "label"} == {True}


def test_refusals(cmir: Run, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no split 'tset-zero'; did you mean 'test-zero'"):
        diagnose(cmir, split="tset-zero")
    with pytest.raises(RunError, match="needs 1 permutation and 2 resamples or more; got 0 and 500"):
        diagnose(cmir, permutations=0)
    with pytest.raises(RunError, match="does not exist"):
        diagnose(tmp_path / "nowhere")


def test_the_command_prints_the_verdict_and_draws(
    cmir: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            cli.main(["diagnose", str(cmir.path), "--permutations", "9", "--out", str(tmp_path / "d.json"), *words])
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    code, text, _ = call("--svg", str(tmp_path / "parts.svg"))
    assert code == 0
    assert text.startswith("cmir (cmir on synthetic), 32 rows of valid\n")
    assert "What do these numbers hold for?\n" in text
    assert f"wrote {tmp_path / 'd.json'} and {tmp_path / 'parts.svg'}" in text
    assert "<svg" in (tmp_path / "parts.svg").read_text()
    code, text, _ = call("--json")
    assert json.loads(text) == json.loads((tmp_path / "d.json").read_text())
    code, text, error = call("--svg", str(tmp_path / "parts.png"))
    assert (code, text) == (2, "")
    assert "a chart is written as .html or .svg" in error
