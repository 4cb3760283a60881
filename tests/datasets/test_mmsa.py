"""The field's pickle: what becomes of each part, the rules of its masks, and what is refused."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from deconfound.datasets.mmsa import read_mmsa
from deconfound.errors import DataError

REAL = Path(__file__).parents[2] / ".." / "shared" / "data" / "mosi" / "unaligned_30.pkl"
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


def read(tmp_path, content, name="made.pkl", **arguments):
    path = tmp_path / name
    path.write_bytes(pickle.dumps(content))
    return read_mmsa(path, **arguments)


def refuse(tmp_path, content, match):
    with pytest.raises(DataError, match=match) as caught:
        read(tmp_path, content)
    assert "\n" not in str(caught.value)
    assert "made.pkl" in str(caught.value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reads_all_of_it(tmp_path, dtype):
    content = corpus(dtype)
    dataset = read(tmp_path, content, name="corpus.pkl")
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
    with_lengths, without = read(tmp_path, corpus()), read(tmp_path, corpus(lengths=False))
    for modality in T:
        assert torch.equal(with_lengths.signals[modality].mask, without.signals[modality].mask)
    assert without.provenance["masks"]["text"]["steps_from"] == "values"


@pytest.mark.parametrize("lengths", [True, False])
def test_padding_in_front_is_found(tmp_path, lengths):
    content = corpus(lengths=lengths)
    for part in content.values():
        part["audio"] = part["audio"][:, ::-1].copy()
    dataset, usual = read(tmp_path, content), read(tmp_path, corpus())
    assert torch.equal(dataset.signals["audio"].mask, usual.signals["audio"].mask.flip(1))
    assert torch.equal(dataset.signals["audio"].values, usual.signals["audio"].values.flip(1))
    notes, other = dataset.provenance["masks"]["audio"], usual.provenance["masks"]["audio"]
    assert (notes["padded_in_front"], notes["padded_at_end"]) == (other["padded_at_end"], 0)
    assert other["padded_at_end"] > 0


def test_values_beyond_the_length_are_dropped_and_counted(tmp_path):
    content = corpus()
    content["train"]["text_lengths"][0] = 1
    content["train"]["text"][0] = 5
    dataset = read(tmp_path, content)
    assert dataset.signals["text"].values[0].flatten().tolist() == [5, 5, 0, 0, 0, 0, 0, 0]
    assert dataset.provenance["masks"]["text"]["dropped_steps"] == 3


def test_zeros_between_steps_are_values_and_zero_rows_are_absent_without_lengths(tmp_path):
    content = corpus(lengths=False)
    content["train"]["text"][0] = [[0, 0], [1, 1], [0, 0], [0, 2]]
    content["train"]["audio"][1] = 0
    dataset = read(tmp_path, content)
    assert dataset.signals["text"].mask[0].tolist() == [False, True, True, True]
    assert not dataset.signals["audio"].present[1]
    assert dataset.provenance["masks"]["audio"]["absent_rows"] == 1


def test_zero_rows_with_a_length_are_present_and_counted(tmp_path):
    content = corpus()
    content["train"]["text"][0] = 0
    dataset = read(tmp_path, content)
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
    dataset = read(tmp_path, content)
    signal, notes = dataset.signals["audio"], dataset.provenance["masks"]["audio"]
    expected = np.isfinite(audio.astype(np.float64)).all(axis=2) & (np.abs(audio) < 1e38).all(axis=2)
    assert np.array_equal(signal.mask[:5].numpy(), expected)
    assert bool((signal.values[~signal.mask] == 0).all())
    assert (notes["nan_steps"], notes["infinite_steps"], notes["absent_rows"]) == (1 + 6, 3, 1)


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
    dataset = read(tmp_path, content)
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
    dataset = read(tmp_path, content, name="made.pkl")
    assert str(dataset.modalities["text"]) == "text vector 1×2"
    assert dataset.columns["video"].values[0] == "train0"
    assert dataset.signals["vision"].values.dtype == torch.float32


def test_ids_without_the_separator_make_no_environment(tmp_path):
    content = corpus()
    content["test"]["id"][0] = "lonely"
    dataset = read(tmp_path, content)
    assert "video" not in dataset.columns
    assert dataset.environment == ()
    assert dataset.provenance["id"] == "as it is"


def change(**changes):
    def apply(content):
        for place, value in changes.items():
            split, key = place.split("__")
            if value is None:
                del content[split][key]
            else:
                content[split][key] = value
        return content

    return apply


def alias(content):
    shared = np.ones((5, 4, 2), dtype=np.float32)
    return {"train": {"regression_labels": [0.0] * 5, "text": shared, "audio": shared, "vision": shared}}


SHARED: list[object] = ["x"]
BAD = {
    "a list": (lambda c: [c], "holds a list; expected a dict with train, valid, test"),
    "other splits": (lambda c: {"a": c["train"]}, r"a dict with \['a'\]"),
    "a misspelt split": (lambda c: {**c, "vaild": c["valid"]}, "'vaild'; did you mean 'valid'"),
    "a split that is a list": (lambda c: {**c, "valid": [1]}, "'valid' is a list"),
    "no labels": (change(valid__regression_labels=None), "'regression_labels' of 'valid' is missing"),
    "labels of text": (change(valid__regression_labels=["a", "b", "c"]), "something else"),
    "labels in two columns": (change(train__regression_labels=np.zeros((5, 2))), r"shape \(5, 2\)"),
    "a label that is NaN": (change(train__regression_labels=[0.0, float("nan"), 0, 0, 0]), r"'train0\$_\$1' is nan"),
    "no rows": (lambda c: {**c, "valid": {"regression_labels": [], "text": np.zeros((0, 4, 2))}}, "'valid' is empty"),
    "no modality": (lambda c: {"train": {"regression_labels": [1.0]}}, "no split has any of text, audio, vision"),
    "a modality in one split": (change(test__audio=None), "'audio' is in 'train' but not in 'test'"),
    "a modality of NaN": (
        lambda c: {s: {**p, "audio": np.full_like(p["audio"], np.nan)} for s, p in c.items()},
        "'audio' is absent in every row",
    ),
    "other steps in a split": (change(test__text=np.ones((4, 9, 2))), "other steps and features"),
    "other features in a split": (change(test__text=np.ones((4, 4, 3))), "other steps and features"),
    "too many rows": (change(train__text=np.ones((6, 4, 2))), "regression_labels has 5 rows"),
    "a modality of text": (change(train__text=np.array([["a"]] * 5)), "expected an array of numbers"),
    "a modality that is a list": (change(train__text=[[1.0]] * 5), "'text' of 'train' is a list"),
    "one axis": (change(train__text=np.ones(5)), r"\(N, T, D\) or \(N, D\)"),
    "no features": (change(train__text=np.ones((5, 4, 0))), r"shape \(5, 4, 0\)"),
    "a length beyond the array": (
        change(valid__text_lengths=[1, 9, 1]),
        r"of 'valid0\$_\$1' is 9; the array has 4 steps",
    ),
    "a negative length": (change(valid__text_lengths=[1, -1, 1]), "is -1"),
    "half a step": (change(valid__text_lengths=[1, 0.5, 1]), "is 0.5"),
    "too few lengths": (change(valid__text_lengths=[1, 1]), "has 2 rows; regression_labels has 3"),
    "lengths in one split": (change(valid__text_lengths=None), "not in all splits"),
    "an id twice": (change(valid__id=["a", "b", "a"]), "'a' occurs 2 times"),
    "an id in two splits": (change(valid__id=["train0$_$0", "b", "c"]), "occurs 2 times .in train, valid."),
    "ids of lists": (change(valid__id=[["a"], "b", "c"]), "'id' of 'valid' is no list of texts"),
    "too few texts": (change(valid__raw_text=["a"]), "has 1 rows"),
    "one array for all": (alias, "the same array"),
    "lists of lists": (change(valid__regression_labels=[SHARED, SHARED, SHARED]), "something else"),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses_what_is_not_this_layout(tmp_path, case):
    make, match = BAD[case]
    refuse(tmp_path, make(corpus()), match)


def test_missing_and_other_files_are_refused_in_one_line(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_mmsa(tmp_path / "none.pkl")
    (tmp_path / "rows.csv").write_text("id,label\na,1\n")
    with pytest.raises(DataError, match="no pickle"):
        read_mmsa(tmp_path / "rows.csv")


def test_long_texts_cost_their_length_once(tmp_path):
    """A text as wide as the longest one in every row would take 500 × 4 MB here."""
    import tracemalloc

    rows = 500
    long = "x" * 10**6
    part = {"regression_labels": np.zeros(rows), "text": np.ones((rows, 1)), "id": [f"a$_${i}" for i in range(rows)]}
    part["raw_text"] = [long] * rows
    path = tmp_path / "long.pkl"
    path.write_bytes(pickle.dumps({"train": part}))
    tracemalloc.start()
    dataset = read_mmsa(path)
    assert tracemalloc.get_traced_memory()[1] < 20 * 10**6
    tracemalloc.stop()
    assert dataset.columns["raw_text"].values[3] == long


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
    assert {split: len(found) for split, found in videos.items()} == {"train": 62, "valid": 12, "test": 19}
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
