"""The alignment against slow loops, its masks, and the bound that it gives."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from deconfound.objectives.alignment import NEAR, alignment, directed_alignment, positives, similarity

KINDS = ("label", "instance", "both")


def draw(rows: int, seed: int, classes: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two representations, class numbers and presence of `rows` rows."""
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randn(2, rows, 4, generator=generator, dtype=torch.float64)
    target = torch.randint(classes, (rows,), generator=generator)
    return first, second, target, torch.rand(rows, generator=generator) < 0.7


def likeness(target: Tensor, kind: str, rows: list[int]) -> dict[tuple[int, int], float]:
    """Weight of every pair of rows, by the book."""
    weights: dict[tuple[int, int], float] = {}
    spread = torch.stack([target[i] for i in rows]).double().std(correction=0).item() if rows else 0.0
    width = 2 * (NEAR * spread) ** 2 or 1.0
    for i in rows:
        if target.is_floating_point():
            near = {j: math.exp(-((target[i] - target[j]).item() ** 2) / width) for j in rows}
        else:
            near = {j: float(target[i] == target[j]) for j in rows}
        for j in rows:
            label, instance = near[j] / sum(near.values()), float(i == j)
            weights[i, j] = {"label": label, "instance": instance, "both": (label + instance) / 2}[kind]
    return weights


def slow(first: Tensor, second: Tensor, target: Tensor, present: Tensor, kind: str, temperature: float) -> float:
    """1/(2n) Σ_i over both directions of −Σ_j w_ij log softmax_j(cos / τ)."""
    rows = [i for i in range(len(target)) if present[i]]
    weights, total = likeness(target, kind, rows), 0.0
    for a, b in ((first, second), (second, first)):
        for i in rows:
            cosine = {j: torch.cosine_similarity(a[i], b[j], dim=0).item() / temperature for j in rows}
            whole = math.log(sum(math.exp(value) for value in cosine.values()))
            total -= sum(weights[i, j] * (cosine[j] - whole) for j in rows)
    return total / (2 * len(rows)) if rows else 0.0


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(1, 9), st.integers(0, 10_000), st.sampled_from([0.1, 0.2, 1.0]), st.booleans())
@settings(max_examples=30, deadline=None)
def test_equals_slow_loops(kind: str, rows: int, seed: int, temperature: float, regression: bool) -> None:
    first, second, target, present = draw(rows, seed)
    if regression:
        target = first[:, 0] + second[:, 1]
    found = alignment(first, second, target, present, kind=kind, temperature=temperature)  # type: ignore[arg-type]
    assert found.item() == pytest.approx(slow(first, second, target, present, kind, temperature), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_masked_rows_do_not_count(kind: str) -> None:
    first, second, target, present = draw(12, 1)
    whole = alignment(first, second, target, present, kind=kind, temperature=0.2)  # type: ignore[arg-type]
    kept = [part[present] for part in (first, second, target, present)]
    torch.testing.assert_close(whole, alignment(*kept, kind=kind, temperature=0.2))  # type: ignore[arg-type]
    other = torch.where(present.unsqueeze(1), first, 1e3)
    torch.testing.assert_close(whole, alignment(other, second, target, present, kind=kind, temperature=0.2))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_row_it_is_zero_with_finite_gradients(kind: str) -> None:
    first, second, target, present = draw(5, 2)
    first.requires_grad_()
    loss = alignment(first, second, target, torch.zeros_like(present), kind=kind, temperature=0.2)  # type: ignore[arg-type]
    loss.backward()
    assert loss.item() == 0
    assert first.grad is not None
    assert not first.grad.any()


def test_constant_labels_make_every_row_a_positive() -> None:
    weights = positives(torch.full((4,), 2.5), torch.ones(4, dtype=torch.bool), "label")
    torch.testing.assert_close(weights, torch.full((4, 4), 0.25))


@given(st.integers(2, 30), st.integers(0, 10_000), st.floats(0.05, 2.0), st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_it_bounds_the_error_of_a_classifier_by_centroids(
    rows: int, seed: int, temperature: float, classes: int
) -> None:
    """CE ≤ L − log n + H(π), for each direction by itself."""
    first, second, target, _ = draw(rows, seed, classes)
    present = torch.ones(rows, dtype=torch.bool)
    weights = positives(target, present, "label").double()
    z, other = (torch.nn.functional.normalize(part, dim=1) for part in (first, second))
    for anchors, others in ((z, other), (other, z)):
        loss = directed_alignment(similarity(anchors, others, temperature), weights, present).item()
        known = target.unique()
        shares = torch.stack([(target == c).double().mean() for c in known])
        centroids = torch.stack([others[target == c].mean(0) for c in known]) / temperature
        logits = shares.log() + anchors @ centroids.T
        error = torch.nn.functional.cross_entropy(logits, torch.searchsorted(known, target)).item()
        assert error <= loss - math.log(rows) - (shares * shares.log()).sum().item() + 1e-6


def test_half_precision_is_computed_in_full() -> None:
    first, second, target, present = draw(6, 3)
    exact = alignment(first.float(), second.float(), target, present, kind="label", temperature=0.05)
    half = alignment(first.half(), second.half(), target, present, kind="label", temperature=0.05)
    assert half.item() == pytest.approx(exact.item(), rel=0.02)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("regression", [True, False])
def test_many_pairs_at_once_are_each_pair_by_itself(kind: str, regression: bool) -> None:
    drawn = [draw(7, seed) for seed in (4, 5, 6)]
    first, second, present = (torch.stack([each[i] for each in drawn]) for i in (0, 1, 3))
    target = drawn[0][0][:, 0] if regression else drawn[0][2]
    together = alignment(first, second, target, present, kind=kind, temperature=0.2)  # type: ignore[arg-type]
    for i in range(3):
        alone = alignment(first[i], second[i], target, present[i], kind=kind, temperature=0.2)  # type: ignore[arg-type]
        torch.testing.assert_close(together[i], alone)
