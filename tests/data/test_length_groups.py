"""`length_groups`: every row once, and no step that exists is cut off."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from deconfound.data.length_groups import length_groups


@given(st.integers(1, 20), st.integers(1, 9), st.integers(1, 25), st.integers(0, 1000))
def test_each_row_is_in_one_group_of_the_steps_that_it_needs(rows: int, steps: int, size: int, seed: int) -> None:
    mask = torch.rand(rows, steps, generator=torch.Generator().manual_seed(seed)) < 0.3
    groups = length_groups(mask, size)
    assert sorted(torch.cat([members for members, _ in groups]).tolist()) == list(range(rows))
    for members, kept in groups:
        longest = max((step + 1 for row in members.tolist() for step in range(steps) if mask[row, step]), default=1)
        assert len(members) <= size
        assert kept == longest
    kept_steps = [kept for _, kept in groups]
    assert kept_steps == sorted(kept_steps)


def test_a_batch_without_rows_has_no_step_to_read() -> None:
    assert [(len(rows), steps) for rows, steps in length_groups(torch.zeros(3, 4, dtype=torch.bool), 2)] == [
        (2, 1),
        (1, 1),
    ]
