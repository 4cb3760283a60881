import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deconfound.datasets.grouped import grouped_split
from deconfound.errors import DataError

SHARES = {"train": 0.6, "valid": 0.2, "test": 0.2}


@given(st.lists(st.integers(0, 12), min_size=1, max_size=80), st.integers(0, 2**31))
def test_groups_stay_whole_and_every_split_gets_one(numbers, seed):
    groups = [f"g{n}" for n in numbers]
    if len(set(groups)) < 3:
        with pytest.raises(DataError, match="cannot fill 3 splits"):
            grouped_split(groups, SHARES, seed)
        return
    split = grouped_split(groups, SHARES, seed)
    assert set(split) == set(SHARES)
    assert len({(g, s) for g, s in zip(groups, split, strict=True)}) == len(set(groups))


def test_the_order_of_rows_does_not_matter_and_the_seed_does():
    groups = [f"g{i % 20}" for i in range(200)]
    split = grouped_split(groups, SHARES, 1)
    order = np.random.default_rng(0).permutation(200)
    assert grouped_split([groups[i] for i in order], SHARES, 1) == [split[i] for i in order]
    assert len({tuple(grouped_split(groups, SHARES, seed)) for seed in range(5)}) == 5


def test_shares_are_met_as_nearly_as_groups_allow():
    sizes = np.random.default_rng(0).integers(1, 30, 60)
    groups = np.repeat([f"g{i}" for i in range(60)], sizes).tolist()
    split = np.array(grouped_split(groups, SHARES, 0))
    for name, share in SHARES.items():
        assert abs((split == name).mean() - share) < 30 / len(groups)


@pytest.mark.parametrize(
    "shares",
    [
        {},
        {"train": 0.5, "test": 0.4},
        {"train": 1.5, "test": -0.5},
        {"train": float("nan"), "test": 0.5},
        {"train": 0.5, "test": float("nan")},
        {"train": 0.5, "valid": float("nan"), "test": 0.5},
        {"train": float("inf"), "test": float("-inf")},
        {"train": 1.0, "test": 0.0},
    ],
)
def test_shares_must_sum_to_one(shares):
    with pytest.raises(DataError, match="sum to 1"):
        grouped_split(["a", "b"], shares, 0)
