"""Your own data: what the TOML says happens, in all three manifest formats, and every mistake is one line."""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from deconfound.datasets.table import read_inputs, read_table
from deconfound.errors import DataError

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


def write_rows(folder: Path, rows, ending="csv"):
    path = folder / f"rows.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif ending == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    else:
        lines = [",".join(rows[0]), *(",".join("" if v is None else str(v) for v in row.values()) for row in rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    write_rows(tmp_path, ROWS)
    np.save(tmp_path / "audio.npy", AUDIO)
    np.savez(tmp_path / "text.npz", values=TEXT)
    (tmp_path / "corpus.toml").write_text(TOML.format(ending="csv"))
    return tmp_path


def edit(folder: Path, old: str, new: str) -> Path:
    path = folder / "corpus.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def refuse(path: Path, match: str):
    with pytest.raises(DataError, match=match) as caught:
        read_table(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_reads_every_manifest_alike(folder, ending):
    (folder / "rows.csv").unlink()
    write_rows(folder, ROWS, ending)
    dataset = read_table(edit(folder, "rows.csv", f"rows.{ending}"))
    assert dataset.name == "corpus"
    assert dataset.task.classes == ("angry", "happy", "sad")
    assert {split: len(rows) for split, rows in dataset.splits.items()} == {"train": 6, "valid": 3, "test": 3}
    assert dataset.environment == ("speaker",)
    frame = dataset.metadata
    assert set(frame.columns) == {"id", "split", "speaker", "room", "code", "score", "frames"}
    order = [i for split in ("train", "valid", "test") for i in range(N) if ROWS[i]["split"] == split]
    for column in ("id", "speaker", "room", "code", "score", "frames"):
        assert frame[column].tolist() == [ROWS[i][column] for i in order]
    assert [dataset.task.classes[int(y)] for y in dataset.target] == [ROWS[i]["label"] for i in order]
    audio = dataset.signals["audio"]
    assert audio.mask.sum(dim=1).tolist() == [ROWS[i]["frames"] for i in order]
    for row, i in enumerate(order):
        assert np.array_equal(audio.values[row, : ROWS[i]["frames"]].numpy(), AUDIO[i, : ROWS[i]["frames"]])
    assert np.array_equal(dataset.signals["text"].values[:, 0].numpy(), TEXT[order].astype(np.float32))


def test_regression_with_a_loss_and_a_protocol(folder):
    path = edit(
        folder, 'column = "label"\nkind = "classification"', 'column = "score"\nkind = "regression"\nloss = "l1"'
    )
    dataset = read_table(path)
    assert (dataset.task.kind, dataset.task.loss, dataset.task.protocol) == ("regression", "l1", "regression")
    assert dataset.target.dtype == torch.float32
    assert sorted(dataset.target.tolist()) == [i / 2 for i in range(N)]


def test_given_classes_keep_their_order_and_numbers_sort_as_numbers(folder):
    dataset = read_table(edit(folder, 'kind = "c', 'classes = ["happy", "sad", "angry", "calm"]\nkind = "c'))
    assert dataset.task.classes == ("happy", "sad", "angry", "calm")
    write_rows(folder, [row | {"label": [10, 9, 2][i % 3]} for i, row in enumerate(ROWS)])
    dataset = read_table(edit(folder, 'classes = ["happy", "sad", "angry", "calm"]\n', ""))
    assert dataset.task.classes == ("2", "9", "10")


GROUPED = 'group = ["speaker"]\nseed = {seed}\nshares = {{ train = 0.5, valid = 0.25, test = 0.25 }}'


def test_grouped_split_keeps_speakers_whole_and_follows_its_seed(folder):
    path = edit(folder, 'column = "split"', GROUPED.format(seed=1))
    frame = read_table(path).metadata
    assert frame.groupby("speaker")["split"].nunique().max() == 1
    assert set(frame["split"]) == {"train", "valid", "test"}
    assert read_table(path).metadata.equals(frame)
    edit(folder, "seed = 1", "seed = 2")
    assert not read_table(path).metadata["id"].equals(frame["id"])


def test_masks_and_lengths_of_an_npz_and_nan_rows(folder):
    mask = np.arange(4) < np.arange(N)[:, None] % 4 + 1
    np.savez(folder / "audio.npz", data=AUDIO, mask=mask)
    path = edit(folder, 'audio.npy"\nlengths = "frames"', 'audio.npz"')
    assert read_inputs(path)[0]["audio"].mask.tolist() == mask.tolist()
    np.savez(folder / "audio.npz", data=AUDIO, lengths=mask.sum(axis=1))
    assert read_inputs(path)[0]["audio"].mask.tolist() == mask.tolist()
    gaps = AUDIO.copy()
    gaps[1], gaps[2, 0, 1] = np.nan, -np.inf
    np.savez(folder / "audio.npz", data=gaps)
    dataset = read_table(path)
    audio = dataset.signals["audio"]
    row = dataset.columns["id"].values.tolist().index("001")
    assert not audio.present[row]
    assert int((~audio.mask).sum()) == 5
    assert dataset.provenance["masks"]["audio"] == {"nan_steps": 4, "infinite_steps": 1}


def test_kinds_and_the_row_column(folder):
    np.save(folder / "image.npy", np.ones((3, 8, 6), dtype=np.uint8))
    np.save(folder / "words.npy", np.arange(N * 4).reshape(N, 4))
    write_rows(folder, [row | {"picture": i % 3} for i, row in enumerate(ROWS)])
    with open(folder / "corpus.toml", "a") as file:
        file.write('[modalities.image]\nfile = "image.npy"\nkind = "image"\nrow = "picture"\n')
        file.write('[modalities.words]\nfile = "words.npy"\nkind = "tokens"\nlengths = "frames"\n')
    signals, ids = read_inputs(folder / "corpus.toml")
    assert ids == [row["id"] for row in ROWS]
    assert signals["image"].values.shape == (N, 1, 8, 6)
    assert signals["words"].values.dtype == torch.int64
    assert signals["words"].values[2].tolist() == [8, 9, 10, 0]
    assert str(read_table(folder / "corpus.toml").modalities["words"]) == "words tokens 4"


def test_inputs_need_neither_target_nor_split(folder):
    path = folder / "new.toml"
    path.write_text('manifest = "rows.csv"\n[modalities.audio]\nfile = "audio.npy"\n')
    signals, ids = read_inputs(path)
    assert len(ids) == N
    assert signals["audio"].mask.all()
    refuse(path, r"there is no \[target\]; a dataset needs both")


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("[split]", "[split", "is no TOML"),
        ('manifest = "rows.csv"\n', "", "'manifest' is missing"),
        ('manifest = "rows', 'manifset = "rows', "missing|'manifset'; did you mean 'manifest'"),
        ("rows.csv", "none.csv", "no such file"),
        ("rows.csv", "corpus.toml", "a manifest is a .csv, .jsonl or .parquet"),
        ("rows.csv", "../rows.csv", "leads out of"),
        ("audio.npy", "../audio.npy", "leads out of"),
        ("audio.npy", "/etc/passwd", "leads out of"),
        ("audio.npy", "a/../audio.npy", "leads out of"),
        ("audio.npy", "none.npy", "no such file"),
        ("audio.npy", "rows.csv", "a modality is a .npy or .npz"),
        ('file = "audio.npy"', 'file = "audio.npy"\nkey = "a"', "one array without a name"),
        ('file = "audio.npy"', 'fiel = "audio.npy"', "missing|there is no argument 'fiel'"),
        ('file = "text.npz"', 'file = "text.npz"\nkey = "valeus"', "no array 'valeus'; did you mean 'values'"),
        ('lengths = "frames"', 'lengths = "frame"', "no column 'frame'; did you mean 'frames'"),
        ('lengths = "frames"', 'lengths = "label"', "'label' of row 1 is 'sad'; expected a number"),
        ('lengths = "frames"', 'lengths = "score"', "length of '001' is 0.5; expected a whole number from 0 to 4"),
        ('lengths = "frames"', 'kind = "vector"', r"shape \(12, 4, 3\); a vector is \(N, D\)"),
        ('file = "text.npz"', 'file = "text.npz"\nkind = "tokens"', "holds float64; a tokens? holds integers"),
        ('lengths = "frames"', 'row = "score"', "row of '001' is 0.5"),
        ('column = "label"', 'column = "lable"', "no column 'lable'; did you mean 'label'"),
        ('kind = "classification"', 'kind = "ranking"', "'ranking'"),
        ('kind = "classification"', 'kind = "regression"', "'label' of row 1 is 'sad'; expected a number"),
        ('kind = "classification"', 'kind = "classification"\nloss = "l1"', "no loss to choose"),
        (
            'kind = "classification"',
            'kind = "classification"\nclasses = ["sad", "hapy"]',
            "'001' has the unknown class 'happy'; did",
        ),
        ('column = "split"', "", "either a column, or group, seed and shares"),
        ('column = "split"', 'group = ["speaker"]', "needs group, seed and shares, all three"),
        ('column = "split"', 'column = "split"\nseed = 1', "either a column, or"),
        ('column = "split"', 'column = "speaker"', "'train' is empty"),
        ('column = "split"', GROUPED.format(seed=1).replace("0.5", "0.9"), "sum to 1"),
        ('column = "split"', GROUPED.format(seed=1).replace("speaker", "room"), "2 groups cannot fill 3 splits"),
        ('environment = ["speaker"]', 'environment = ["speakers"]', "no column 'speakers'; did you mean 'speaker'"),
        ('environment = ["speaker"]', 'id = "speaker"', "id 's0' occurs 2 times"),
        ("[modalities.audio]", "[modality.audio]", "'modality'; did you mean 'modalities'"),
    ],
)
def test_mistakes_in_the_toml(folder, old, new, match):
    refuse(edit(folder, old, new), match)


def changed(row: int, **values):
    return [values_of | (values if i == row else {}) for i, values_of in enumerate(ROWS)]


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (changed(3, id="002"), "id '002' occurs 2 times"),
        (changed(3, id=None), "row 4 has no 'id'"),
        (changed(3, label=None), "row 4 has no 'label'"),
        (changed(3, split=None), "row 4 has no 'split'"),
        (changed(3, speaker=None), "row 4 has no 'speaker'"),
        (changed(3, frames=9), "length of '003' is 9"),
        (changed(3, frames=None), "length of '003' is nan"),
        (ROWS[:5], r"audio.npy has 12 rows, the manifest 5"),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_mistakes_in_the_rows(folder, rows, match, ending):
    write_rows(folder, rows, ending)
    refuse(edit(folder, "rows.csv", f"rows.{ending}"), match)


def test_targets_that_are_not_numbers(folder):
    path = edit(folder, 'column = "label"\nkind = "classification"', 'column = "score"\nkind = "regression"')
    write_rows(folder, changed(3, score=None))
    refuse(path, "target of '003' is nan")
    write_rows(folder, changed(3, score="inf"))
    refuse(path, "target of '003' is inf")


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("rows.csv", b"", "has no rows"),
        ("rows.csv", b"id,label\n", "has no rows"),
        ("rows.csv", b"id,id\n1,2\n", "occurs twice"),
        ("rows.csv", b"id,label\n1\n", "line 2 has 1 fields, the header 2"),
        ("rows.csv", b'id,label\n"1,2\n', "line 2 is no CSV"),
        ("rows.csv", b"id,label\n\xff\xfe,2\n", "not UTF-8"),
        ("rows.jsonl", b"{", "line 1 is no JSON"),
        ("rows.jsonl", b"[" * 100_000, "line 1 is no JSON"),
        ("rows.jsonl", b"[1]\n", "line 1 is a list"),
        ("rows.jsonl", b'{"id": [1]}\n', "column 'id' holds a list"),
        ("rows.parquet", b"PAR1 not at all", "no Parquet file"),
        ("audio.npy", b"", "damaged, of another format"),
        ("audio.npy", b"\x93NUMPY\x01\x00", "damaged, of another format"),
        ("text.npz", b"PK\x03\x04", "damaged, of another format"),
        ("text.npz", b"no zip", "damaged, of another format"),
        ("text.npz", b"\x93NUMPY\x01\x00", "damaged, of another format"),
        ("audio.npy", b"PK\x03\x04", "damaged, of another format"),
    ],
)
def test_damaged_files(folder, name, content, match):
    (folder / name).write_bytes(content)
    path = edit(folder, "rows.csv", name) if name.startswith("rows") else folder / "corpus.toml"
    refuse(path, match)


def test_a_header_that_promises_more_than_the_file_has(folder):
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (12, 50000, 5000), }".ljust(117) + b"\n"
    (folder / "audio.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 64)
    refuse(folder / "corpus.toml", "damaged, of another format")


@pytest.mark.parametrize("name", ["audio.npy", "text.npz"])
def test_objects_are_never_unpickled(folder, name):
    class Touch:
        def __reduce__(self):
            return (os.system, ("touch ran",))

    objects = np.array([Touch()] * N, dtype=object)
    if name.endswith("npy"):
        np.save(folder / name, objects)
    else:
        np.savez(folder / name, values=objects)
    refuse(folder / "corpus.toml", "or holds Python objects")
    assert not Path("ran").exists()


def test_links_may_not_lead_out(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "audio.npy"
    np.save(outside, AUDIO)
    (folder / "audio.npy").unlink()
    (folder / "audio.npy").symlink_to(outside)
    refuse(folder / "corpus.toml", "leads out of")
    (folder / "audio.npy").unlink()
    np.save(folder / "inner.npy", AUDIO)
    (folder / "audio.npy").symlink_to(folder / "inner.npy")
    assert len(read_table(folder / "corpus.toml")) == N


def test_missing_toml(tmp_path):
    refuse(tmp_path / "none.toml", "No such file")
    refuse(tmp_path, "Is a directory")
