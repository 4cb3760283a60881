import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deconfound.objectives.modulation import slow_and_fast
from deconfound.objectives.prototypes import class_means, prototype_logits


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_class_means_are_means_over_the_present_rows(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    features, labels = torch.randn(9, 3, generator=draw), torch.randint(4, (9,), generator=draw)
    present = torch.rand(9, generator=draw) < 0.6
    mean, known = class_means(features, present, labels, 4)
    for c in range(4):
        kept = features[present & (labels == c)]
        assert bool(known[c]) == (len(kept) > 0)
        torch.testing.assert_close(mean[c], kept.mean(0) if len(kept) else torch.zeros(3))


def test_logits_are_minus_the_distance_and_unknown_classes_get_nothing() -> None:
    features, prototypes = torch.randn(5, 3), torch.randn(4, 3)
    known = torch.tensor([True, True, False, True])
    found = prototype_logits(features, prototypes, known)
    for b in range(5):
        for c in (0, 1, 3):
            assert found[b, c].item() == pytest.approx(
                -torch.linalg.vector_norm(features[b] - prototypes[c]).item(), rel=1e-5
            )
    assert not found.softmax(1)[:, 2].any()


def test_the_gradient_at_a_prototype_is_finite() -> None:
    features = torch.zeros(1, 3, requires_grad=True)
    prototype_logits(features, torch.zeros(2, 3), torch.ones(2, dtype=torch.bool)).sum().backward()
    assert bool(torch.isfinite(features.grad).all())


@pytest.mark.parametrize("scores", [(0.6, 0.3), (0.2, 0.25), (0.1, 0.9), (0.4, 0.4)])
def test_slow_and_fast_are_the_coefficients_of_the_paper(scores: tuple[float, float]) -> None:
    ratio = scores[0] / scores[1]
    beta, gamma = min(max(0.0, 1 / ratio - 1), 1.0), min(max(0.0, ratio - 1), 1.0)
    slow, fast = slow_and_fast(torch.tensor(scores), torch.ones(2, dtype=torch.bool))
    assert slow.tolist() == pytest.approx([beta, gamma], abs=1e-5)
    assert fast.tolist() == pytest.approx([gamma, beta], abs=1e-5)


def test_without_a_rival_nobody_is_slow_or_fast() -> None:
    slow, fast = slow_and_fast(torch.tensor([0.5, 0.0]), torch.tensor([True, False]))
    assert slow.tolist() == fast.tolist() == [0, 0]
