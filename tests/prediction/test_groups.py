"""Runs that scale each row by its group predict the same from a store, a table, JSON lines and memory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import deconfound as dc
from deconfound.cli.app import app
from deconfound.data.group_scale import UnknownGroupWarning
from deconfound.data.store import save
from deconfound.errors import DataError
from deconfound.runs.run import Run
from support.small import tiny

DATA = tiny(1200, environment=())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("grouped") / "run"
    return dc.fit(DATA, "linear", out=folder, scale="rank-gauss", scale_by="speaker", progress=False)


def lines(path: Path, speakers: bool = True) -> Path:
    """The test rows, and one blank line among them."""
    batch = DATA.batch("test")
    speaker = DATA.metadata["speaker"][DATA.rows("test").start :].tolist()
    written = []
    for row in range(len(batch)):
        values = {name: signal.values[row].tolist() for name, signal in batch.signals.items()}
        written.append(json.dumps({"id": str(row), **values, **({"speaker": speaker[row]} if speakers else {})}))
    path.write_text("\n".join([*written[:3], "", *written[3:]]), encoding="utf-8")
    return path


def predicted(run: Run, source: Path, out: Path) -> np.ndarray:
    app(["predict", str(run.path), str(source), "--out", str(out)], standalone_mode=False)
    return pd.read_csv(out)["prediction"].to_numpy()


def expected(run: Run) -> np.ndarray:
    """What the method makes of the batch of the run's own data."""
    with torch.no_grad():
        return run.method()(run.dataset(DATA).batch("test"))[:, 0].numpy()


def test_files_and_memory_give_what_an_evaluation_gives(run: Run, tmp_path: Path) -> None:
    wanted, batch = expected(run), DATA.batch("test")
    assert len(wanted) == 400, "more rows than one chunk of a file"
    speaker = DATA.metadata["speaker"][DATA.rows("test").start :].tolist()
    arrays = {"text": batch.signals["text"].values.numpy(), "audio": batch.signals["audio"].values[:, 0].numpy()}
    save(DATA, tmp_path / "store")
    sources = {
        "lines": predicted(run, lines(tmp_path / "rows.jsonl"), tmp_path / "a.csv"),
        "store": predicted(run, tmp_path / "store", tmp_path / "b.csv")[-400:],
        "memory": run.predict({**arrays, "speaker": speaker})["prediction"].to_numpy(),
        "dataset": run.predict(DATA)["prediction"].to_numpy()[-400:],
    }
    for name, values in sources.items():
        np.testing.assert_allclose(values, wanted, atol=1e-5, err_msg=name)
    embedded = run.embed({**arrays, "speaker": speaker})
    assert embedded.shape == (400, 6)


def test_rows_without_their_group_are_told_of_and_scaled_by_train(run: Run, tmp_path: Path) -> None:
    with pytest.warns(UnknownGroupWarning, match="400 of 400 rows of .* have no 'speaker', so the training rows scale"):
        alone = predicted(run, lines(tmp_path / "rows.jsonl", speakers=False), tmp_path / "a.csv")
    assert np.abs(alone - expected(run)).max() > 1e-4
    batch = DATA.batch("test")
    arrays = {"text": batch.signals["text"].values.numpy(), "audio": batch.signals["audio"].values[:, 0].numpy()}
    with pytest.warns(UnknownGroupWarning, match="10 of 400 rows of the data"):
        run.predict({**arrays, "speaker": [None] * 10 + ["a"] * 390})


def test_standard_input_and_columns_of_another_length_are_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from deconfound.prediction.groups import groups_in_file, groups_in_memory

    with pytest.raises(
        DataError, match="by its group \\(speaker\\), for which all rows are read first; write them to a"
    ):
        groups_in_file(Path("-"), ["speaker"])
    with pytest.raises(DataError, match="'speaker' has 3 rows, the others have 4"):
        groups_in_memory({"speaker": ["a", "b", "a"]}, ["speaker"], 4)


def test_another_corpus_without_the_column_is_evaluated_with_a_word(run: Run) -> None:
    other = tiny(30, name="other", environment=(), metadata={"id": [f"o{i}" for i in range(30)]})
    with pytest.warns(UnknownGroupWarning, match="30 of 30 rows of other have no 'speaker'"):
        dc.evaluate(run, dataset=other)


def test_a_missing_column_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no metadata column 'speeker'; did you mean 'speaker'"):
        dc.fit(DATA, "linear", out=tmp_path / "run", scale_by="speeker", progress=False)
    assert not (tmp_path / "run").exists()
