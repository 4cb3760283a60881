"""A trained run on a second corpus: values against a second implementation, what is kept where, what is refused."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import deconfound as dc
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.task import Task
from deconfound.errors import DataError, RunError, SpecError
from deconfound.evaluation.records import read_records
from deconfound.evaluation.scenario import Scenario, SkippedScenarioWarning
from deconfound.runs.other_corpus import OverlapWarning
from deconfound.runs.run import Run
from support.small import FAST, small_run, tiny

CLASSES = ("no", "yes")


def classified(
    name: str = "first", seed: int = 0, classes: tuple[str, ...] = CLASSES, protocol: str = "classification"
):
    generator = torch.Generator().manual_seed(seed)
    text = Signal(torch.randn(24, 3, 2, generator=generator), torch.ones(24, 3, dtype=torch.bool))
    target = torch.arange(24) % len(classes)
    ids = {"id": [f"{name}{i}" for i in range(24)]}
    split = ["train"] * 12 + ["valid"] * 6 + ["test"] * 6
    return Dataset.build(name, Task.classification(classes, protocol=protocol), {"text": text}, target, ids, split)


def second(name: str = "second", rows: int = 16, seed: int = 9, **changes) -> Dataset:
    """Rows of the form of `tiny` with other values."""
    generator = torch.Generator().manual_seed(seed)
    text = Signal(torch.randn(rows, 3, 2, generator=generator), torch.ones(rows, 3, dtype=torch.bool))
    audio = Signal(torch.randn(rows, 1, 4, generator=generator), torch.ones(rows, 1, dtype=torch.bool))
    metadata = {"id": [f"s{i}" for i in range(rows)], "speaker": ["c", "d"] * (rows // 2), "age": list(range(rows))}
    values = {
        "name": name,
        "signals": {"text": text, "audio": audio},
        "metadata": metadata,
        "target": torch.randn(rows, generator=generator),
    }
    return tiny(rows, **{**values, **changes})


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    home = dc.save(tiny(24), folder / "store")
    run = small_run(folder / "run", data={"store": str(home)})
    run.evaluate()
    return run.path


@pytest.fixture
def run(trained, tmp_path) -> Run:
    return Run.open(shutil.copytree(trained, tmp_path / "run"))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_values_are_those_of_the_model_on_every_row_of_the_other_corpus(run):
    other = second()
    table = dc.evaluate(run, dataset=other)
    clean = table[(table["scenario"] == table["split"]) & (table["group"] == "all") & (table["metric"] == "mse")]
    assert list(clean["scenario"]) == ["train", "valid", "test"]
    assert list(clean["n"]) == [len(rows) for rows in other.splits.values()]
    with torch.no_grad():
        output = run.method()(other.batch(range(len(other))))[:, 0].numpy()
    error = (output - other.target.numpy()) ** 2
    expected = [error[rows.start : rows.stop].mean() for rows in other.splits.values()]
    np.testing.assert_allclose(clean["value"], expected, rtol=1e-5)
    assert set(table["dataset"]) == {"second"}
    assert set(table["checksum"]) == {other.checksum}
    assert {"speaker=c", "speaker=d"} <= set(table["group"]), "groups are those of the other corpus"


def test_the_own_test_rows_alone_give_as_a_corpus_what_they_gave_in_the_own_data(run):
    own = tiny(24)
    alone = own.resplit(["test" if i in own.splits["test"] else "" for i in range(24)])
    outside, inside = dc.evaluate(run, dataset=alone), dc.evaluate(run)
    assert set(outside["scenario"]) == {"test", "drop-frames", "present=text", "present=audio"}
    for scenario in ("test", "present=text", "present=audio"):
        tables = [table[table["scenario"] == scenario] for table in (outside, inside)]
        columns = ["group", "metric", "n"]
        assert tables[0][columns].values.tolist() == tables[1][columns].values.tolist()
        np.testing.assert_allclose(tables[0]["value"], tables[1]["value"], rtol=1e-6)


def test_what_the_own_data_left_stays_as_it_is_and_the_access_is_logged(run):
    before = snapshot(run.path)
    other = second()
    run.evaluate(dataset=other)
    after = snapshot(run.path)
    log = "test_access.jsonl"
    assert {name: content for name, content in after.items() if name in before and name != log} == {
        name: content for name, content in before.items() if name != log
    }
    fresh = {name.split("/")[0] for name in after.keys() - before.keys()}
    assert fresh == {"corpora"}
    lines = [json.loads(line) for line in after[log].splitlines()]
    assert (lines[0]["dataset"], lines[0]["checksum"]) == ("tiny", run.checksum)
    assert (lines[1]["dataset"], lines[1]["checksum"]) == ("second", other.checksum)
    assert {"train", "valid", "test"} <= set(lines[1]["scenarios"]), "all splits of another corpus are tests"
    assert {record.checksum for record in read_records(run.path / "records.jsonl")} == {run.checksum}
    run.evaluate(dataset=other)
    assert snapshot(run.path)[log] == after[log], "kept predictions are not predicted again"


def test_two_corpora_of_one_name_are_kept_apart(run):
    one, two = second(seed=1), second(seed=2)
    for other in (one, two):
        run.evaluate([Scenario("test", "test")], dataset=other)
    folders = sorted((run.path / "corpora").iterdir())
    assert {folder.name for folder in folders} == {f"second-{one.checksum[:12]}", f"second-{two.checksum[:12]}"}
    assert dc.evaluate(run, [Scenario("test", "test")], dataset=one)["value"].tolist() != (
        dc.evaluate(run, [Scenario("test", "test")], dataset=two)["value"].tolist()
    )


def test_own_data_are_recognised_by_their_checksum(run):
    again = replace(tiny(24))
    before = snapshot(run.path)
    run.evaluate(dataset=again)
    assert snapshot(run.path) == before


def test_named_splits_alone_are_evaluated(run):
    table = dc.evaluate(run, dataset=second(), splits=["test"])
    assert set(table["split"]) == {"test"}
    assert {"gaussian", "drop-frames", "present=text"} <= set(table["scenario"])
    assert set(dc.evaluate(run, splits=["valid"])["scenario"]) == {"valid"}, "corruptions keep the split of their name"
    assert set(dc.evaluate(run, dataset=second(), splits=["train", "valid"])["scenario"]) == {"train", "valid"}
    with pytest.raises(DataError, match=r"second has no split 'tset'; did you mean 'test'\?"):
        dc.evaluate(run, dataset=second(), splits=["tset"])
    with pytest.raises(SpecError, match="leave out the scenarios or the splits"):
        dc.evaluate(run, [Scenario("test", "test")], splits=["test"])


def test_a_corpus_without_any_split_of_training_works(run):
    other = second(splits=("elsewhere",))
    assert set(dc.evaluate(run, dataset=other)["split"]) == {"elsewhere"}


def test_shorter_and_padded_sequences_give_what_the_same_steps_give(run):
    other = second()
    text = other.signals["text"]
    cut = Signal(text.values[:, :2], text.mask[:, :2])
    gone = torch.zeros(16, 2, dtype=torch.bool)
    longer = Signal(torch.cat([cut.values, torch.zeros(16, 2, 2)], 1), torch.cat([cut.mask, gone], 1))
    scenario = [Scenario("test", "test")]
    values = [
        dc.evaluate(run, scenario, dataset=replace(other, signals={**other.signals, "text": signal}))["value"].tolist()
        for signal in (cut, longer)
    ]
    assert values[0] == values[1]


def test_modalities_that_the_run_does_not_use_are_left_out(run):
    other = second()
    more = replace(other, signals={"video": other.signals["audio"], **other.signals})
    scenario = [Scenario("test", "test")]
    plain = dc.evaluate(run, scenario, dataset=other)["value"].tolist()
    assert dc.evaluate(run, scenario, dataset=more)["value"].tolist() == plain


def without_audio(other: Dataset) -> Dataset:
    return replace(other, signals={"text": other.signals["text"], "sound": other.signals["audio"]})


def wider(other: Dataset) -> Dataset:
    audio = other.signals["audio"]
    return replace(other, signals={**other.signals, "audio": Signal(audio.values.repeat(1, 1, 2), audio.mask)})


def longer(other: Dataset) -> Dataset:
    text = other.signals["text"]
    more = Signal(text.values.repeat(1, 2, 1), text.mask.repeat(1, 2))
    return replace(other, signals={**other.signals, "text": more})


def classes(other: Dataset) -> Dataset:
    return replace(other, task=Task.classification(CLASSES), target=torch.arange(len(other)) % 2)


def protocol(other: Dataset) -> Dataset:
    return replace(other, task=Task.regression(protocol="mmsa-regression"))


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (without_audio, r"'second' has no modality 'audio', which the run needs; .*sound"),
        (wider, "it has audio vector 1×8, the run expects audio vector 1×4; import it with the same features"),
        (longer, "it has text sequence 6×2, the run expects text sequence 3×2"),
        (classes, "its task is classification, the run's is regression; import it with --task regression"),
        (
            protocol,
            "its protocol is 'mmsa-regression', the run's is 'regression'; import it with --protocol regression",
        ),
    ],
)
def test_another_form_is_refused_by_its_difference_and_leaves_nothing(run, change, difference):
    before = snapshot(run.path)
    with pytest.raises(DataError, match=difference) as caught:
        dc.evaluate(run, dataset=change(second()))
    assert "\n" not in str(caught.value)
    assert snapshot(run.path) == before


@pytest.mark.parametrize("names", [("yes", "no"), ("no", "yes", "maybe"), ("no", "maybe")])
def test_other_classes_are_refused(tmp_path, names):
    run = dc.fit(classified(), "erm", out=tmp_path / "run", train=FAST, progress=False)
    dc.evaluate(run, dataset=classified("second", 1))
    with pytest.raises(
        DataError, match=r"its classes are .*, the run's are 'no', 'yes'; import it with classes = \['no', 'yes'\]"
    ):
        dc.evaluate(run, dataset=classified("third", 2, classes=names))


def test_training_rows_in_another_corpus_are_told(run):
    own = tiny(24)
    turned = own.resplit(["train"] * 8 + ["test"] * 16)
    warning = r"rows of tiny are training or validation rows of .*run \(8 of 8 in train, 8 of 16 in test\)"
    with pytest.warns(OverlapWarning, match=warning):
        dc.evaluate(run, dataset=turned)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dc.evaluate(run, dataset=second())


def test_training_rows_are_told_of_a_run_on_a_dataset_in_memory_too(tmp_path):
    own = tiny(24)
    run = dc.fit(own.only("text"), "erm", out=tmp_path / "run", train=FAST, progress=False)
    with pytest.warns(OverlapWarning, match="by the ids and labels of its validation rows"):
        dc.evaluate(run, dataset=own)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dc.evaluate(run, dataset=second())


def test_a_run_of_fit_asks_for_its_data_and_takes_them(tmp_path):
    run = dc.fit(tiny(24), "erm", out=tmp_path / "run", train=FAST, progress=False)
    for ask in (lambda: dc.evaluate(run), lambda: dc.diagnose(run), lambda: run.dataset()):
        with pytest.raises(
            RunError, match=r"in memory \('tiny'\) and names no store; give the dataset: dataset= in Python"
        ):
            ask()
    assert set(dc.evaluate(run, dataset=tiny(24))["dataset"]) == {"tiny"}
    assert set(dc.evaluate(run, dataset=second())["dataset"]) == {"second"}


def test_a_run_on_one_modality_skips_scenarios_that_need_the_other_with_a_warning(tmp_path):
    run = dc.fit(tiny(24), "erm", out=tmp_path / "run", modalities=["text"], train=FAST, progress=False)
    scenarios = [Scenario("test", "test"), Scenario("heard", "test", present=("audio",))]
    with pytest.warns(SkippedScenarioWarning, match="uses only text; skipped the scenarios that need more: heard"):
        assert {record.scenario for record in run.evaluate(scenarios, dataset=tiny(24))} == {"test"}
    misspelt = Scenario("typo", "test", present=("txt",))
    with pytest.raises(SpecError, match=r"there is no modality 'txt'; did you mean 'text'\?"):
        run.evaluate([misspelt], dataset=tiny(24))


def test_a_run_is_a_path(run):
    assert Path(run) == run.path
    scenario = [Scenario("test", "test")]
    tables = [dc.evaluate(one, scenario) for one in (run, run.path, str(run.path), [run.path])]
    assert all(table.equals(tables[0]) for table in tables)
    assert Run.open(run).spec == run.spec
