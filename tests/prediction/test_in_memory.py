"""A run predicts what is in memory: frames, dicts and datasets, with the repairs and the columns of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import deconfound as dc
from deconfound.errors import DataError
from deconfound.prediction.predict import predict_rows
from support.small import FAST

N = 24
DRAW = np.random.default_rng(0)
PIXELS = DRAW.integers(0, 256, (N, 8, 8, 3), dtype=np.uint8)
FRAME = pd.DataFrame(
    {
        "label": ["a", "b", "c"] * 8,
        "age": DRAW.normal(size=N),
        "income": [np.nan if row % 6 == 0 else row / 10 for row in range(N)],
        "clip": [None if row == 3 else DRAW.normal(size=(1 + row % 3, 2)) for row in range(N)],
    },
    index=[f"r{row}" for row in range(N)],
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dc.Run:
    data = dataset()
    return dc.fit(data, "erm", out=tmp_path_factory.mktemp("run") / "r", train=FAST, progress=False)


def dataset() -> dc.Dataset:
    return dc.dataset(FRAME, target="label", tab=["age", "income"], clip="clip", picture=PIXELS, quiet=True)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Extracted features stay out of the user's cache."""
    monkeypatch.setenv("DECONFOUND_CACHE", str(tmp_path / "cache"))


def test_rows_come_by_id_in_the_order_given(run: dc.Run) -> None:
    table = run.predict(dataset())
    assert list(table.columns) == ["prediction", "p_a", "p_b", "p_c"]
    assert list(table.index) == list(dataset().columns["id"].values)
    logits = predict_rows(run.method(), run.modalities, run.task, dataset().signals, list(table.index))
    expected = torch.from_numpy(logits).double().softmax(dim=1).numpy()
    assert np.array_equal(table[["p_a", "p_b", "p_c"]].to_numpy(), expected)
    assert table["prediction"].tolist() == [("a", "b", "c")[code] for code in expected.argmax(axis=1)]
    assert run.predict_proba(dataset()).equals(table[["p_a", "p_b", "p_c"]].rename(columns=lambda name: name[2:]))


def test_a_frame_and_a_dict_give_what_the_dataset_gives(run: dc.Run) -> None:
    expected = run.predict_proba(dataset().only("tab", "clip")).loc[FRAME.index]
    assert np.allclose(run.predict_proba(FRAME), expected, atol=1e-6)
    backwards = FRAME.iloc[::-1]
    assert list(run.predict(backwards).index) == list(backwards.index)
    arrays = {"tab": FRAME[["age", "income"]].to_numpy(), "clip": FRAME["clip"].tolist()}
    assert np.allclose(run.predict_proba(arrays), expected, atol=1e-6)
    whole = {**arrays, "picture": PIXELS}
    assert np.allclose(
        run.predict_proba(whole, ids=list(FRAME.index)), run.predict_proba(dataset()).loc[FRAME.index], atol=1e-6
    )


def test_one_row_is_read_as_in_training(run: dc.Run) -> None:
    one = FRAME.iloc[[5]]
    assert np.allclose(run.predict_proba(one), run.predict_proba(FRAME).loc[["r5"]], atol=1e-6)


def test_signals_with_masks_are_taken(run: dc.Run) -> None:
    data = dataset()
    ids = data.columns["id"].values.tolist()
    assert run.predict(dict(data.signals), ids=ids).equals(run.predict(data))


def test_features_of_an_absent_modality_are_zero(run: dc.Run) -> None:
    features = run.embed({"picture": PIXELS[:2]})
    assert features.shape == (2, 192)
    assert bool((features.filter(like="clip") == 0).all(axis=None))
    assert bool((features.filter(like="picture") != 0).any(axis=None))


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ({"pictures": PIXELS}, "there is no modality 'pictures'; did you mean 'picture'"),
        (FRAME[["label"]], r"the rows have no modality \(columns label\)"),
        ({"clip": np.zeros((2, 9, 2))}, "has shape 9×2"),
        ({"clip": ["a text"]}, "holds texts or paths"),
        ({"clip": [None, [[1.0, 2.0]]]}, "row '0' has no modality at all"),
        ({"tab": np.zeros((2, 3))}, "has shape 1×3"),
        (7, "a frame is a table"),
    ],
)
def test_rows_that_do_not_fit_are_refused_in_one_line(data: Any, match: str, run: dc.Run) -> None:
    with pytest.raises(DataError, match=match) as caught:
        run.predict(data)
    assert "\n" not in str(caught.value)


def test_a_regression_predicts_numbers_and_no_probabilities(tmp_path: Path) -> None:
    target = FRAME["age"] * 100 + 1000
    data = dc.dataset(FRAME, target=target, tab=["age", "income"], quiet=True)
    run = dc.fit(data, "erm", out=tmp_path / "r", train={**FAST, "epochs": 40, "learning_rate": 0.02}, progress=False)
    assert np.corrcoef(run.predict(FRAME)["prediction"], target)[0, 1] > 0.8
    with pytest.raises(DataError, match="no probabilities"):
        run.predict_proba(FRAME)


def test_texts_are_read_by_the_extractor_of_training(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    labels = ["good", "bad"] * 12
    frame = pd.DataFrame({"words": [f"a {label} day, number {row}" for row, label in enumerate(labels)]})
    data = dc.dataset(frame, target=labels, text="words", extractors={"text": "word-pieces"}, quiet=True)
    assert data.modalities["text"].kind == "tokens"
    assert "word-pieces" in repr(data)
    with pytest.raises(DataError, match="holds texts or paths, no vector"):
        dc.dataset(frame, target=labels, text="words", kinds={"text": "vector"})


def test_the_labels_of_training_are_ignored(run: dc.Run) -> None:
    labels = FRAME["label"].tolist()
    assert run.predict({"picture": PIXELS, "label": labels}).equals(run.predict({"picture": PIXELS}))
    with pytest.raises(DataError, match="there is no modality 'lable'"):
        run.predict({"picture": PIXELS, "lable": labels})
