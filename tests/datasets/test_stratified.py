import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deconfound.datasets.stratified import strata_of, stratified_split
from deconfound.errors import DataError

SHARES = {"train": 0.7, "valid": 0.15, "test": 0.15}


def subjects() -> tuple[list[str], list[str]]:
    """40 subjects with one to three scans; the first eight are ill."""
    generator = np.random.default_rng(0)
    scans = [int(n) for n in generator.choice([1, 1, 1, 2, 3], 40)]
    return (
        [f"s{i}" for i, n in enumerate(scans) for _ in range(n)],
        ["AD" if i < 8 else "HC" for i, n in enumerate(scans) for _ in range(n)],
    )


@given(st.integers(0, 2**31))
def test_no_split_lacks_the_rare_class(seed):
    groups, labels = subjects()
    split = np.array(stratified_split(groups, labels, SHARES, seed))
    assert len(set(zip(groups, split.tolist(), strict=True))) == 40
    ill = np.array(labels) == "AD"
    for name, share in SHARES.items():
        assert ill[split == name].any()
        assert abs((split == name).mean() - share) < 0.1


def test_the_order_of_rows_does_not_matter_and_the_seed_does():
    groups, labels = subjects()
    split = stratified_split(groups, labels, SHARES, 1)
    order = np.random.default_rng(0).permutation(len(groups))
    again = stratified_split([groups[i] for i in order], [labels[i] for i in order], SHARES, 1)
    assert again == [split[i] for i in order]
    assert len({tuple(stratified_split(groups, labels, SHARES, seed)) for seed in range(5)}) == 5


def test_numbers_are_stratified_by_quarters():
    assert strata_of(np.arange(8.0)) == list("00112233")


def test_too_few_groups():
    with pytest.raises(DataError, match="2 groups cannot fill 3 splits"):
        stratified_split(["a", "b"], ["x", "y"], SHARES, 0)
