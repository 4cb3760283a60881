"""Your own data: what the TOML says happens, in all three manifest formats, and every mistake is one line."""

import numpy as np
import pytest
import torch

from deconfound.cli.import_summary import import_summary
from deconfound.datasets.readers.table import read_table
from deconfound.datasets.table_source import read_inputs
from support.data_making import AUDIO, GROUPED, ROWS, TEXT, N, edit, refuse_table, write_rows


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
    gaps[1], gaps[2, 0, 1:] = np.nan, -np.inf
    np.savez(folder / "audio.npz", data=gaps)
    dataset = read_table(path)
    audio = dataset.signals["audio"]
    row = dataset.columns["id"].values.tolist().index("001")
    assert not audio.present[row]
    assert int((~audio.mask).sum()) == 5
    notes = dataset.provenance["masks"]["audio"]
    assert (notes["nan_steps"], notes["infinite_steps"], notes.get("imputed_features")) == (4, 1, None)


@pytest.mark.parametrize(("invalid", "steps"), [("feature", 0), ("frame", 1), ("row", 4)])
def test_what_one_bad_value_takes_with_it(folder, invalid, steps):
    gaps = AUDIO.copy()
    gaps[1, 2, 0] = np.nan
    np.save(folder / "audio.npy", gaps)
    dataset = read_table(edit(folder, 'lengths = "frames"', f'invalid = "{invalid}"'))
    audio = dataset.signals["audio"]
    assert int((~audio.mask).sum()) == steps
    row = dataset.columns["id"].values.tolist().index("001")
    train = [i for i in range(N) if ROWS[i]["split"] == "train"]
    expected = np.nanmean(gaps[train, :, 0]) if invalid == "feature" else 0
    assert float(audio.values[row, 2, 0]) == pytest.approx(expected, rel=1e-6)


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


@pytest.mark.parametrize(
    ("shape", "dtype", "kind", "expected"),
    [
        ((N, 12, 10, 3), "uint8", "", (N, 1, 3, 12, 10)),
        ((N, 12, 10, 3), "float32", 'kind = "image"', (N, 1, 3, 12, 10)),
        ((N, 2, 12, 10, 3), "uint8", "", (N, 2, 3, 12, 10)),
        ((N, 12, 10, 3), "float32", "", (N, 12, 10, 3)),
        ((N, 3, 12, 10), "uint8", 'kind = "image"', (N, 1, 3, 12, 10)),
        ((N, 12, 10, 3), "uint8", 'kind = "sequence"', (N, 12, 10, 3)),
    ],
)
def test_channels_that_come_last_are_put_first_and_said_so(folder, shape, dtype, kind, expected):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
    np.save(folder / "image.npy", pixels)
    with open(folder / "corpus.toml", "a") as file:
        file.write(f'[modalities.image]\nfile = "image.npy"\n{kind}\n')
    dataset = read_table(folder / "corpus.toml")
    image = dataset.signals["image"].values
    assert image.shape == expected
    turned = expected[-3:] != shape[-3:]
    assert ("axes" in dataset.provenance["masks"]["image"]) == turned
    first = np.moveaxis(pixels, -1, -3) if turned else pixels
    row = [row["id"] for row in ROWS].index(dataset.columns["id"].values[3])
    np.testing.assert_array_equal(image[3].numpy().reshape(first[row].shape), first[row])
    lines = [line for line in import_summary(dataset, folder) if "channels first" in line]
    assert len(lines) == turned


def test_inputs_need_neither_target_nor_split(folder):
    path = folder / "new.toml"
    path.write_text('manifest = "rows.csv"\n[modalities.audio]\nfile = "audio.npy"\n')
    signals, ids = read_inputs(path)
    assert len(ids) == N
    assert signals["audio"].mask.all()
    refuse_table(path, r"there is no \[target\], which names the column of the labels")


@pytest.mark.parametrize("word", ["NA", "nan", "N/A", "None", "null", " ", "NaN", "#n/a"])
def test_words_for_a_missing_label_are_no_class(folder, word):
    write_rows(folder, [row | {"label": word if i == 4 else row["label"]} for i, row in enumerate(ROWS)])
    refuse_table(folder / "corpus.toml", f"row 5 has no 'label' .it holds '{word}'.*unlabelled = \"drop\"")
    dataset = read_table(edit(folder, 'kind = "c', 'unlabelled = "drop"\nkind = "c'))
    assert dataset.task.classes == ("angry", "happy", "sad")
    assert (len(dataset), dataset.provenance["unlabelled_rows_dropped"]) == (N - 1, 1)
    assert "004" not in dataset.columns["id"].values


@pytest.mark.parametrize("column", ["split", "speaker", "id"])
def test_words_for_a_missing_value_in_other_columns(folder, column):
    write_rows(folder, [row | {column: "n/a" if i == 4 else row[column]} for i, row in enumerate(ROWS)])
    refuse_table(folder / "corpus.toml", f"row 5 has no '{column}' .it holds 'n/a'")


def test_the_words_are_an_option_and_leave_gaps_in_metadata(folder):
    write_rows(folder, [row | {"room": "NA" if i == 0 else i, "label": "none"} for i, row in enumerate(ROWS)])
    refuse_table(folder / "corpus.toml", "row 1 has no 'label'")
    path = edit(folder, 'manifest = "rows.csv"', 'manifest = "rows.csv"\nmissing = ["NA"]')
    edit(folder, 'kind = "c', 'classes = ["none", "some"]\nkind = "c')
    room = read_table(path).columns["room"].values
    assert room.dtype == np.float64
    assert np.isnan(room).sum() == 1


def test_a_stratified_split_holds_each_class_in_every_split(folder):
    edit(folder, 'column = "split"', GROUPED.format(seed=1) + "\nstratify = true")
    rows = [row | {"label": ["HC", "AD"][i // 2 % 2]} for i, row in enumerate(ROWS)]
    write_rows(folder, rows)
    frame = read_table(folder / "corpus.toml").metadata
    assert frame.groupby("speaker")["split"].nunique().max() == 1
    dataset = read_table(folder / "corpus.toml")
    for split in ("train", "valid", "test"):
        assert len(dataset.batch(split).target.unique()) == 2 or len(dataset.rows(split)) == 2


def test_a_blank_row_number_and_a_length_of_0_are_an_absent_modality(folder):
    there = [i for i in range(N) if i % 3]
    np.save(folder / "audio.npy", AUDIO[there])
    write_rows(folder, [row | {"place": there.index(i) if i % 3 else None} for i, row in enumerate(ROWS)])
    blank = read_table(edit(folder, 'lengths = "frames"', 'lengths = "frames"\nrow = "place"'))
    np.save(folder / "audio.npy", AUDIO)
    write_rows(folder, [row | {"frames": row["frames"] if i % 3 else 0} for i, row in enumerate(ROWS)])
    zero = read_table(edit(folder, '\nrow = "place"', ""))
    for dataset in (blank, zero):
        audio, ids = dataset.signals["audio"], dataset.metadata["id"].astype(int).tolist()
        assert audio.present.tolist() == [bool(i % 3) for i in ids]
        for row, i in enumerate(ids):
            steps = ROWS[i]["frames"] if i % 3 else 0
            assert audio.mask[row].tolist() == [step < steps for step in range(4)]
            assert np.array_equal(audio.values[row, :steps].numpy(), AUDIO[i, :steps])
        assert dataset.provenance["masks"]["audio"]["absent_rows"] == N // 3


def test_a_row_without_any_row_number_of_tokens_is_absent_too(folder):
    np.save(folder / "audio.npy", np.full((N - 1, 4), 7))
    write_rows(folder, [row | {"place": i - 1 if i else None} for i, row in enumerate(ROWS)])
    dataset = read_table(edit(folder, 'lengths = "frames"', 'kind = "tokens"\nrow = "place"'))
    tokens, ids = dataset.signals["audio"], dataset.metadata["id"].astype(int).tolist()
    assert tokens.values.tolist() == [[7 if i else 0] * 4 for i in ids]
    assert tokens.present.tolist() == [i > 0 for i in ids]


def test_shares_without_groups_split_single_rows_with_classes_in_equal_shares(folder):
    shares = "shares = { train = 0.5, valid = 0.25, test = 0.25 }"
    data = read_table(edit(folder, 'column = "split"', shares))
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 6, "valid": 3, "test": 3}
    assert [len(data.batch(name).target.unique()) for name in data.splits] == [3, 3, 3]
    again = read_table(edit(folder, shares, f"{shares}\nseed = 3"))
    assert list(again.columns["id"].values) != list(data.columns["id"].values)


def test_a_share_of_train_becomes_validation_and_the_provenance_says_so(folder):
    write_rows(folder, [row | {"split": "test" if row["split"] == "test" else "train"} for row in ROWS])
    whole = read_table(folder / "corpus.toml")
    data = read_table(edit(folder, 'column = "split"', 'column = "split"\nvalid = 0.34'))
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 6, "valid": 3, "test": 3}
    assert sorted(whole.columns["id"].values[9:]) == sorted(data.columns["id"].values[9:])
    note = {"share": 0.34, "rows": 3, "of": 9, "group": [], "stratify": True, "seed": 0}
    assert data.provenance["validation_taken"] == note


def test_a_share_of_train_is_of_whole_groups(folder):
    write_rows(folder, [row | {"split": "train"} for row in ROWS])
    text = 'column = "split"\nvalid = 0.4\ngroup = ["speaker"]\nstratify = true'
    frame = read_table(edit(folder, 'column = "split"', text)).metadata
    speakers = frame.groupby("split")["speaker"].agg(set)
    assert not speakers["train"] & speakers["valid"]


def test_validation_rows_are_not_taken_twice(folder):
    path = edit(folder, 'column = "split"', 'column = "split"\nvalid = 0.2')
    refuse_table(path, "there is a split 'valid' already, of 3 rows; leave out valid = 0.2")


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        ("ab", "classification"),
        ("01", "classification"),
        (("0.5", "1.5"), "regression"),
        (("", "b", "c"), "classification"),
    ],
)
def test_the_kind_of_the_target_follows_from_the_labels_and_is_said(folder, labels, kind):
    write_rows(folder, [row | {"label": labels[i % len(labels)]} for i, row in enumerate(ROWS)])
    dataset = read_table(edit(folder, 'kind = "classification"\n', 'unlabelled = "drop"\n'))
    assert dataset.task.kind == kind
    assert dataset.provenance["assumed"][0].startswith(f"the target 'label' is taken as a {kind}")
    assert any(dataset.provenance["assumed"][0] in line for line in import_summary(dataset, folder))


def test_a_table_without_a_split_has_the_column_or_one_at_random(folder):
    path = folder / "corpus.toml"
    path.write_text(path.read_text().replace('[split]\ncolumn = "split"\n', ""))
    dataset = read_table(path)
    assert dataset.provenance["assumed"] == ["the column 'split' names the splits"]
    write_rows(folder, [{name: value for name, value in row.items() if name != "split"} for row in ROWS])
    drawn, again = read_table(path), read_table(path)
    assert list(drawn.splits) == ["train", "valid", "test"]
    assert drawn.group == ()
    assert drawn.checksum == again.checksum
    assert "rows were drawn at random" in drawn.provenance["assumed"][0]
