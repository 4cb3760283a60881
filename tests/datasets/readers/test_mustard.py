"""MUStARD: five folds, the speaker-independent split, and the real texts."""

import json

import pytest

from deconfound.datasets.readers.mustard import MustardReader
from deconfound.errors import DataError
from support.raw_corpora import fast_options, mustard_rows, real_data, write_mustard


def read(path, **arguments):
    return MustardReader(**fast_options("mustard"), **arguments).read(path)


@pytest.mark.parametrize("pairs", [True, False])
def test_a_fold_is_its_test(tmp_path, pairs):
    dataset = read(write_mustard(tmp_path / "mustard", pairs), split="fold-2")
    rows = mustard_rows()
    test = dataset.metadata[dataset.metadata["split"] == "test"]["id"].tolist()
    assert test == [key for n, key in enumerate(rows) if n % 5 == 2]
    assert {split: len(numbers) for split, numbers in dataset.splits.items()} == {"train": 28, "valid": 4, "test": 8}
    for row_id, text, before, show, target in zip(
        *(dataset.columns[name].values for name in ("id", "raw_text", "raw_context_text", "show")),
        dataset.target.tolist(),
        strict=True,
    ):
        row = rows[row_id]
        assert (text, before, show, target) == (
            row["utterance"],
            " ".join(row["context"]),
            row["show"],
            int(row["sarcasm"]),
        )
    assert dataset.environment == ("show",)
    assert dataset.task.classes == ("no", "yes")
    assert not bool(dataset.signals["context_text"].present.all())


def test_the_speaker_independent_split_tests_another_show(tmp_path):
    dataset = read(write_mustard(tmp_path / "mustard"), split="speaker-independent", valid=0.3)
    metadata = dataset.metadata
    assert set(metadata[metadata["split"] == "test"]["show"]) == {"FRIENDS"}
    assert "FRIENDS" not in set(metadata[metadata["split"] != "test"]["show"])
    speakers = metadata[metadata["split"] != "test"].groupby("split")["speaker"].agg(set)
    assert not speakers["train"] & speakers["valid"]


def test_the_seed_decides_the_validation_rows(tmp_path):
    folder = write_mustard(tmp_path / "mustard")
    valid = [read(folder, seed=seed).metadata.query("split == 'valid'")["id"].tolist() for seed in (0, 0, 1)]
    assert valid[0] == valid[1] != valid[2]


def test_the_folds_need_their_file(tmp_path):
    folder = write_mustard(tmp_path / "mustard")
    (folder / "split_indices.json").unlink()
    with pytest.raises(DataError, match=r"need split_indices\.json .*--option split=speaker-independent"):
        read(folder)
    assert len(read(folder / "sarcasm_data.json", split="speaker-independent")) == 40
    (folder / "split_indices.json").write_text("[[[0], [99]]]")
    with pytest.raises(DataError, match="has no fold 0 of positions below 40"):
        read(folder)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ([], "is no object of utterances"),
        ({"a": 1}, "is no object of utterances"),
        ({"a": {"utterance": "x", "speaker": "y", "show": "z"}}, "'a' has no 'sarcasm'"),
        ({"a": {"utterance": "x", "sarcasm": True, "speaker": "y"}}, "'a' has no 'show' of text"),
        ({"a": {"utterance": "x", "sarcasm": True, "context": "y"}}, "'context' is no list of sentences"),
    ],
)
def test_refuses_what_is_not_this_layout(tmp_path, content, match):
    (tmp_path / "sarcasm_data.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=match) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_real_texts():
    dataset = read(real_data("mustard"), split="speaker-independent")
    assert len(dataset) == 690
    assert len(dataset.splits["test"]) == 356
    assert [len(read(real_data("mustard"), split=f"fold-{fold}").splits["test"]) for fold in range(5)] == [138] * 5
