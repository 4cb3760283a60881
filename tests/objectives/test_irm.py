"""IRM's penalty against DomainBed's published formula, written out, and against calculus."""

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import autograd

from deconfound.data.task import Task
from deconfound.objectives.irm import gradient_penalty, risk_slopes

CLASSES = Task.classification(("a", "b", "c"))


def rows(task: Task, count: int, environments: int, seed: int = 0):
    draw = torch.Generator().manual_seed(seed)
    output = torch.randn(count, task.outputs, generator=draw, dtype=torch.float64)
    target = torch.randn(count, generator=draw, dtype=torch.float64)
    if task.kind == "classification":
        target = torch.randint(task.outputs, (count,), generator=draw)
    return output.requires_grad_(), target, torch.randint(environments, (count,), generator=draw)


def domainbed(logits, y):
    """Of one environment: the product of the gradients on its even and odd rows."""
    scale = torch.ones((), dtype=logits.dtype, requires_grad=True)
    losses = F.cross_entropy(logits[::2] * scale, y[::2]), F.cross_entropy(logits[1::2] * scale, y[1::2])
    first, second = (autograd.grad(loss, [scale], create_graph=True)[0] for loss in losses)
    return (first * second).sum()


@settings(deadline=None, max_examples=30)
@given(st.integers(8, 40), st.integers(1, 4), st.integers(0, 99))
def test_halves_are_those_of_domainbed(count: int, environments: int, seed: int) -> None:
    output, y, env = rows(CLASSES, count, environments, seed)
    parts = [(output[env == e], y[env == e]) for e in env.unique() if int((env == e).sum()) > 1]
    expected = torch.stack([domainbed(*part) for part in parts]).mean()
    found = gradient_penalty(output, y, env, CLASSES.risk, halves=True)
    torch.testing.assert_close(found, expected)
    ours, theirs = (autograd.grad(value, output, retain_graph=True)[0] for value in (found, expected))
    torch.testing.assert_close(ours, theirs)


def test_the_derivative_of_squares_is_that_of_algebra() -> None:
    output, y, env = rows(Task.regression(), 20, 3)
    f = output[:, 0]
    expected = torch.stack([(2 * f * (f - y))[env == e].mean().square() for e in range(3)]).mean()
    torch.testing.assert_close(gradient_penalty(output, y, env, Task.regression().risk, halves=False), expected)
    absolute = Task.regression(loss="l1")
    expected = torch.stack([(f * (f - y).sign())[env == e].mean().square() for e in range(3)]).mean()
    torch.testing.assert_close(gradient_penalty(output, y, env, absolute.risk, halves=False), expected)


def test_halves_have_no_bias_and_squares_have_that_of_a_variance() -> None:
    generator, task = torch.Generator().manual_seed(0), Task.regression()
    env = torch.arange(500).repeat_interleave(4)
    y = 1 + torch.randn(2000, generator=generator)  # with f = 1 the derivative is 2 (1 − y), of mean 0 and variance 4
    product, square = (gradient_penalty(torch.ones(2000, 1), y, env, task.risk, halves) for halves in (True, False))
    assert abs(float(product.detach())) < 0.25  # 3 standard errors: each product of means of two has sd 2
    assert abs(float(square.detach()) - 4 / 4) < 0.25


def test_it_is_there_where_gradients_are_off_and_in_half_precision() -> None:
    output, y, env = rows(CLASSES, 12, 2)
    with torch.no_grad():
        off = gradient_penalty(output, y, env, CLASSES.risk, halves=True)
    torch.testing.assert_close(off, gradient_penalty(output, y, env, CLASSES.risk, halves=True))
    with torch.autocast("cpu", torch.bfloat16):
        half = gradient_penalty(output.bfloat16(), y, env, CLASSES.risk, halves=True)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half.double(), off, rtol=0.1, atol=0.01)


def test_environments_of_one_row_have_no_halves() -> None:
    output, y, _ = rows(Task.regression(), 3, 1)
    nothing = gradient_penalty(output, y, torch.arange(3), Task.regression().risk, halves=True)
    assert float(nothing.detach()) == 0


def test_the_slope_of_a_row_has_the_sign_of_its_derivative() -> None:
    output, target = torch.tensor([[2.0], [-1.0], [0.5]]), torch.tensor([1.0, 1.0, 1.0])
    slopes = risk_slopes(output, target, lambda outputs, labels: (outputs.squeeze(1) - labels).square())
    torch.testing.assert_close(slopes, torch.tensor([4.0, 4.0, -0.5]))  # 2 o (o − y)
