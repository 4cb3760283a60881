"""Frames, arrays and lists in memory become a dataset: what is read, what is masked, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import deconfound as dc
from deconfound.errors import DataError
from deconfound.testing import check_dataset

N = 20
LABELS = ["calm", "angry"] * 10
DRAW = np.random.default_rng(0)
AUDIO = DRAW.normal(size=(N, 4, 3))
FRAME = pd.DataFrame(
    {
        "label": LABELS,
        "age": np.arange(N),
        "income": [np.nan if row % 4 == 0 else row / 10 for row in range(N)],
        "speaker": [f"s{row % 5}" for row in range(N)],
        "clip": [None if row == 3 else DRAW.normal(size=(1 + row % 3, 2)) for row in range(N)],
        "words": [list(range(1 + row % 4)) for row in range(N)],
    }
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Extracted features stay out of the user's cache."""
    monkeypatch.setenv("DECONFOUND_CACHE", str(tmp_path / "cache"))


def read(frame: object = FRAME, /, **arguments: Any) -> dc.Dataset:
    return dc.dataset(frame, **{"target": "label", "quiet": True, **arguments})


def by_id(data: dc.Dataset, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Values and mask in the order of the row numbers."""
    order = torch.from_numpy(np.argsort([int(row) for row in data.columns["id"].values]))
    return data.signals[name].values[order], data.signals[name].mask[order]


def test_columns_and_arrays_are_modalities_with_masks() -> None:
    data = read(tab=["age", "income"], clip="clip", words="words", audio=AUDIO, environment="speaker")
    check_dataset(data)
    assert {name: str(modality) for name, modality in data.modalities.items()} == {
        "tab": "tab vector 1×2",
        "clip": "clip sequence 3×2",
        "words": "words tokens 4",
        "audio": "audio sequence 4×3",
    }
    values, mask = by_id(data, "clip")
    assert mask.sum(dim=1).tolist() == [0 if row == 3 else 1 + row % 3 for row in range(N)]
    assert torch.allclose(values[4, :2].double(), torch.from_numpy(FRAME["clip"][4]), atol=1e-6)
    assert torch.equal(by_id(data, "words")[0][3], torch.tensor([0, 1, 2, 3]))
    assert torch.allclose(by_id(data, "audio")[0].double(), torch.from_numpy(AUDIO), atol=1e-6)
    assert set(data.columns) == {"id", "speaker"}
    assert data.environment == ("speaker",)


def test_a_missing_number_is_absent_alone_and_imputed_beside_others() -> None:
    alone = by_id(read(income="income"), "income")[1]
    assert alone[:, 0].tolist() == [row % 4 != 0 for row in range(N)]
    assert bool(by_id(read(tab=["age", "income"]), "tab")[1].all())


class Polars:
    """The part of a polars frame that is used."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.columns = list(frame.columns)
        self._frame = frame

    def __getitem__(self, name: str) -> Any:
        return pd.arrays.NumpyExtensionArray(self._frame[name].to_numpy())


class HuggingFace:
    """The part of a Hugging Face dataset that is used."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.column_names = list(frame.columns)
        self._frame = frame

    def __getitem__(self, name: str) -> list[Any]:
        return self._frame[name].tolist()


@pytest.mark.parametrize(
    "frame",
    [
        FRAME.to_dict("list"),
        FRAME.to_dict("records"),
        Polars(FRAME),
        HuggingFace(FRAME),
        FRAME.astype({"label": "category", "age": "Int64"}),
        FRAME.to_dict("series"),
    ],
    ids=["dict of lists", "list of rows", "polars", "hugging face", "pandas extension types", "dict of series"],
)
def test_all_frames_give_the_same_dataset(frame: object) -> None:
    arguments: dict[str, Any] = {"tab": ["age", "income"], "clip": "clip", "words": "words", "group": "speaker"}
    assert read(frame, **arguments).checksum == read(**arguments).checksum


def test_splits_of_hugging_face_are_the_splits() -> None:
    parts = {"train": FRAME[:12], "valid": FRAME[12:16], "test": FRAME[16:]}
    data = read({name: HuggingFace(part) for name, part in parts.items()}, age="age")
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 12, "valid": 4, "test": 4}


def test_a_real_table_of_pyarrow_is_read() -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"label": LABELS, "x": [[1.0, 2.0]] * (N - 1) + [None]})
    assert by_id(read(table, x="x"), "x")[1][:, 0].tolist() == [True] * (N - 1) + [False]


@pytest.mark.parametrize(
    ("labels", "task", "classes"),
    [
        (LABELS, "classification", ("angry", "calm")),
        ([True, False] * 10, "classification", ("False", "True")),
        ([3, 11] * 10, "classification", ("3", "11")),
        (np.arange(N) / 3, "regression", ()),
        (pd.Series(LABELS, dtype="category"), "classification", ("angry", "calm")),
    ],
    ids=["texts", "booleans", "whole numbers", "numbers", "categories"],
)
def test_labels_say_the_task(labels: object, task: str, classes: tuple[str, ...]) -> None:
    data = dc.dataset(target=labels, audio=AUDIO)
    assert (data.task.kind, data.task.classes) == (task, classes)


def test_many_whole_numbers_need_a_word() -> None:
    with pytest.raises(DataError, match=r"30 different whole numbers.*task='classification'"):
        dc.dataset(target=list(range(30)), x=np.zeros((30, 2)))
    data = dc.dataset(target=list(range(30)), x=np.ones((30, 2)), task="regression")
    assert data.task.kind == "regression"


def test_shares_are_stratified_and_groups_stay_whole() -> None:
    shares = {"train": 0.6, "valid": 0.2, "test": 0.2}
    stratified = read(age="age", split=shares)
    for rows in stratified.splits.values():
        assert torch.bincount(stratified.target[rows.start : rows.stop]).tolist() == [len(rows) // 2] * 2
    grouped = read(age="age", split=shares, group="speaker")
    speakers = grouped.metadata.groupby("split")["speaker"].agg(set)
    assert sum(map(len, speakers)) == 5
    assert read(age="age", seed=1).checksum != read(age="age").checksum


def test_a_column_or_an_array_names_the_splits() -> None:
    split = ["train"] * 10 + ["valid"] * 5 + ["night"] * 5
    named = read(FRAME.assign(split=split), age="age")
    assert named.test_splits == ("night",)
    assert read(age="age", split=split).checksum == named.checksum


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((N, 16, 12, 3), (1, 3, 16, 12)),
        ((N, 3, 16, 12), (1, 3, 16, 12)),
        ((N, 16, 12), (1, 16, 12)),
        ((N, 2, 16, 12, 1), (2, 1, 16, 12)),
    ],
    ids=["HWC", "CHW", "grey", "video"],
)
def test_bytes_of_images_are_recognised(
    shape: tuple[int, ...], expected: tuple[int, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = DRAW.integers(0, 256, shape, dtype=np.uint8)
    data = read(image=pixels, quiet=False)
    values = by_id(data, "image")[0]
    assert tuple(values.shape[1:]) == expected
    moved = np.moveaxis(pixels, -1, -3) if shape[-1] in (1, 3) else pixels
    assert np.allclose(values.numpy(), moved.reshape(values.shape) / 255, atol=1e-6)
    assert "was read as" in capsys.readouterr().out
    assert "was read as" in repr(data)


def test_a_list_of_images_with_gaps_is_read_like_their_array() -> None:
    pixels = DRAW.integers(0, 256, (N, 16, 12, 3), dtype=np.uint8)
    data = read(image=[None if row == 2 else image for row, image in enumerate(pixels)])
    values, mask = by_id(data, "image")
    assert tuple(values.shape[1:]) == (1, 3, 16, 12)
    assert mask[:, 0].tolist() == [row != 2 for row in range(N)]


def test_lengths_and_signals_say_the_steps() -> None:
    lengths = [1 + row % 4 for row in range(N)]
    mask = torch.arange(4) < torch.tensor(lengths)[:, None]
    by_length = read(audio=AUDIO, lengths={"audio": lengths})
    signal = dc.Signal(torch.from_numpy(AUDIO).float(), torch.ones(N, 4, dtype=torch.bool)).keep(mask)
    assert torch.equal(by_id(by_length, "audio")[1], mask)
    assert torch.equal(by_id(read(audio=signal), "audio")[0], by_id(by_length, "audio")[0])


def test_names_that_collide_go_into_modalities_and_ids_into_the_index() -> None:
    data = read(
        FRAME.set_index("speaker").reset_index(), modalities={"name": "age", "split": AUDIO}, id=range(100, 120)
    )
    assert set(data.modalities) == {"name", "split"}
    assert sorted(data.columns["id"].values)[0] == "100"
    indexed = read(FRAME.set_axis([f"clip{row}" for row in range(N)]), age="age")
    assert "clip7" in indexed.columns["id"].values


def test_rows_without_a_label_are_refused_or_dropped() -> None:
    frame = FRAME.assign(label=[None, "NaN", *LABELS[2:]])
    with pytest.raises(DataError, match=r"2 of 20 rows have no label.*unlabelled='drop'"):
        read(frame, age="age")
    data = read(frame, age="age", unlabelled="drop")
    assert len(data) == N - 2
    assert {"0", "1"}.isdisjoint(data.columns["id"].values)


def test_five_lines_and_an_escaped_table() -> None:
    data = read(FRAME.assign(label=["<b>", "ok"] * 10), age="age", environment="speaker", name="<script>")
    assert len(repr(data).splitlines()) == 5
    assert "speaker (5)" in repr(data)
    html = data._repr_html_()
    assert "<script>" not in html
    assert "&lt;b&gt;" in html


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"age": "aeg"}, "did you mean 'age'"),
        ({}, "there is no modality"),
        ({"audio": AUDIO[:3]}, "has 3 rows, the others have 20"),
        ({"target": "labl", "age": "age"}, "did you mean 'label'"),
        ({"x": [[1.0, 2.0], [1.0]] * 10, "kinds": {"x": "vector"}}, "vector data have one"),
        ({"x": [np.zeros((2, 3)), np.zeros((2, 4))] * 10}, "only the first axis"),
        ({"x": [{"a": 1}] * N}, "not a regular array"),
        ({"x": [None] * N}, "absent in every row"),
        ({"age": "age", "kinds": {"agee": "vector"}}, "did you mean 'age'"),
        ({"audio": AUDIO, "lengths": {"audio": [9] * N}}, "length of row 1 is 9"),
        ({"age": "age", "split": {"train": 0.5, "valid": 0.2}}, "sum to 1"),
        ({"age": "age", "id": ["a"] * N}, "'a' occurs 20 times"),
        ({"age": "age", "environment": [None, *["s"] * 19]}, "every row needs one"),
        ({"age": "age", "classes": ["calm", "glad"]}, "'angry' is not among the classes"),
        ({"age": "age", "target": [[1, 2]] * N}, "a label is one text.* for several labels a row"),
        ({"age": "age", "target": np.zeros((N, 3))}, "for several labels a row .* a 0/1 column of a table"),
        ({"audio": AUDIO, "lengths": {"audio": [-1] * N}}, "row 1 is -1; .* 0 where the row lacks the modality"),
        ({"tab": ["age", "label"]}, "reads 'label', which is the target; a model must not read it"),
    ],
)
def test_bad_input_is_refused_in_one_line(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        read(**arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("frame", [np.zeros((3, 2)), 7, "rows.csv"])
def test_what_is_no_frame_is_refused(frame: object) -> None:
    with pytest.raises(DataError, match="a frame is a table of pandas"):
        read(frame, age="age")


def test_images_of_many_sizes_need_an_extractor() -> None:
    pillow = pytest.importorskip("PIL.Image")
    images = [DRAW.integers(0, 256, (16 + row % 3, 12, 3), dtype=np.uint8) for row in range(N)]
    with pytest.raises(DataError, match="extractors="):
        read(picture=images)
    small = {"name": "pixels", "side": 8}
    data = read(picture=images, extractors={"picture": small})
    assert data.modalities["picture"].kind == "image"
    pictures = [pillow.fromarray(image) for image in images]
    assert read(picture=pictures, extractors={"picture": small}).checksum == data.checksum
    with pytest.raises(DataError, match="no extractor reads"):
        read(audio=AUDIO, extractors={"audio": "log-mel"})


def test_recordings_in_memory_are_extracted() -> None:
    pytest.importorskip("librosa")
    sounds = [np.sin(np.arange(4000) * (0.05 + 0.01 * row)).astype(np.float32) for row in range(N)]
    data = read(voice=[(sound, 8000) for sound in sounds])
    assert data.modalities["voice"].kind == "sequence"
    as_dicts = [{"array": sound, "sampling_rate": 8000} for sound in sounds]
    assert read(voice=as_dicts).checksum == data.checksum
    with pytest.raises(DataError, match="voice' holds a int"):
        read(voice=[*as_dicts[:-1], 7])
