"""Stores that lie: their checksum fits, and still they are not what a dataset can be."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from deconfound.data import store
from deconfound.data.task import Task
from deconfound.errors import DataError, StoreError
from support.small import tiny

Tensors = dict[str, Tensor]
Schema = dict[str, Any]


def lying(folder: Path, change: Callable[[Schema, Tensors], None], **changes: Any) -> Path:
    """A store of `tiny` rows whose schema and tensors were changed, size included."""
    path = store.save(tiny(**changes), folder / "lying")
    schema, tensors = json.loads((path / "dataset.json").read_text()), load_file(path / "data.safetensors")
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    change(schema, tensors)
    save_file(tensors, path / "data.safetensors")
    schema["bytes"] = (path / "data.safetensors").stat().st_size
    (path / "dataset.json").write_text(json.dumps(schema))
    return path


def put(name: str, make: Callable[[Tensor], Tensor]) -> Callable[[Schema, Tensors], None]:
    return lambda _, tensors: tensors.update({name: make(tensors[name])})


def code(value: int) -> Callable[[Tensor], Tensor]:
    return lambda old: old.index_fill(0, torch.tensor([3]), value)


def say(key: str, value: object) -> Callable[[Schema, Tensors], None]:
    return lambda schema, _: schema.update({key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (say("splits", {"test": [0, 4], "train": [4, 8], "valid": [8, 12]}), "come first"),
        (say("splits", {"train": [4, 8], "valid": [8, 12], "test": [0, 4]}), "begins at row 4, not 0"),
        (say("splits", {"train": [0, 8], "valid": [4, 8], "test": [8, 12]}), "begins at row 4, not 8"),
        (say("splits", {"train": [0, 4], "valid": [4, 4], "test": [4, 12]}), "'valid' is empty"),
        (say("splits", {"train": [0, 4], "valid": [4, 8]}), "end at row 8 of 12"),
        (say("splits", {"train": [0, 4], "valid": [4, 8], "test": [8, 13]}), "end at row 13 of 12"),
        (say("splits", {"train": [0, 4.0], "valid": [4, 8], "test": [8, 12]}), "first row"),
        (say("splits", {"train": [-4, 4], "valid": [4, 8], "test": [8, 12]}), "begins at row -4"),
        (say("splits", {"train": [False, 4], "valid": [4, 8], "test": [8, 12]}), "first row"),
        (say("splits", [["train", 0, 12]]), "'splits' is"),
        (say("name", 7), "'name' is 7"),
        (say("checksum", None), "'checksum' is None"),
        (say("modalities", {"text": 1}), "distinct names"),
        (say("modalities", ["text", "text"]), "distinct names"),
        (say("modalities", ["text"]), "nothing names the tensor 'signal/audio/mask'"),
        (say("columns", ["speaker", "age"]), "'id'"),
        (say("environment", ["room"]), "no metadata column 'room'"),
        (say("group", [["speaker"]]), "distinct names"),
        (say("latents", ["C"]), "no tensor 'latent/C'"),
        (say("task", {"kind": "regression", "classes": [], "loss": "l2", "protocol": "regression"}), "loss 'l2'"),
        (say("task", {"kind": "regression", "classes": [], "loss": "mse", "protocol": 3}), "protocol is 3"),
        (say("task", ["regression"]), "'task' is"),
        (put("target", lambda old: old[:, None]), r"shape \(12, 1\)"),
        (put("target", lambda old: old[:11]), "end at row 12 of 11"),
        (put("target", lambda old: old.long()), "targets of a regression are of type int64"),
        (put("target", lambda old: old * torch.nan), "must be finite"),
        (put("signal/audio/values", lambda old: old[:11]), "values of 'audio'"),
        (put("signal/audio/values", lambda old: old.long()), "values of 'audio'"),
        (put("signal/audio/values", lambda old: old.squeeze(1)), "values of 'audio'"),
        (put("signal/text/mask", lambda old: old.to(torch.uint8)), "mask of 'text'"),
        (put("signal/text/mask", lambda old: old[:, :2].contiguous()), "values of 'text'"),
        (put("column/speaker/codes", code(-1)), r"12 codes in \[0, 2\)"),
        (put("column/speaker/codes", code(2)), r"12 codes in \[0, 2\)"),
        (put("column/speaker/codes", code(2_000_000_000)), r"12 codes in \[0, 2\)"),
        (put("column/speaker/codes", lambda old: old.long()), "'codes' of the column 'speaker'"),
        (put("column/speaker/codes", lambda old: old[:11]), "12 codes"),
        (put("column/speaker/ends", lambda old: old + 1), "do not end"),
        (put("column/speaker/ends", lambda old: old.flip(0)), "do not end"),
        (put("column/speaker/bytes", lambda old: old + 140), "not UTF-8"),
        (put("column/id/codes", code(0)), "an id occurs twice"),
        (put("column/age/values", lambda old: old[:11]), "column 'age'"),
        (put("column/age/values", lambda old: old.to(torch.int16)), "column 'age'"),
    ],
)
def test_opening_refuses_what_cannot_be(tmp_path, change, message):
    path = lying(tmp_path, change)
    with pytest.raises(StoreError, match=message) as refused:
        store.open_store(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("number", [-1, 2, 1 << 40])
def test_opening_refuses_class_numbers_out_of_range(tmp_path, number):
    labels = {"task": Task.classification(("no", "yes")), "target": torch.tensor([0, 1] * 6)}
    with pytest.raises(StoreError, match=r"integers in \[0, 2\)"):
        store.open_store(lying(tmp_path, put("target", code(number)), **labels))


def test_two_codes_for_one_text_are_refused_when_all_is_read(tmp_path):
    path = lying(tmp_path, put("column/speaker/bytes", lambda old: old[:1].repeat(2)))
    data = store.open_store(path)
    data.__dict__.pop("checksum")
    say("checksum", data.checksum)(schema := json.loads((path / "dataset.json").read_text()), {})
    (path / "dataset.json").write_text(json.dumps(schema))
    with pytest.raises(DataError, match="one text under two codes"):
        store.open_verified(path)


def test_a_flipped_byte_is_found_once_the_store_is_used(tmp_path):
    path = store.save(tiny(), tmp_path / "s")
    assert store.open_verified(path).checksum == tiny().checksum
    content = bytearray((path / "data.safetensors").read_bytes())
    content[-1] ^= 1
    (path / "data.safetensors").write_bytes(content)
    store.open_store(path)
    for _ in range(2):
        with pytest.raises(StoreError, match="checksum of the data differs"):
            store.open_verified(path)
    with pytest.raises(StoreError, match="checksum of the data differs"):
        store.verified(store.open_store(path).only("text"))


def test_a_store_is_read_once_and_again_after_a_change(tmp_path, monkeypatch):
    path = store.save(tiny(), tmp_path / "s")
    reads = []
    check = store.check_store
    monkeypatch.setattr(store, "check_store", lambda path: (reads.append(path), check(path))[1])
    for _ in range(3):
        store.open_verified(path)
        store._verify.cache_clear()  # as if another process asked
    assert len(reads) == 1
    (path / "dataset.json").write_text((path / "dataset.json").read_text())
    store.open_verified(path)
    assert len(reads) == 2


def test_a_note_of_another_kind_is_not_believed(tmp_path):
    path = store.save(tiny(), tmp_path / "s")
    for text in ("[", "[]", '"x"', "[" * 100_000, '{"files": 1}', '{"files": ""}'):
        (path / ".verified.json").write_text(text)
        store._verify.cache_clear()
        store.open_verified(path)
        assert json.loads((path / ".verified.json").read_text())["files"]


def test_rows_made_in_memory_have_no_store_to_read(tmp_path):
    assert store.verified(tiny()).source is None
