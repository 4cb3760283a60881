"""Results on a second corpus beside those on the training data: sections, tables, pages."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

import deconfound as dc
from deconfound.data.dataset import Dataset
from deconfound.errors import RunError, SpecError
from deconfound.evaluation.records import read_records, write_records
from deconfound.results.build_sections import build_sections
from deconfound.results.collect_runs import RunFilter, collect_runs
from deconfound.results.run_result import RunResult
from deconfound.tables import TableSettings, build_tables, to_csv, to_markdown
from support.small import FAST, tiny


def corpus(name: str, shift: float) -> Dataset:
    return tiny(24, name=name, target=tiny(24).target + shift)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """ERM with two seeds trained on "tiny" and one run trained on "third", all of them evaluated on "second" too."""
    home = tmp_path_factory.mktemp("runs")
    second, third = corpus("second", 1.0), corpus("third", 2.0)
    dc.save(second, home / "second")
    for name, data, seed in (("a0", tiny(24), 0), ("a1", tiny(24), 1), ("b0", third, 0)):
        run = dc.fit(data, "erm", out=home / name, seed=seed, train=FAST, progress=False)
        dc.evaluate(run, dataset=data)
        dc.evaluate(run, dataset=second)
    return home


def test_sections_are_one_per_corpus_and_never_share_a_column(folder):
    sections = build_sections(collect_runs([folder / "a0", folder / "a1"]).runs)
    assert [(s.dataset, s.trained_here, s.splits, s.in_split) for s in sections] == [
        ("tiny", True, ("test",), "test"),
        ("second", False, ("train", "valid", "test"), None),
    ]
    for section, place in zip(sections, ("", "corpora/*/"), strict=True):
        (row,) = section.rows
        for run, name in zip(row.runs, ("a0", "a1"), strict=True):
            (file,) = (folder / name).glob(f"{place}records.jsonl")
            recorded = {
                (r.scenario, r.split): r.value
                for r in read_records(file)
                if (r.group, r.metric, r.severity) == ("all", "mse", 0.0) and r.scenario == r.split
            }
            for (_, split), value in recorded.items():
                assert section.clean(row, "mse", split)[run.seed] == value


def test_methods_trained_on_several_data_say_so_in_their_labels(folder):
    sections = build_sections(collect_runs([folder / name for name in ("a0", "a1", "b0")]).runs)
    assert [section.dataset for section in sections] == ["tiny", "second", "third"]
    assert [(row.label, row.seeds) for row in sections[1].rows] == [
        ("erm trained on tiny", (0, 1)),
        ("erm trained on third", (0,)),
    ]
    assert [row.label for row in sections[0].rows] == ["erm"]


def test_a_method_trained_on_a_corpus_is_not_beside_one_that_was_not(folder, tmp_path):
    run = dc.fit(corpus("second", 1.0), "erm", out=tmp_path / "own", train=FAST, progress=False)
    dc.evaluate(run, dataset=corpus("second", 1.0))
    sections = build_sections(collect_runs([folder / "a0", tmp_path / "own"]).runs)
    assert [(s.dataset, s.trained_here, len(s.rows)) for s in sections] == [
        ("tiny", True, 1),
        ("second", False, 1),
        ("second", True, 1),
    ]


def test_tables_and_exports_name_the_corpus_and_the_training_data(folder):
    own, other = build_tables([folder / "a0", folder / "a1"], TableSettings(resamples=50))
    assert [column.title for column in own.columns] == ["mse test"]
    assert [column.title for column in other.columns] == ["mse train", "mse valid", "mse test"]
    assert "Trained on other data: tiny; all splits are tests." in to_markdown(other)
    assert "Trained on other data" not in to_markdown(own)
    for table, names in ((own, ("tiny", "tiny")), (other, ("second", "tiny"))):
        lines = list(csv.DictReader(io.StringIO(to_csv(table))))
        assert {(line["dataset"], line["trained_on"], line["checksum"]) for line in lines} == {(*names, table.checksum)}
    assert other.units == ("rows, taken as independent since the store is not at hand",) * 3


def test_clusters_of_another_corpus_come_from_its_store(folder):
    settings = TableSettings(resamples=50, store=folder / "second", clusters="speaker", only=RunFilter((), ("second",)))
    (table,) = build_tables([folder / "a0", folder / "a1"], settings)
    assert table.units == ("rows in clusters of speaker",) * 3
    with pytest.raises(RunError, match="is not the data of a table"):
        build_tables([folder / "a0"], TableSettings(store=folder / "second", only=RunFilter((), ("tiny",))))
    with pytest.raises(RunError, match=r"no store with the checksum .* name it with --store"):
        build_tables([folder / "a0"], TableSettings(clusters="speaker", only=RunFilter((), ("second",))))


def test_a_dataset_is_chosen_by_the_corpus_that_was_evaluated(folder):
    runs = collect_runs([folder / "a0"], RunFilter((), ("second",))).runs
    assert [(run.evaluated_on, run.dataset, run.home) for run in runs] == [("second", "tiny", folder / "a0")]
    with pytest.raises(SpecError, match=r"evaluated on 'secnd'; did you mean 'second'\?"):
        collect_runs([folder / "a0"], RunFilter((), ("secnd",)))


def test_the_report_shows_the_corpora_apart_and_takes_runs(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = dc.build_report([dc.Run.open(folder / "a0"), str(folder / "a1"), folder / "b0"]).read_text()
    assert page.count('class="set" id="s') == 3
    assert "3 runs. 3 sections: what differs in data or protocol is never compared." in page
    assert "erm trained on third" in page
    assert "trained on tiny, checksum" in page
    assert dc.build_report(dc.Run.open(folder / "a0"), "one.html") == Path("one.html")
    assert dc.build_report(str(folder / "a0"), "one.html") == Path("one.html")
    assert len(build_tables([dc.Run.open(folder / "a0")])) == 2


def test_the_accesses_of_each_corpus_are_counted_by_themselves(folder):
    accesses: dict[str, RunResult] = {run.evaluated_on: run for run in collect_runs([folder / "a0"]).runs}
    assert {name: len(run.test_accesses) for name, run in accesses.items()} == {"tiny": 1, "second": 1}


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda f: (f / "corpus.json").write_text("[]"), "not an object"),
        (lambda f: (f / "corpus.json").write_text("{}"), r"is damaged \('name'\)"),
        (lambda f: (f / "corpus.json").write_text(json.dumps({"name": 3})), "is not text"),
        (
            lambda f: write_records(f / "records.jsonl", read_records(f.parents[1] / "records.jsonl")),
            "of another corpus",
        ),
    ],
)
def test_damage_is_named_in_one_line(folder, tmp_path, damage, complaint):
    copy = Path(shutil.copytree(folder / "a0", tmp_path / "copy"))
    (place,) = (copy / "corpora").iterdir()
    damage(place)
    with pytest.raises(RunError, match=complaint) as caught:
        collect_runs([copy])
    assert "\n" not in str(caught.value)


def test_an_evaluation_that_never_finished_a_scenario_shows_nothing(folder, tmp_path):
    copy = Path(shutil.copytree(folder / "a0", tmp_path / "copy"))
    (place,) = (copy / "corpora").iterdir()
    (place / "records.jsonl").unlink()
    assert [run.evaluated_on for run in collect_runs([copy]).runs] == ["tiny"]
