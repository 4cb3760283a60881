"""The averages against loops, and against exact sums over discrete tables."""

import pytest
import torch
from torch import Tensor

from deconfound.objectives.front_door import (
    blend,
    conditional,
    dictionary,
    geometric,
    mixture,
    product,
    similarity_weights,
    uniform_weights,
)

B, J, Z, X, A, C = 3, 5, 2, 4, 3, 3


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Outcome:
    """f(z, x, a) = tanh([z; x; a] W) V, broadcasting."""

    def __init__(self, outputs: int) -> None:
        g = generator(7)
        self.weights = [torch.randn(width, 6, generator=g).double() for width in (Z, X, A)]
        self.last = torch.randn(6, outputs, generator=g).double()

    def __call__(self, z: Tensor, x: Tensor, a: Tensor) -> Tensor:
        return torch.tanh(sum(part @ w for part, w in zip((z, x, a), self.weights, strict=True))) @ self.last


@pytest.fixture
def parts() -> dict[str, Tensor]:
    g = generator()
    shapes = {"z": (B, Z), "a": (B, A), "xs": (J, X), "others": (J, A), "raw": (B, J)}
    made = {name: torch.randn(*shape, generator=g).double() for name, shape in shapes.items()}
    return made | {"weights": made["raw"].softmax(1)}


def share(f: Outcome, z: Tensor, x: Tensor, a: Tensor, classification: bool) -> Tensor:
    found = f(z, x, a)
    return found.softmax(0) if classification else found


def compare(found: Tensor, expected: Tensor, classification: bool) -> None:
    torch.testing.assert_close(found.exp() if classification else found, expected)


@pytest.mark.parametrize("classification", [True, False])
def test_averages_equal_loops(parts: dict[str, Tensor], classification: bool) -> None:
    f = Outcome(C if classification else 1)
    z, a, xs, others, weights = (parts[name] for name in ("z", "a", "xs", "others", "weights"))
    own = torch.stack(
        [sum(weights[i, j] * share(f, z[i], xs[j], a[i], classification) for j in range(J)) for i in range(B)]  # type: ignore[misc]
    )
    drawn = torch.stack(
        [sum(weights[i, j] * share(f, z[i], xs[j], others[j], classification) for j in range(J)) for i in range(B)]  # type: ignore[misc]
    )
    compare(conditional(f, z, a, xs, weights, classification), own, classification)
    compare(product(f, z, xs, others, weights, classification), drawn, classification)
    mass = torch.rand(J, generator=generator(3)).double()
    central = torch.stack(
        [sum(mass[j] / mass.sum() * share(f, z[i], xs[j], a[i], classification) for j in range(J)) for i in range(B)]  # type: ignore[misc]
    )
    compare(dictionary(f, z, a, xs, mass, classification), central, classification)
    inside = torch.stack([f(z[i], sum(weights[i, j] * xs[j] for j in range(J)), a[i]) for i in range(B)])  # type: ignore[misc]
    torch.testing.assert_close(geometric(f, z, a, xs, weights), inside)


def test_the_geometric_mean_is_exact_where_outputs_are_linear(parts: dict[str, Tensor]) -> None:
    def linear(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
        return z.sum(-1, keepdim=True) + 2 * x.sum(-1, keepdim=True) * a[..., :1]

    z, a, xs, weights = (parts[name] for name in ("z", "a", "xs", "weights"))
    torch.testing.assert_close(geometric(linear, z, a, xs, weights), conditional(linear, z, a, xs, weights, False))


def discrete(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """One-hot x' and a of 40 draws, and a table P(y | z, x', a)."""
    g = generator(seed)
    x, a = torch.randint(3, (40,), generator=g), torch.randint(2, (40,), generator=g)
    table = torch.rand(2, 3, 2, C, generator=g).double()
    table = table / table.sum(-1, keepdim=True)
    return torch.eye(3).double()[x], torch.eye(2).double()[a], table


def test_the_product_is_the_sum_over_the_joint_distribution_of_x_and_a() -> None:
    xs, others, table = discrete(1)

    z = torch.eye(2).double()
    joint = torch.einsum("jx,ja->xa", xs, others) / len(xs)
    expected = torch.einsum("zxac,xa->zc", table, joint)

    def lookup(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
        return torch.einsum("bz,jx,ja,zxac->bjc", z[:, 0], x[0], a[0], table).log()

    found = product(lookup, z, xs, others, torch.full((40,), 1 / 40).double(), True)
    torch.testing.assert_close(found.exp(), expected)


def test_weights_by_likeness_give_the_distribution_of_x_given_a() -> None:
    """Equation (1): Σ_x' P(y | z, x', a) P(x' | a), with the temperature near 0."""
    xs, others, table = discrete(2)
    a, z = torch.eye(2).double(), torch.eye(2).double()

    def lookup(z: Tensor, x: Tensor, a: Tensor) -> Tensor:
        return torch.einsum("bz,jx,ba,zxac->bjc", z[:, 0], x[0], a[:, 0], table).log()

    weights = similarity_weights(a, others, torch.ones(40, dtype=torch.bool), 0.01).double()
    given = torch.einsum("jx,ja->ax", xs, others)
    given = given / given.sum(1, keepdim=True)
    expected = torch.einsum("bxc,bx->bc", torch.stack([table[0, :, 0], table[1, :, 1]]), given)
    torch.testing.assert_close(conditional(lookup, z, a, xs, weights, True).exp(), expected)


def test_draws_without_the_modality_have_no_weight() -> None:
    valid = torch.tensor([True, False, True])
    assert uniform_weights(valid).tolist() == [0.5, 0.0, 0.5]
    assert not uniform_weights(torch.zeros(3, dtype=torch.bool)).any()
    own, others = torch.randn(2, A, generator=generator()), torch.randn(3, A, generator=generator(1))
    weights = similarity_weights(own, others, valid, 0.2)
    assert not weights[:, 1].any()
    torch.testing.assert_close(weights.sum(1), torch.ones(2))
    cosine = torch.nn.functional.cosine_similarity(own.unsqueeze(1), others[[0, 2]].unsqueeze(0), dim=2) / 0.2
    torch.testing.assert_close(weights[:, [0, 2]], cosine.softmax(1))


@pytest.mark.parametrize("classification", [True, False])
def test_a_weight_of_zero_is_the_same_as_no_draw(classification: bool) -> None:
    outputs = torch.randn(B, J, C, generator=generator(), requires_grad=True)
    weights = torch.tensor([0.5, 0.0, 0.5, 0.0, 0.0])
    found = mixture(outputs, weights, classification)
    torch.testing.assert_close(found, mixture(outputs[:, [0, 2]], weights[[0, 2]], classification))
    mixture(outputs, torch.zeros(J), classification).sum().backward()
    assert outputs.grad is not None
    assert torch.isfinite(outputs.grad).all()


def test_a_blend_mixes_probabilities_not_logits() -> None:
    first, second = torch.randn(2, B, C, generator=generator())
    found = blend(first, second, 0.3, True).exp()
    torch.testing.assert_close(found, 0.7 * first.softmax(1) + 0.3 * second.softmax(1))
    torch.testing.assert_close(blend(first[:, :1], second[:, :1], 0.3, False), 0.7 * first[:, :1] + 0.3 * second[:, :1])
    torch.testing.assert_close(blend(first, second, 0.0, True), first.log_softmax(1))


def test_uniform_weights_sum_to_one_over_the_valid_draws() -> None:
    assert uniform_weights(torch.tensor([True, True, False, True])).tolist() == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3])
    assert uniform_weights(torch.tensor([False, True])).tolist() == [0.0, 1.0]
    assert uniform_weights(torch.tensor([False, False])).tolist() == [0.0, 0.0]
