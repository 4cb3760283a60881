"""Images, recordings and videos as bytes in tables of Arrow and Parquet, from import to predictions."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import deconfound as dc
from deconfound.datasets.readers.hugging_face import HuggingFaceReader
from deconfound.datasets.readers.table import read_table
from deconfound.errors import DataError
from deconfound.extraction.embedded import EmbeddedFiles, holds_files
from deconfound.extraction.kinds import kind_of_bytes
from deconfound.testing import check_dataset
from support.media import write_clip

image = pytest.importorskip("PIL.Image", reason="the extra 'image' is not installed")
pa = pytest.importorskip("pyarrow", reason="the extra 'data' is not installed")
PIXELS = {"name": "pixels", "side": 8}


def picture(shade: int, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.fromarray(np.full((12, 10, 3), shade, np.uint8)).save(file, kind)
    return file.getvalue()


def recording(tone: float) -> bytes:
    soundfile = pytest.importorskip("soundfile", reason="the extra 'audio' is not installed")
    file = io.BytesIO()
    soundfile.write(file, 0.5 * np.sin(tone * np.arange(4000)), 8000, format="WAV")
    return file.getvalue()


def rows(split: str, count: int) -> list[dict[str, Any]]:
    return [
        {
            "label": n % 2,
            "photo": None if n == 3 else {"bytes": picture(20 + 200 * (n % 2)), "path": f"{split}{n}.png"},
            "voice": {"bytes": recording(0.1 + n % 2), "path": None},
        }
        for n in range(count)
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of Parquet files as the hub has them."""
    import pyarrow.parquet as pq

    monkeypatch.setenv("DECONFOUND_CACHE", str(tmp_path / "cache"))
    data = tmp_path / "posts"
    data.mkdir()
    for split, count in {"train": 8, "validation": 4, "test": 4}.items():
        pq.write_table(pa.Table.from_pylist(rows(split, count)), data / f"{split}-00000-of-00001.parquet")
    return data


def test_columns_of_files_become_modalities(folder: Path, tmp_path: Path) -> None:
    dataset = HuggingFaceReader(image=PIXELS).read(folder)
    check_dataset(dataset)
    assert list(map(str, dataset.modalities.values())) == ["photo image 1×3×8×8", "voice sequence 13×64"]
    assert dataset.signals["photo"].present.tolist().count(False) == 3  # one in each split
    assert dataset.signals["photo"].values[1].unique().tolist() == [220.0]
    assert dataset.provenance["ignored"] == []
    without = HuggingFaceReader(image=PIXELS, audio="none").read(folder)
    assert (list(without.signals), without.provenance["ignored"]) == (["photo"], ["voice"])

    run = dc.fit(dataset, "erm", out=tmp_path / "run", train={"epochs": 1}, progress=False)
    from deconfound.prediction.predict import predict_file

    source, out = folder / "test-00000-of-00001.parquet", tmp_path / "out.csv"
    predict_file(run.method(), run.modalities, run.task, source, out, preparations=run.preparations)
    stored = run.predict_proba(dataset)
    new = pd.read_csv(out)
    test = [f"test/{n}" for n in range(4)]
    np.testing.assert_allclose(new["p_1"], stored.loc[test, "1"], atol=1e-4)
    listed = run.predict_proba(pd.DataFrame(rows("test", 4)).drop(columns="label"))
    np.testing.assert_allclose(listed["1"], stored.loc[test, "1"], atol=1e-4)


def test_the_folder_of_the_library_and_paths_instead_of_bytes(folder: Path) -> None:
    (folder / "a.png").write_bytes(picture(70))
    saved = folder / "saved"
    (saved / "train").mkdir(parents=True)
    cells = [{"label": n % 2, "photo": {"bytes": None, "path": "a.png"}} for n in range(4)]
    (saved / "dataset_dict.json").write_text(json.dumps({"splits": ["train"]}))
    (saved / "train" / "state.json").write_text(json.dumps({"_data_files": [{"filename": "d.arrow"}]}))
    table = pa.Table.from_pylist(
        cells, pa.schema({"label": pa.int64(), "photo": pa.struct({"bytes": pa.binary(), "path": pa.string()})})
    )
    with pa.OSFile(str(saved / "train" / "d.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    (saved / "a.png").write_bytes(picture(70))
    assert HuggingFaceReader(image=PIXELS).read(saved).signals["photo"].values.unique().tolist() == [70.0]
    (saved / "a.png").unlink()
    (saved / "a.png").symlink_to(folder / "a.png")
    with pytest.raises(DataError, match="is a link that leads out"):
        HuggingFaceReader(image=PIXELS).read(saved)


def test_a_manifest_of_parquet_may_hold_files(folder: Path) -> None:
    (folder / "t.toml").write_text(
        'manifest = "train-00000-of-00001.parquet"\nid = "row"\n[target]\ncolumn = "label"\nkind = "classification"\n'
        '[split]\ngroup = ["row"]\nseed = 0\nshares = { train = 0.5, valid = 0.25, test = 0.25 }\n'
        '[modalities.photo]\ncolumn = "photo"\nextractor = { name = "pixels", side = 8 }\n'
    )
    import pyarrow.parquet as pq

    source = folder / "train-00000-of-00001.parquet"
    cells = pq.read_table(source).append_column("row", pa.array([f"r{n}" for n in range(8)])).drop_columns(["voice"])
    pq.write_table(cells, source)
    dataset = read_table(folder / "t.toml")
    assert str(dataset.modalities["photo"]) == "photo image 1×3×8×8"
    assert dataset.provenance["masks"]["photo"]["preparation"]["kind"] == "image"
    (folder / "t.toml").write_text((folder / "t.toml").read_text().replace('column = "photo"', 'column = "row"'))
    with pytest.raises(DataError, match=r"the column 'photo' holds struct<.*leave the column out"):
        read_table(folder / "t.toml")


@pytest.mark.parametrize("form", ["dicts", "bytes"])
def test_files_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setenv("DECONFOUND_CACHE", str(tmp_path / "cache"))
    contents = [picture(20 + 200 * (n % 2), ("PNG", "JPEG")[n // 6]) for n in range(12)]
    cells: list[Any] = [{"bytes": content, "path": None} for content in contents] if form == "dicts" else contents
    dataset = dc.dataset(
        {"photo": [*cells[:-1], None], "label": [n % 2 for n in range(12)]},
        target="label",
        photo="photo",
        extractors={"photo": PIXELS},
        split={"train": 0.5, "valid": 0.25, "test": 0.25},
        quiet=True,
    )
    assert str(dataset.modalities["photo"]) == "photo image 1×3×8×8"
    assert int((~dataset.signals["photo"].present).sum()) == 1


def test_cells_are_read_one_by_one_and_kinds_are_told_by_the_first_bytes(tmp_path: Path) -> None:
    cells = pa.array([None, {"bytes": picture(3), "path": None}, {"bytes": None, "path": "b.mp4"}])
    column = EmbeddedFiles(pa.chunked_array([cells[:2], cells[2:]], cells.type))
    assert holds_files(cells.type)
    assert not holds_files(pa.struct({"bytes": pa.binary()}))
    assert not holds_files(pa.list_(pa.int64()))
    assert (len(column), column.kind(), list(column)) == (3, "image", [None, picture(3), "b.mp4"])
    assert kind_of_bytes(recording(1.0)) == "audio"
    for kind in ("JPEG", "GIF", "BMP", "WEBP"):
        assert kind_of_bytes(picture(9, kind)) == "image"
    assert kind_of_bytes(write_clip(tmp_path / "a.mp4").read_bytes()) == "video"
    assert kind_of_bytes(write_clip(tmp_path / "a.mkv").read_bytes()) == "video"
    assert kind_of_bytes(write_clip(tmp_path / "a.avi").read_bytes()) == "video"
    assert kind_of_bytes(b"hello") is None
