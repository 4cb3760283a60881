"""Raw columns of a table, from import to predictions of new rows."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deconfound.api import fit
from deconfound.data.store import open_store, save
from deconfound.datasets.readers.table import read_table
from deconfound.errors import DataError
from deconfound.prediction.predict import predict_file
from deconfound.runs.run import Run

TOML = """
manifest = "posts.csv"
[target]
column = "label"
kind = "classification"
[split]
column = "part"
[modalities.words]
column = "text"
[modalities.picture]
column = "image"
extractor = { name = "pixels", side = 8 }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """24 posts: a text and a picture, either of which may be missing."""
    monkeypatch.setenv("DECONFOUND_CACHE", str(tmp_path / "cache"))
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    lines = ["id,text,image,label,part"]
    for number in range(24):
        good = number % 2 == 0
        Image.fromarray(np.full((12, 12, 3), 200 if good else 30, np.uint8)).save(corpus / f"{number}.png")
        text = "" if number == 5 else f"{'wonderful' if good else 'dreadful'} film number {number}"
        image = "" if number == 6 else f"{number}.png"
        lines.append(
            f"p{number},{text},{image},{'good' if good else 'bad'},{('train', 'train', 'valid', 'test')[number % 4]}"
        )
    (corpus / "posts.csv").write_text("\n".join(lines))
    (corpus / "corpus.toml").write_text(TOML)
    return corpus


def predictions(run: Run, source: Path, out: Path) -> pd.DataFrame:
    predict_file(run.method(), run.modalities, run.task, source, out, preparations=run.preparations)
    return pd.read_csv(out).set_index("id")


def test_from_raw_rows_to_predictions(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = read_table(folder / "corpus.toml")
    assert [str(modality) for modality in dataset.modalities.values()] == [
        "words vector 1×384",
        "picture image 1×3×8×8",
    ]
    assert (~dataset.signals["words"].present).sum() == (~dataset.signals["picture"].present).sum() == 1
    assert list(dataset.columns) == ["id"]
    save(dataset, tmp_path / "store")
    run = fit(open_store(tmp_path / "store"), "erm", out=tmp_path / "run", train={"epochs": 2}, progress=False)

    stored = predictions(run, tmp_path / "store", tmp_path / "stored.csv")
    (folder / "new.csv").write_text((folder / "posts.csv").read_text().replace("label,part", "unknown,other"))
    raw = predictions(run, folder / "new.csv", tmp_path / "raw.csv")
    described = predictions(run, folder / "corpus.toml", tmp_path / "described.csv")
    for frame in (raw, described):
        assert set(frame.index) == set(stored.index)
        np.testing.assert_allclose(frame.loc[stored.index, "p_good"], stored["p_good"], atol=1e-4)

    lines = [{"id": "p0", "text": "wonderful film number 0", "picture": "0.png"}, {"id": "x", "words": "dreadful"}]
    (folder / "new.jsonl").write_text("\n".join(map(json.dumps, lines)))
    written = predictions(run, folder / "new.jsonl", tmp_path / "lines.csv")
    np.testing.assert_allclose(written.loc["p0", "p_good"], stored.loc["p0", "p_good"], atol=1e-4)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(lines[0]).encode())))
    piped = predictions(run, Path("-"), tmp_path / "piped.csv")
    np.testing.assert_allclose(piped.loc["p0", "p_good"], stored.loc["p0", "p_good"], atol=1e-4)


def test_mistakes_in_new_rows_are_told(folder: Path, tmp_path: Path) -> None:
    run = fit(read_table(folder / "corpus.toml"), "erm", out=tmp_path / "run", train={"epochs": 1}, progress=False)

    def refused(name: str, text: str, message: str) -> None:
        (folder / name).write_text(text)
        with pytest.raises(DataError, match=message):
            predictions(run, folder / name, tmp_path / "out.csv")
        assert not (tmp_path / "out.csv").exists()

    refused("a.jsonl", '{"id": "a", "words": [1, 2]}', "line 1: 'words' must be a text, not")
    refused("a.jsonl", '{"id": "a", "picture": "none.png"}', "the first is that of 'a': it is not there: no such file")
    refused("a.jsonl", '{"id": "a", "picture": "../x.png"}', "points outside")
    refused(
        "a.csv",
        "id,title\na,b\n",
        "has none of the columns 'text', 'image' that the run was trained on; it has id, title",
    )


def test_a_modality_names_a_file_or_a_column(folder: Path) -> None:
    (folder / "corpus.toml").write_text(TOML.replace('column = "image"\n', ""))
    with pytest.raises(DataError, match=r"modalities\.picture: name an array with file, a column of texts or of paths"):
        read_table(folder / "corpus.toml")
    (folder / "corpus.toml").write_text(TOML.replace('column = "image"\n', 'column = "images"\n'))
    with pytest.raises(DataError, match="has no column 'images'; did you mean 'image'"):
        read_table(folder / "corpus.toml")
