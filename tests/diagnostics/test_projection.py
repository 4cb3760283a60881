"""Principal components against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from deconfound.diagnostics.projection import principal


def test_scores_are_principal_components() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 5)) + 3
    scores, explained = principal(values)
    theirs = PCA(2, svd_solver="full")
    expected = theirs.fit_transform(StandardScaler().fit_transform(values))
    assert np.abs(scores) == pytest.approx(np.abs(expected))
    assert explained == pytest.approx(theirs.explained_variance_ratio_)
    assert principal(values[:, ::-1])[0] == pytest.approx(scores)


def test_one_dimension_and_none() -> None:
    line = np.arange(5.0)[:, None]
    scores, explained = principal(line)
    assert scores[:, 0] == pytest.approx(((line - 2) / np.sqrt(2))[:, 0])
    assert (scores[:, 1] == 0).all()
    assert explained == (pytest.approx(1), 0)
    scores, explained = principal(np.ones((5, 3)))
    assert (scores == 0).all()
    assert explained == (0, 0)
