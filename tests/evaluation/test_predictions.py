from __future__ import annotations

import zipfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from deconfound.errors import RunError
from deconfound.evaluation.predictions import Predictions, load_predictions, save_predictions


def example() -> Predictions:
    output = np.arange(12, dtype=np.float32).reshape(2, 3, 2, 1) / 7
    ids = np.array(["ü$_$1", "b"])
    return Predictions(
        "gaussian", "{}", "test", False, 3, np.array([0.1, 0.2]), np.array([4, 5]), ids, np.array([0.5, 1.0]), output
    )


def test_predictions_survive_a_file_exactly(tmp_path: Path) -> None:
    one = example()
    save_predictions(tmp_path / "predictions" / "a.npz", one)
    two = load_predictions(tmp_path / "predictions" / "a.npz")
    for field in fields(Predictions):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(two, field.name))
        assert type(getattr(one, field.name)) is type(getattr(two, field.name))


def test_a_file_of_ids_that_are_objects_is_written_as_text(tmp_path: Path) -> None:
    save_predictions(tmp_path / "a.npz", replace(example(), ids=np.array(["x", "yy"], dtype=object)))
    assert load_predictions(tmp_path / "a.npz").ids.tolist() == ["x", "yy"]


def test_shapes_must_fit() -> None:
    with pytest.raises(RunError, match="do not fit 2 severities and 3 rows"):
        replace(example(), rows=np.array([1, 2, 3]))
    with pytest.raises(RunError, match="2 rows have 1 ids and 2 labels"):
        replace(example(), ids=np.array(["a"]))


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="does not exist; evaluate the run first"):
        load_predictions(tmp_path / "none.npz")


def test_a_pickle_or_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, scenario=np.array([{"a": 1}], dtype=object))
    with pytest.raises(RunError, match=r"a\.npz is damaged"):
        load_predictions(path)
    save_predictions(path, example())
    whole = path.read_bytes()
    for cut in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(RunError, match=r"a\.npz is damaged") as caught:
            load_predictions(path)
        assert "\n" not in str(caught.value)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scenario.npy", b"\x93NUMPY\x01\x00\x10\x00cos\nsystem\n")
    with pytest.raises(RunError, match=r"a\.npz is damaged"):
        load_predictions(path)
