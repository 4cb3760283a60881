"""Estimators of scikit-learn, and the wrapper that lets it cross-validate several modalities."""

from __future__ import annotations

from deconfound.sklearn.estimators import DeconfoundClassifier, DeconfoundRegressor
from deconfound.sklearn.samples import Samples

__all__ = ["DeconfoundClassifier", "DeconfoundRegressor", "Samples"]
