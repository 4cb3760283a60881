import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deconfound.data.task import Task
from deconfound.objectives.averaging import average, confidence_in_truth

CLASSES = Task.classification(("a", "b", "c"))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 4), st.booleans())
def test_the_average_is_that_of_probabilities_or_of_values(seed: int, views: int, classes: bool) -> None:
    draw = torch.Generator().manual_seed(seed)
    task = CLASSES if classes else Task.regression()
    outputs = 3 * torch.randn(views, 5, task.outputs, generator=draw)
    weights = torch.rand(views, 5, generator=draw) * (torch.rand(views, 5, generator=draw) < 0.7)
    weights[0] += 0.1
    found = average(task, outputs, weights)
    for b in range(5):
        each = [outputs[v, b].softmax(0) if classes else outputs[v, b] for v in range(views)]
        expected = sum(weights[v, b] * each[v] for v in range(views)) / weights[:, b].sum()
        torch.testing.assert_close(found[b].softmax(0) if classes else found[b], expected, rtol=1e-4, atol=1e-5)


def test_a_weight_of_zero_has_no_gradient_and_no_nan() -> None:
    outputs = torch.randn(2, 3, 3, requires_grad=True)
    average(CLASSES, outputs, torch.tensor([[1.0] * 3, [0.0] * 3])).square().sum().backward()
    assert outputs.grad is not None
    assert bool(torch.isfinite(outputs.grad).all())
    assert not outputs.grad[1].any()


def test_the_confidence_in_the_truth_is_its_probability() -> None:
    outputs, target = torch.randn(2, 4, 3), torch.tensor([0, 2, 1, 1])
    found = confidence_in_truth(CLASSES, outputs, target)
    for v in range(2):
        for b in range(4):
            assert found[v, b].item() == pytest.approx(outputs[v, b].softmax(0)[target[b]].item(), rel=1e-4)


def test_the_confidence_of_a_regression_has_no_unit() -> None:
    outputs, target = torch.randn(2, 6, 1), torch.randn(6)
    task = Task.regression()
    expected = torch.exp(-(outputs[..., 0] - target).square() / target.var(correction=0))
    torch.testing.assert_close(confidence_in_truth(task, outputs, target), expected)
    torch.testing.assert_close(confidence_in_truth(task, 10 * outputs, 10 * target), expected)
