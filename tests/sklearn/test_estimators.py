"""The estimators behave as scikit-learn expects, with several modalities too."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import deconfound as dc
from deconfound.errors import DataError, SpecError

FAST: dict[str, Any] = {"epochs": 8, "learning_rate": 0.02, "train": {"accelerator": "cpu", "threads": 1}}
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": "rows of weight 0 still take places in batches and in splits",
    "check_estimators_pickle": "a row of NaN is an absent modality, and a row without any is refused",
    "check_methods_subset_invariance": "predictions are 32-bit and differ in the last digit with the batch",
}


def expected_failures(_estimator: object) -> dict[str, str]:
    return EXPECTED


@parametrize_with_checks(
    [dc.DeconfoundClassifier(**FAST), dc.DeconfoundRegressor(**FAST)], expected_failed_checks=expected_failures
)
@pytest.mark.filterwarnings("ignore")  # the checks make rows and labels that deserve warnings
def test_common_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


Rows = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.str_], NDArray[np.int_]]


@pytest.fixture
def rows() -> Rows:
    """80 rows of a vector and a sequence that tell a label, and eight speakers."""
    draw = np.random.default_rng(0)
    label = draw.integers(0, 2, 80)
    audio = draw.normal(size=(80, 4, 3)) + 2 * label[:, None, None]
    text = draw.normal(size=(80, 5)) - 2 * label[:, None]
    return text, audio, np.array(["calm", "angry"])[label], np.arange(80) % 8


def test_dict_inputs_with_an_absent_modality_and_environments(rows: Rows) -> None:
    text, audio, label, speaker = rows
    parts: list[Any] = [None if row % 5 == 0 else step for row, step in enumerate(audio)]
    model = dc.DeconfoundClassifier({"name": "erm", "penalties": {"vrex": {}}}, **FAST)
    model.fit({"text": text, "audio": parts}, label, environment=speaker)
    assert model.score(dc.Samples(text=text, audio=parts), label) > 0.9
    assert model.predict_proba({"text": text[:3]}).shape == (3, 2)
    assert set(model.classes_) == {"calm", "angry"}
    assert np.allclose(model.predict_proba({"text": text}).sum(axis=1), 1)


@pytest.mark.parametrize("method", ["erm", {"name": "cmir", "invariance": 0.1}])
def test_a_fitted_estimator_can_be_pickled(method: Any, rows: Rows) -> None:
    text, _, label, _ = rows
    for model, target in ((dc.DeconfoundClassifier, label), (dc.DeconfoundRegressor, text[:, 0])):
        fitted = model(method, **FAST).fit(text, target)
        assert np.array_equal(pickle.loads(pickle.dumps(fitted)).predict(text), fitted.predict(text))  # noqa: S301


def test_searches_run_in_several_processes(rows: Rows) -> None:
    text, _, label, _ = rows
    scores = cross_val_score(dc.DeconfoundClassifier(**FAST), text, label, cv=2, n_jobs=2)
    assert scores.min() > 0.9


def test_whole_environments_validate_on_request(rows: Rows, tmp_path: Path) -> None:
    text, _, label, speaker = rows
    model = dc.DeconfoundClassifier(validate_on="environments", out=tmp_path, **FAST)
    model.fit({"text": text}, label, environment=speaker)
    assert model.run_ is not None
    assert model.run_.environment["data"]["splits"] == {"train": 60, "valid": 20}
    with pytest.raises(DataError, match="environment="):
        model.fit({"text": text}, label)


def test_cross_validation_by_group_passes_the_environments_of_the_rows(rows: Rows) -> None:
    text, audio, label, speaker = rows
    scores = cross_val_score(
        dc.DeconfoundClassifier(validate_on="environments", **FAST),
        dc.Samples(text=text, audio=audio),
        label,
        groups=speaker,
        cv=GroupKFold(2),
        params={"environment": speaker},
    )
    assert scores.min() > 0.9


def test_grid_search_over_methods_in_a_pipeline(rows: Rows) -> None:
    text, _, label, _ = rows
    pipeline = make_pipeline(StandardScaler(), dc.DeconfoundClassifier(**FAST))
    grid = {"deconfoundclassifier__method": ["erm", {"name": "cmir", "invariance": 0.1}]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(text, label)
    assert search.best_score_ > 0.9
    assert clone(search.best_estimator_[-1]).get_params()["epochs"] == 8


def test_columns_of_a_frame_are_modalities(rows: Rows) -> None:
    text, audio, _, _ = rows
    frame = pd.DataFrame({"a": text[:, 0], "b": text[:, 1], "clip": list(audio)})
    target = text[:, 0] + audio.mean(axis=(1, 2))
    model = dc.DeconfoundRegressor(modalities={"text": ["a", "b"], "audio": "clip"}, **{**FAST, "epochs": 40})
    assert model.fit(frame, target).score(frame, target) > 0.6
    assert list(model.feature_names_in_) == ["a", "b", "clip"]
    with pytest.raises(DataError, match="'clip' for 'audio'; the columns are a, b"):
        model.predict(frame[["a", "b"]])


def test_weights_are_factors_of_the_risks(rows: Rows) -> None:
    text, _, label, _ = rows
    wrong = np.where(label == "calm", "angry", "calm")
    both, labels = np.concatenate([text, text]), np.concatenate([label, wrong])
    weight = np.repeat([1.0, 0.0], 80)
    model = dc.DeconfoundClassifier(**FAST).fit(both, labels, sample_weight=weight)
    assert model.score(text, label) > 0.9
    equal = dc.DeconfoundClassifier(**FAST).fit(text, label, sample_weight=np.full(80, 3.0))
    assert np.array_equal(
        equal.predict_proba(text), dc.DeconfoundClassifier(**FAST).fit(text, label).predict_proba(text)
    )


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"validation": 1.5}, "validation = 1.5"),
        ({"validate_on": "speakers"}, "'rows' or 'environments'"),
        ({"method": "ermm"}, "did you mean 'erm'"),
        ({"epochs": 0}, "epochs = 0"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(arguments: dict[str, Any], match: str, rows: Rows) -> None:
    with pytest.raises((DataError, SpecError), match=match) as caught:
        dc.DeconfoundClassifier(**{**FAST, **arguments}).fit(rows[0], rows[2])
    assert "\n" not in str(caught.value)


def test_samples_are_indexed_by_rows_and_by_name() -> None:
    samples = dc.Samples(text=np.arange(6).reshape(3, 2), clip=[[1], None, [2, 3]])
    assert len(samples) == 3
    assert list(samples) == ["text", "clip"]
    assert samples[[2, 0]]["clip"] == [[2, 3], [1]]
    assert samples[np.array([True, False, False])]["text"].tolist() == [[0, 1]]
    assert samples[1:]["clip"] == [None, [2, 3]]
    with pytest.raises(DataError, match="several rows"):
        samples[0]
    with pytest.raises(DataError, match="all of one length"):
        dc.Samples(a=[1, 2], b=[1])
