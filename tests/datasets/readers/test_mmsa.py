"""The pickle of sentiment-analysis tools: all parts, the rules of its masks, and the real CMU-MOSI."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from deconfound.datasets.readers.mmsa import read_mmsa
from deconfound.errors import DataError
from support.data_making import T, corpus, read_made

REAL = Path(__file__).parents[3] / ".." / "shared" / "data" / "mosi" / "unaligned_30.pkl"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reads_all_of_it(tmp_path, dtype):
    content = corpus(dtype)
    dataset = read_made(tmp_path, content, name="corpus.pkl")
    assert dataset.name == "corpus"
    assert (dataset.task.loss, dataset.task.protocol) == ("l1", "mmsa-regression")
    assert dataset.splits == {"train": range(5), "valid": range(5, 8), "test": range(8, 12)}
    assert dataset.environment == ("video",)
    assert dataset.target.dtype == torch.float32
    for split, rows in dataset.splits.items():
        part = content[split]
        batch = dataset.batch(rows)
        assert np.array_equal(batch.target.numpy(), part["regression_labels"].astype(np.float32))
        for modality in T:
            signal = batch.signals[modality]
            assert np.array_equal(signal.values.numpy(), part[modality].astype(np.float32))
            assert signal.mask.sum(dim=1).tolist() == part[f"{modality}_lengths"]
            assert signal.mask[:, 0].all()
    frame = dataset.metadata
    assert frame["video"].tolist()[:3] == ["train0", "train0", "train1"]
    assert frame["segment"].tolist()[:3] == ["0", "1", "2"]
    assert frame["class"].tolist()[:4] == [0, 1, 2, 0]
    assert frame["raw_text"][1] == "say 1"
    assert set(frame["annotation"]) == {"Neutral"}
    assert dataset.provenance["masks"]["text"]["dropped_steps"] == 0
    assert dataset.provenance["ignored"] == []


def test_aligned_without_lengths_finds_the_same_steps(tmp_path):
    with_lengths, without = read_made(tmp_path, corpus()), read_made(tmp_path, corpus(lengths=False))
    for modality in T:
        assert torch.equal(with_lengths.signals[modality].mask, without.signals[modality].mask)
    assert without.provenance["masks"]["text"]["steps_from"] == "values"


@pytest.mark.parametrize("lengths", [True, False])
def test_padding_in_front_is_found(tmp_path, lengths):
    content = corpus(lengths=lengths)
    for part in content.values():
        part["audio"] = part["audio"][:, ::-1].copy()
    dataset, usual = read_made(tmp_path, content), read_made(tmp_path, corpus())
    assert torch.equal(dataset.signals["audio"].mask, usual.signals["audio"].mask.flip(1))
    assert torch.equal(dataset.signals["audio"].values, usual.signals["audio"].values.flip(1))
    notes, other = dataset.provenance["masks"]["audio"], usual.provenance["masks"]["audio"]
    assert (notes["padded_in_front"], notes["padded_at_end"]) == (other["padded_at_end"], 0)
    assert other["padded_at_end"] > 0


def test_values_beyond_the_length_are_dropped_and_counted(tmp_path):
    content = corpus()
    content["train"]["text_lengths"][0] = 1
    content["train"]["text"][0] = 5
    dataset = read_made(tmp_path, content)
    assert dataset.signals["text"].values[0].flatten().tolist() == [5, 5, 0, 0, 0, 0, 0, 0]
    assert dataset.provenance["masks"]["text"]["dropped_steps"] == 3


def test_zeros_between_steps_are_values_and_zero_rows_are_absent_without_lengths(tmp_path):
    content = corpus(lengths=False)
    content["train"]["text"][0] = [[0, 0], [1, 1], [0, 0], [0, 2]]
    content["train"]["audio"][1] = 0
    dataset = read_made(tmp_path, content)
    assert dataset.signals["text"].mask[0].tolist() == [False, True, True, True]
    assert not dataset.signals["audio"].present[1]
    assert dataset.provenance["masks"]["audio"]["absent_rows"] == 1


def test_zero_rows_with_a_length_are_present_and_counted(tmp_path):
    content = corpus()
    content["train"]["text"][0] = 0
    dataset = read_made(tmp_path, content)
    assert dataset.signals["text"].present[0]
    assert dataset.provenance["masks"]["text"]["zero_rows"] == 1


@pytest.mark.parametrize("lengths", [True, False])
def test_steps_that_are_not_finite_are_masked_and_counted(tmp_path, lengths):
    content = corpus(np.float64, lengths=lengths)
    audio = content["train"]["audio"]
    audio[:] = 1
    if lengths:
        content["train"]["audio_lengths"] = [6] * 5
    audio[0, 1, 0], audio[0, 2, 1], audio[1, 0, 2], audio[2, 3, 0] = -np.inf, np.nan, np.inf, 1e300
    audio[3] = np.nan
    dataset = read_made(tmp_path, content, invalid="frame")
    signal, notes = dataset.signals["audio"], dataset.provenance["masks"]["audio"]
    expected = np.isfinite(audio.astype(np.float64)).all(axis=2) & (np.abs(audio) < 1e38).all(axis=2)
    assert np.array_equal(signal.mask[:5].numpy(), expected)
    assert bool((signal.values[~signal.mask] == 0).all())
    assert (notes["nan_steps"], notes["infinite_steps"], notes["absent_rows"]) == (1 + 6, 3, 1)


def test_a_column_that_is_not_finite_costs_no_step(tmp_path):
    content = corpus()
    content["train"]["audio"][:, ::2, 1] = -np.inf
    dataset = read_made(tmp_path, content)
    usual = read_made(tmp_path, corpus(), name="usual.pkl")
    assert torch.equal(dataset.signals["audio"].mask, usual.signals["audio"].mask)
    assert dataset.provenance["masks"]["audio"]["imputed_features"].keys() == {"1"}
    for part in content.values():
        part["audio"][..., 1] = np.nan
    dataset = read_made(tmp_path, content)
    assert dataset.modalities["audio"].shape == (2,)
    assert dataset.provenance["masks"]["audio"]["dropped_features"] == {"1": 1.0}
    assert torch.equal(dataset.signals["audio"].values, usual.signals["audio"].values[..., [0, 2]])


def test_rows_without_a_label_are_left_out_on_request(tmp_path):
    content = corpus()
    content["train"]["regression_labels"][1] = np.nan
    dataset = read_made(tmp_path, content, unlabelled="drop")
    assert (len(dataset), dataset.provenance["unlabelled_rows_dropped"]) == (11, 1)
    assert "train0$_$1" not in dataset.columns["id"].values


def test_optional_parts_may_be_absent(tmp_path):
    content = corpus()
    for part in content.values():
        for key in (
            "id",
            "raw_text",
            "annotations",
            "classification_labels",
            "vision",
            "vision_lengths",
            "audio_lengths",
        ):
            del part[key]
        part["text_bert"] = np.zeros((2, 3))
    del content["valid"]
    dataset = read_made(tmp_path, content)
    assert list(dataset.signals) == ["text", "audio"]
    assert list(dataset.columns) == ["id"]
    assert dataset.columns["id"].values.tolist()[4:6] == ["train/4", "test/0"]
    assert dataset.environment == ()
    assert dataset.provenance["ignored"] == ["text_bert"]


def test_other_forms_of_the_same_things(tmp_path):
    content = corpus()
    for part in content.values():
        part["text"] = part["text"][:, 0]
        del part["text_lengths"]
        part["regression_labels"] = part["regression_labels"][:, None]
        part["audio_lengths"] = np.array(part["audio_lengths"], dtype=np.float64)
        part["id"] = np.array(part["id"])
        part["raw_text"] = np.array(part["raw_text"], dtype=object)
        part["vision"] = part["vision"].astype(np.int64)
    dataset = read_made(tmp_path, content, name="made.pkl")
    assert str(dataset.modalities["text"]) == "text vector 1×2"
    assert dataset.columns["video"].values[0] == "train0"
    assert dataset.signals["vision"].values.dtype == torch.float32


def with_pieces():
    content = corpus()
    for part in content.values():
        rows = len(part["id"])
        lengths = np.arange(rows) % 3 + 1
        mask = np.arange(4) < lengths[:, None]
        pieces = np.where(mask, np.arange(101, 101 + rows)[:, None], 0)
        part["text_bert"] = np.stack([pieces, mask, np.zeros_like(pieces)], axis=1).astype(np.float32)
    return content


def test_word_pieces_are_the_text_on_request(tmp_path):
    content = with_pieces()
    dataset = read_made(tmp_path, content, text="text_bert")
    assert list(dataset.signals) == ["text", "audio", "vision"]
    text = dataset.signals["text"]
    assert str(dataset.modalities["text"]) == "text tokens 4"
    assert text.values[:2].tolist() == [[101, 0, 0, 0], [102, 102, 0, 0]]
    assert text.mask[:2].tolist() == [[True, False, False, False], [True, True, False, False]]
    assert dataset.provenance["ignored"] == []


@pytest.mark.parametrize(
    ("pieces", "match"),
    [
        (None, "'text_bert' of 'valid' is a NoneType; expected whole numbers"),
        (np.zeros((3, 2, 4)), r"is float64 \(3, 2, 4\)"),
        (np.zeros((2, 3, 4)), "regression_labels has 3 rows"),
        (np.zeros((3, 3, 5)), "different lengths in the splits"),
        (np.full((3, 3, 4), -1.0), "holds no word pieces"),
        (np.full((3, 3, 4), 2.0), "holds no word pieces"),
        (np.full((3, 3, 4), np.nan), "holds no word pieces"),
    ],
)
def test_word_pieces_that_are_none_are_refused(tmp_path, pieces, match):
    content = with_pieces()
    content["valid"]["text_bert"] = pieces
    with pytest.raises(DataError, match=match):
        read_made(tmp_path, content, text="text_bert")


def test_further_splits_are_tests_and_dev_is_valid(tmp_path):
    content = corpus()
    content["test_OOD"] = {**corpus(seed=1)["test"], "id": [f"far$_${n}" for n in range(4)]}
    content["dev"] = content.pop("valid")
    dataset = read_made(tmp_path, content)
    assert list(dataset.splits) == ["train", "valid", "test", "test-ood"]


def test_ids_without_the_separator_make_no_environment(tmp_path):
    content = corpus()
    content["test"]["id"][0] = "lonely"
    dataset = read_made(tmp_path, content)
    assert "video" not in dataset.columns
    assert dataset.environment == ()
    assert dataset.provenance["id"] == "as it is"


@pytest.fixture(scope="module")
def mosi():
    if not REAL.is_file():
        if os.environ.get("CI"):
            pytest.fail(f"the real data is not at {REAL}; in CI it must be")
        pytest.skip("the real CMU-MOSI pickle is not beside this checkout")
    return read_mmsa(REAL)


def test_real_mosi(mosi):
    assert {split: len(rows) for split, rows in mosi.splits.items()} == {"train": 1444, "valid": 269, "test": 482}
    assert list(map(str, mosi.modalities.values())) == [
        "text sequence 30×64",
        "audio vector 1×73",
        "vision vector 1×100",
    ]
    videos = mosi.metadata.groupby("split")["video"].agg(set)
    assert sum(map(len, videos)) == len(set.union(*videos)) == 93
    assert {split: len(names) for split, names in videos.items()} == {"train": 62, "valid": 12, "test": 19}
    assert float(mosi.target.min()) == -3.0
    assert float(mosi.target.max()) == 3.0


def test_real_mosi_is_read_as_pickle_reads_it(mosi):
    with open(REAL, "rb") as file:
        known = pickle.load(file)  # noqa: S301 (this file is known)
    for split, rows in mosi.splits.items():
        batch = mosi.batch(rows)
        for modality, signal in batch.signals.items():
            assert np.array_equal(signal.values.numpy(), known[split][modality])
            assert signal.mask.sum(dim=1).tolist() == list(known[split][f"{modality}_lengths"])
        assert mosi.metadata["raw_text"][rows.start : rows.stop].tolist() == list(known[split]["raw_text"])
    assert mosi.provenance["masks"]["text"]["zero_rows"] == 4
