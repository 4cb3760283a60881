import numpy as np
import pytest
import torch
from scipy.stats import beta, kstest

from deconfound.augmentations.mixup import Mixup, mix_signals
from deconfound.compose import RegularizedMethod
from deconfound.data.signal import Batch, Signal
from deconfound.data.task import Modality, Task
from deconfound.errors import SpecError
from deconfound.methods.erm import ERM
from deconfound.nn.backbone import Backbone
from support.toy import rows

DATA = rows()
BACKBONE = Backbone.build(DATA.modalities, DATA.task, hidden=4)


def seed(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def test_a_step_is_the_mean_of_two_rows_or_the_one_that_exists() -> None:
    batch = DATA.batch("train")
    for name, signal in batch.signals.items():
        order = torch.randperm(len(batch), generator=seed())
        found = mix_signals(signal, order, 0.7)
        for row, other in enumerate(order.tolist()):
            for step in range(signal.mask.shape[1]):
                parts = [(w, signal.values[r, step]) for w, r in ((0.7, row), (0.3, other)) if signal.mask[r, step]]
                total = sum(w for w, _ in parts)
                expected = sum(w * v for w, v in parts) / total if parts else 0 * signal.values[0, 0]
                torch.testing.assert_close(found.values[row, step], expected, msg=f"{name} {row} {step}")
                assert bool(found.mask[row, step]) == bool(parts)


def test_the_loss_is_that_of_mixed_labels() -> None:
    batch = DATA.batch("train")
    (first, one), (second, other) = Mixup(alpha=1.0)(batch, BACKBONE, seed(3))
    assert one.signals is other.signals
    prediction = torch.randn(len(batch), generator=seed())
    mixed = first * one.target + second * other.target
    losses = [first * (prediction - one.target) ** 2 + second * (prediction - other.target) ** 2]
    expected = (prediction - mixed) ** 2 + first * second * (one.target - other.target) ** 2  # the last is a constant
    torch.testing.assert_close(losses[0], expected)
    assert sorted(other.target.tolist()) == sorted(batch.target.tolist())
    assert torch.equal(one.target, batch.target)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_the_larger_weight_is_that_of_a_beta(alpha: float) -> None:
    batch, augmentation = DATA.batch("train"), Mixup(alpha=alpha)
    shares = np.array([augmentation(batch, BACKBONE, seed(n))[0][0] for n in range(400)])
    assert shares.min() >= 0.5
    folded = kstest(shares, lambda x: beta.cdf(x, alpha, alpha) - beta.cdf(1 - x, alpha, alpha))
    assert folded.pvalue > 0.01


def test_tokens_are_refused_before_training() -> None:
    words = Modality("words", 4, ())
    encoder = torch.nn.Sequential()
    encoder.forward = lambda values, mask: torch.zeros(len(values), 3)  # type: ignore[method-assign]
    backbone = Backbone.build({"words": words}, Task.regression(), encoders={"words": encoder})
    with pytest.raises(SpecError, match="Mixup cannot change the tokens of words; leave it out"):
        RegularizedMethod(ERM(backbone), {}, {"mixup": Mixup()})


def test_two_rows_of_one_step_by_hand() -> None:
    signal = Signal(torch.tensor([[[2.0]], [[10.0]]]), torch.ones(2, 1, dtype=torch.bool))
    batch = Batch({"x": signal}, torch.tensor([0.0, 1.0]), torch.arange(2), torch.arange(2))
    backbone = Backbone.build({"x": Modality("x", 1, (1,))}, Task.regression(), hidden=2)
    turned = next(n for n in range(20) if int(torch.randperm(2, generator=skip(n))[0]) == 1)
    (share, one), (rest, other) = Mixup(alpha=1.0)(batch, backbone, seed(turned))
    assert one.signals["x"].values.flatten().tolist() == pytest.approx([share * 2 + rest * 10, share * 10 + rest * 2])
    assert (one.target.tolist(), other.target.tolist()) == ([0, 1], [1, 0])
    assert one.env.tolist() == other.env.tolist() == [0, 1]


def skip(number: int) -> torch.Generator:
    """A generator from which the weight was drawn."""
    generator = seed(number)
    torch.rand((), dtype=torch.float64, generator=generator)
    return generator
