import pytest
import torch

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.task import Task
from deconfound.errors import DataError


def built(values: torch.Tensor, mask: torch.Tensor) -> Dataset:
    rows = len(values)
    split = ["train"] * (rows - 2) + ["valid", "test"]
    metadata = {"id": [f"r{i}" for i in range(rows)]}
    return Dataset.build("d", Task.regression(), {"x": Signal(values, mask)}, torch.zeros(rows), metadata, split)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_large_finite_values_pass_and_values_that_are_not_finite_do_not(dtype):
    values, mask = torch.full((6, 2, 3), torch.finfo(dtype).max, dtype=dtype), torch.ones(6, 2, dtype=torch.bool)
    assert len(built(values, mask)) == 6
    for wrong in (float("nan"), float("inf"), -float("inf")):
        values[4, 1, 2] = wrong
        with pytest.raises(DataError, match="holds NaN or infinite values"):
            built(values, mask)


def test_a_value_under_the_mask_is_refused():
    values, mask = torch.zeros(6, 2, 3), torch.ones(6, 2, dtype=torch.bool)
    mask[3, 1] = False
    assert len(built(values, mask)) == 6
    values[3, 1, 2] = -1
    with pytest.raises(DataError, match="values other than 0 where its mask is False"):
        built(values, mask)
