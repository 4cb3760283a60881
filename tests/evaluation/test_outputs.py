import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deconfound.data.signal import Batch
from deconfound.data.task import Task
from deconfound.errors import RunError
from deconfound.evaluation.outputs import check_finite, collect_outputs, row_batches
from deconfound.methods.erm import ERM
from deconfound.nn.backbone import Backbone
from support.small import tiny


def trained(data) -> ERM:
    return ERM(Backbone.build(data.modalities, data.task, hidden=8, dropout=0.5))


def test_outputs_are_those_of_one_large_batch_in_the_order_of_the_rows():
    data = tiny()
    method, rows = trained(data), torch.tensor([7, 2, 11, 0, 5])
    outputs = collect_outputs(method, row_batches(data, rows, size=2), data.task)
    assert (outputs.shape, outputs.dtype) == ((5, 1), np.float32)
    assert method.training
    with torch.no_grad():
        np.testing.assert_allclose(outputs, method.eval()(data.batch(rows)).numpy(), rtol=1e-5, atol=1e-6)


def test_the_last_batch_is_smaller_and_ranges_are_rows_too():
    assert [batch.ids.tolist() for batch in row_batches(tiny(), range(3, 8), size=2)] == [[3, 4], [5, 6], [7]]


def test_no_batch_gives_no_row():
    data = tiny(task=Task.classification(["a", "b", "c"]), target=torch.zeros(12, dtype=torch.int64))
    assert collect_outputs(trained(data), [], data.task).shape == (0, 3)


def test_outputs_of_another_shape_are_refused():
    class Wide(ERM):
        def forward(self, batch: Batch) -> Tensor:
            return nn.functional.pad(super().forward(batch), [0, 1])

    data = tiny()
    method = Wide(Backbone.build(data.modalities, data.task, hidden=8))
    with pytest.raises(RunError, match=r"Wide gave \(12, 2\) outputs; this task expects \(12, 1\)"):
        collect_outputs(method, row_batches(data, range(12)), data.task)


def test_the_first_row_that_is_not_finite_is_named():
    check_finite(np.array([False, False]), ["a", "b"], "ERM")
    with pytest.raises(RunError, match=r"ERM: 2 of 3 outputs are NaN or infinite \(the first is of 'b'\)"):
        check_finite(np.array([False, True, True]), ["a", "b", "c"], "ERM")
