"""Rows that stay together against a slow second implementation, and folds against those of scikit-learn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from deconfound.datasets.fold_rows import joined_groups, k_fold
from deconfound.errors import DataError


def slowly_joined(columns: list[list[int]]) -> list[int]:
    """Spread the smallest row number over shared values until nothing changes."""
    numbers = list(range(len(columns[0])))
    changed = True
    while changed:
        changed = False
        for codes in columns:
            for code in set(codes):
                rows = [row for row, value in enumerate(codes) if value == code]
                least = min(numbers[row] for row in rows)
                changed |= any(numbers[row] != least for row in rows)
                for row in rows:
                    numbers[row] = least
    return [sorted(set(numbers)).index(number) for number in numbers]


@given(st.integers(1, 3), st.integers(1, 12), st.integers(0, 2**31))
def test_rows_that_share_a_value_of_any_column_stay_together(width, rows, seed):
    draw = np.random.default_rng(seed)
    columns = [draw.integers(0, 6, rows) for _ in range(width)]
    assert joined_groups(columns, rows).tolist() == slowly_joined([codes.tolist() for codes in columns])


def test_without_columns_each_row_is_by_itself():
    assert joined_groups([], 3).tolist() == [0, 1, 2]


def imbalance(fold: list[str], labels: np.ndarray) -> float:
    """The largest distance of a class's share in a fold from its share of all rows."""
    fold_of = np.array(fold)
    return max(
        abs(float((labels[fold_of == name] == label).mean() - (labels == label).mean()))
        for name in set(fold)
        for label in set(labels.tolist())
    )


def as_names(splitter, labels: np.ndarray, groups: np.ndarray | None = None) -> list[str]:
    names = [""] * len(labels)
    for number, (_, left_out) in enumerate(splitter.split(labels, labels, groups)):
        for row in left_out.tolist():
            names[row] = f"fold {number + 1}"
    return names


@pytest.mark.parametrize("seed", range(5))
def test_rows_are_in_one_fold_each_and_classes_as_equal_as_scikit_learn_makes_them(seed):
    labels = np.random.default_rng(seed).choice(["a", "b", "c"], 203, p=[0.6, 0.3, 0.1])
    ours = k_fold(np.arange(203), labels.tolist(), 5, seed)
    theirs = as_names(StratifiedKFold(5, shuffle=True, random_state=seed), labels)
    assert set(Counter(ours)) == set(Counter(theirs))
    assert max(Counter(ours).values()) - min(Counter(ours).values()) <= 3
    assert imbalance(ours, labels) <= imbalance(theirs, labels) + 0.02


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_whole_and_classes_about_as_equal_as_scikit_learn_makes_them(seed):
    draw = np.random.default_rng(seed)
    groups = draw.integers(0, 40, 400)
    labels = np.where(draw.random(400) < (groups % 5 + 1) / 8, "a", "b")
    ours = k_fold(groups, labels.tolist(), 4, seed)
    assert all(len({ours[row] for row in np.flatnonzero(groups == group)}) == 1 for group in set(groups.tolist()))
    assert set(ours) == {"fold 1", "fold 2", "fold 3", "fold 4"}
    theirs = as_names(StratifiedGroupKFold(4, shuffle=True, random_state=seed), labels, groups)
    assert imbalance(ours, labels) <= max(0.1, 2 * imbalance(theirs, labels))


def test_the_seed_decides():
    units = np.arange(50)
    assert k_fold(units, None, 5, 0) == k_fold(units, None, 5, 0)
    assert k_fold(units, None, 5, 0) != k_fold(units, None, 5, 1)


def test_fewer_units_than_folds_are_refused():
    with pytest.raises(DataError, match="3 groups cannot fill 5 splits"):
        k_fold(np.array([0, 1, 2, 2]), None, 5, 0)
