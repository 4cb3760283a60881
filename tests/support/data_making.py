"""Small corpora on disk, for the tests of the readers."""

import json
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deconfound.datasets.readers.mmsa import read_mmsa
from deconfound.datasets.readers.table import read_table
from deconfound.datasets.unpickle import read_pickle
from deconfound.errors import DataError
from deconfound.registry import build

T = {"text": 4, "audio": 6, "vision": 3}
D = {"text": 2, "audio": 3, "vision": 1}


def corpus(dtype=np.float32, lengths=True, seed=0):
    """A small corpus with padding at the end; values in [1, 2), so that a zero is always padding."""
    generator = np.random.default_rng(seed)
    splits = {}
    for split, rows in {"train": 5, "valid": 3, "test": 4}.items():
        part = {"id": [f"{split}{i // 2}$_${i}" for i in range(rows)], "raw_text": [f"say {i}" for i in range(rows)]}
        part["annotations"] = ["Neutral"] * rows
        part["regression_labels"] = generator.uniform(-3, 3, rows).astype(dtype)
        part["classification_labels"] = np.arange(rows, dtype=np.float32) % 3
        for modality, steps in T.items():
            n = generator.integers(1, steps + 1, rows)
            values = generator.uniform(1, 2, (rows, steps, D[modality])).astype(dtype)
            values[np.arange(steps) >= n[:, None]] = 0
            part[modality] = values
            if lengths:
                part[f"{modality}_lengths"] = n.tolist()
        splits[split] = part
    return splits


def read_made(tmp_path, content, name="made.pkl", **arguments):
    path = tmp_path / name
    path.write_bytes(pickle.dumps(content))
    return read_mmsa(path, **arguments)


def refuse_mmsa(tmp_path, content, match):
    with pytest.raises(DataError, match=match) as caught:
        read_made(tmp_path, content)
    assert "\n" not in str(caught.value)
    assert "made.pkl" in str(caught.value)


N = 12
ROWS = [
    {
        "id": f"{i:03}",
        "label": ["sad", "happy", "angry"][i % 3],
        "score": i / 2,
        "split": ["train", "train", "valid", "test"][i % 4],
        "speaker": f"s{i // 2}",
        "room": i % 2,
        "code": f"0{i % 3}",
        "frames": 1 + i % 4,
    }
    for i in range(N)
]
GENERATOR = np.random.default_rng(0)
AUDIO, TEXT = GENERATOR.normal(size=(N, 4, 3)).astype(np.float32), GENERATOR.normal(size=(N, 5)).astype(np.float64)
TOML = """
name = "corpus"
manifest = "rows.{ending}"
environment = ["speaker"]
[target]
column = "label"
kind = "classification"
[split]
column = "split"
[modalities.audio]
file = "audio.npy"
lengths = "frames"
[modalities.text]
file = "text.npz"
"""


GROUPED = 'group = ["speaker"]\nseed = {seed}\nshares = {{ train = 0.5, valid = 0.25, test = 0.25 }}'


def write_rows(folder: Path, rows, ending="csv"):
    path = folder / f"rows.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif ending == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    else:
        lines = [",".join(rows[0]), *(",".join("" if v is None else str(v) for v in row.values()) for row in rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def edit(folder: Path, old: str, new: str) -> Path:
    path = folder / "corpus.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def refuse_table(path: Path, match: str):
    with pytest.raises(DataError, match=match) as caught:
        read_table(path)
    assert "\n" not in str(caught.value)


def write_table(folder: Path) -> None:
    """rows.csv, audio.npy, text.npz and the corpus.toml that names them."""
    write_rows(folder, ROWS)
    np.save(folder / "audio.npy", AUDIO)
    np.savez(folder / "text.npz", values=TEXT)
    (folder / "corpus.toml").write_text(TOML.format(ending="csv"))


def write_pickle(tmp_path, data, protocol=4):
    path = tmp_path / "made.pkl"
    path.write_bytes(data if isinstance(data, bytes) else pickle.dumps(data, protocol=protocol))
    return path


PICKLE_READERS = ("mmsa", "mag-bert", "misa", "hkt", "multibench", "cider")


def read_hostile(tmp_path, data, reader=None):
    """Read a pickle alone, or as the source of a reader; its texts become no modality."""
    if reader is None:
        return read_pickle(write_pickle(tmp_path, data)).content
    path = write_pickle(tmp_path, data)
    if reader == "misa":
        path.rename(tmp_path / "train.pkl")
        path = tmp_path
    texts = {"text": "none"} if reader in ("mag-bert", "misa", "hkt") else {}
    return build("readers", reader, **texts).read(path)


def refuse_pickle(tmp_path, data, match, reader=None):
    with pytest.raises(DataError, match=match) as caught:
        read_hostile(tmp_path, data, reader)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def same(read, written):
    if isinstance(written, np.ndarray):
        assert np.array_equal(np.asarray(read, dtype=written.dtype), written)
        assert written.dtype.kind == "O" or read.dtype == written.dtype
    elif isinstance(written, dict):
        assert list(read) == list(written)
        for key in written:
            same(read[key], written[key])
    else:
        assert read == written
        assert type(read) is type(written) or isinstance(written, np.generic)
