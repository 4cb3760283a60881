"""Every mistake in a table is one line that says what to do."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from deconfound.datasets.readers.table import read_table
from support.data_making import AUDIO, GROUPED, ROWS, N, edit, refuse_table, write_rows


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("[split]", "[split", "is not TOML"),
        ('manifest = "rows.csv"\n', "", "'manifest' is missing"),
        ('manifest = "rows', 'manifset = "rows', "missing|'manifset'; did you mean 'manifest'"),
        ("rows.csv", "none.csv", "No such file"),
        ("rows.csv", "corpus.toml", "a manifest is a .csv, .jsonl or .parquet"),
        ("rows.csv", "../rows.csv", "points outside"),
        ("audio.npy", "../audio.npy", "points outside"),
        ("audio.npy", "/etc/passwd", "points outside"),
        ("audio.npy", "a/../audio.npy", "points outside"),
        ("audio.npy", "none.npy", "No such file"),
        ("audio.npy", "rows.csv", "a modality is a .npy or .npz"),
        ('file = "audio.npy"', 'file = "audio.npy"\nkey = "a"', "one array without a name"),
        ('file = "audio.npy"', 'fiel = "audio.npy"', "there is no argument 'fiel'; did you mean 'file'"),
        ('file = "text.npz"', 'file = "text.npz"\nkey = "valeus"', "no array 'valeus'; did you mean 'values'"),
        ('lengths = "frames"', 'lengths = "frame"', "no column 'frame'; did you mean 'frames'"),
        ('lengths = "frames"', 'lengths = "label"', "'label' of row 1 is 'sad'; expected a number"),
        ('lengths = "frames"', 'lengths = "score"', "length of '001' is 0.5; expected a whole number from 0 to 4"),
        ('lengths = "frames"', 'kind = "vector"', r"shape \(12, 4, 3\); a vector is \(N, D\)"),
        ('file = "text.npz"', 'file = "text.npz"\nkind = "tokens"', "holds float64; a tokens? holds integers"),
        ('lengths = "frames"', 'row = "score"', "row of '001' is 0.5"),
        ('column = "label"', 'column = "lable"', "no column 'lable'; did you mean 'label'"),
        ('kind = "classification"', 'kind = "ranking"', "'ranking'"),
        ('column = "label"', 'column = "label"\nprotocl = "regression"', "'target.protocl'; did you mean 'protocol'"),
        ('column = "label"', 'column = "label"\nweight = "score"', "'target.weight'; .* penalty group-dro"),
        ('kind = "classification"', 'kind = "regression"', "'label' of row 1 is 'sad'; expected a number"),
        ('kind = "classification"', 'kind = "classification"\nloss = "l1"', "no loss to choose"),
        (
            'kind = "classification"',
            'kind = "classification"\nclasses = ["sad", "hapy"]',
            "'001' has the unknown class 'happy'; did",
        ),
        ('column = "split"', "", "either a column, or shares such as"),
        ('column = "split"', 'group = ["speaker"]', "either a column, or shares such as"),
        ('column = "split"', 'column = "split"\nseed = 1', "seed is for rows that are drawn"),
        ('column = "split"', 'column = "split"\nstratify = true', "stratify is for rows that are drawn"),
        ('column = "split"', "shares = { train = 0.9, test = 0.1 }\nvalid = 0.1", "name it among the shares"),
        ('column = "split"', 'column = "split"\nvalid = 1.0', "valid = 1.0: input should be less than 1"),
        ('column = "split"', 'column = "speaker"', "'train' is empty"),
        ('column = "split"', GROUPED.format(seed=1).replace("0.5", "0.9"), "sum to 1"),
        ('column = "split"', GROUPED.format(seed=1).replace("speaker", "room"), "2 groups cannot fill 3 splits"),
        ('environment = ["speaker"]', 'environment = ["speakers"]', "no column 'speakers'; did you mean 'speaker'"),
        ('environment = ["speaker"]', 'id = "speaker"', "id 's0' occurs 2 times"),
        ("[modalities.audio]", "[modality.audio]", "'modality'; did you mean 'modalities'"),
    ],
)
def test_mistakes_in_the_toml(folder, old, new, match):
    refuse_table(edit(folder, old, new), match)


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
        (changed(3, frames=None), "length of '003' is blank; .* 0$"),
        (ROWS[:5], r"audio.npy has 12 rows, the manifest 5"),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_mistakes_in_the_rows(folder, rows, match, ending):
    write_rows(folder, rows, ending)
    refuse_table(edit(folder, "rows.csv", f"rows.{ending}"), match)


def test_targets_that_are_not_numbers(folder):
    path = edit(folder, 'column = "label"\nkind = "classification"', 'column = "score"\nkind = "regression"')
    write_rows(folder, changed(3, score=None))
    refuse_table(path, "row 4 has no 'score'")
    write_rows(folder, changed(3, score="inf"))
    refuse_table(path, "target of '003' is inf")


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("rows.csv", b"", "has no rows"),
        ("rows.csv", b"id,label\n", "has no rows"),
        ("rows.csv", b"id,id\n1,2\n", "occurs twice"),
        ("rows.csv", b"id,label\n1\n", "line 2 has 1 fields, the header 2"),
        ("rows.csv", b'id,label\n"1,2\n', "line 2 is not CSV"),
        ("rows.csv", b"id,label\n\xff\xfe,2\n", "not UTF-8"),
        ("rows.jsonl", b"{", "line 1 is not JSON"),
        ("rows.jsonl", b"[" * 100_000, "line 1 is not JSON"),
        ("rows.jsonl", b"[1]\n", "line 1 is a list"),
        ("rows.jsonl", b'{"id": [1]}\n', "column 'id' holds a list"),
        ("rows.jsonl", b'{"id": "a"}\n{"id": NaN}\n', "line 2 holds NaN, which is not JSON; write null"),
        ("rows.jsonl", b'{"score": -Infinity}\n', "line 1 holds -Infinity"),
        ("rows.parquet", b"PAR1 not at all", "the manifest .*rows.parquet is damaged"),
        ("audio.npy", b"", "is damaged"),
        ("audio.npy", b"\x93NUMPY\x01\x00", "is damaged"),
        ("text.npz", b"PK\x03\x04", "is damaged"),
        ("text.npz", b"no zip", "is damaged"),
        ("text.npz", b"\x93NUMPY\x01\x00", "is damaged"),
        ("audio.npy", b"PK\x03\x04", "is damaged"),
    ],
)
def test_damaged_files(folder, name, content, match):
    (folder / name).write_bytes(content)
    path = edit(folder, "rows.csv", name) if name.startswith("rows") else folder / "corpus.toml"
    refuse_table(path, match)


def test_a_header_that_promises_more_than_the_file_has(folder):
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (12, 50000, 5000), }".ljust(117) + b"\n"
    (folder / "audio.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 64)
    refuse_table(folder / "corpus.toml", "is damaged")


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
    refuse_table(folder / "corpus.toml", "(O|Python o)bjects?")
    assert not Path("ran").exists()


def test_links_may_not_lead_out(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "audio.npy"
    np.save(outside, AUDIO)
    (folder / "audio.npy").unlink()
    (folder / "audio.npy").symlink_to(outside)
    refuse_table(folder / "corpus.toml", "points outside")
    (folder / "audio.npy").unlink()
    np.save(folder / "inner.npy", AUDIO)
    (folder / "audio.npy").symlink_to(folder / "inner.npy")
    assert len(read_table(folder / "corpus.toml")) == N


def test_missing_toml(tmp_path):
    refuse_table(tmp_path / "none.toml", "No such file")
    refuse_table(tmp_path, "is a folder, not a file")


@pytest.mark.parametrize(
    ("places", "match"),
    [
        ([-1] + [0] * (N - 1), "row of '000' is -1; expected a whole number from 0 to 11, and .* lacks .*, a blank"),
        ([None] * N, "no sample has a row of .*audio.npy; give row numbers from 0, or leave the modality out"),
    ],
)
def test_a_row_number_says_how_absence_is_written(folder, places, match):
    write_rows(folder, [row | {"place": place} for row, place in zip(ROWS, places, strict=True)])
    refuse_table(edit(folder, 'lengths = "frames"', 'row = "place"'), match)


def test_an_array_with_fewer_rows_names_the_column_of_row_numbers(folder):
    np.save(folder / "audio.npy", AUDIO[1:])
    refuse_table(folder / "corpus.toml", "has 11 rows, the manifest 12; .* row numbers, blank where a sample lacks")


@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_arrays_of_unequal_length_say_how_to_pad_them(folder, ending):
    ragged = np.empty(N, dtype=object)
    ragged[:] = [values[: 1 + row % 4] for row, values in enumerate(AUDIO)]
    if ending == "npz":
        np.savez(folder / "audio.npz", values=ragged)
    else:
        np.save(folder / "audio.npy", ragged, allow_pickle=True)
    path = edit(folder, "audio.npy", f"audio.{ending}")
    refuse_table(path, r"unequal length; pad all to \(N, T, D\) .* the number of steps .* lengths")


def test_several_labels_a_row_say_what_can_be_done(folder):
    path = edit(folder, 'column = "label"', 'column = ["label", "code"]')
    refuse_table(path, r"\['label', 'code'\]: expected the name of one column; for several labels a row")
    write_rows(folder, [row | {"label": ["sad", "angry"]} for row in ROWS], "jsonl")
    edit(folder, '["label", "code"]', '"label"')
    refuse_table(edit(folder, "rows.csv", "rows.jsonl"), "'label' holds a list; .* several labels a 0/1 column each")


def test_a_member_that_is_no_array_is_refused(folder):
    """NumPy gives the bytes of a member that does not begin as an array does."""
    with zipfile.ZipFile(folder / "text.npz", "w") as archive:
        archive.writestr("values.npy", b"no array at all")
    refuse_table(folder / "corpus.toml", "text.npz is damaged .values is no array")


@pytest.mark.parametrize(("descr", "shape"), [("<U0", "(-1,)"), ("<U0", "(12, 4, 3)"), ("<f4", "(-12, 4, 3)")])
def test_an_array_that_ends_the_process_when_it_is_mapped_is_refused(folder, descr, shape):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}".ljust(117).encode() + b"\n"
    magic = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
    (folder / "audio.npy").write_bytes(magic + header + bytes(64))
    refuse_table(folder / "corpus.toml", r"audio.npy is damaged .it announces an array of shape")
