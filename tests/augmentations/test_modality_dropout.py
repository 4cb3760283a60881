import pytest
import torch
from scipy.stats import chisquare

from deconfound.augmentations.modality_dropout import ModalityDropout
from deconfound.data.signal import Batch, Signal
from deconfound.data.task import Modality, Task
from deconfound.nn.backbone import Backbone

NAMES = ("a", "b", "c")
BACKBONE = Backbone.build({name: Modality(name, 1, (1,)) for name in NAMES}, Task.regression(), hidden=2)


def made(count: int, absent: dict[str, torch.Tensor] | None = None) -> Batch:
    here = torch.ones(count, 1, dtype=torch.bool)
    signals = {n: Signal(torch.ones(count, 1, 1), here).keep(~(absent or {}).get(n, ~here)) for n in NAMES}
    return Batch(signals, torch.zeros(count), torch.arange(count), torch.zeros(count, dtype=torch.int64))


def patterns(batch: Batch, share: float, seed: int = 0) -> torch.Tensor:
    """(B,) which modalities are left, as the bits of a number."""
    ((weight, left),) = ModalityDropout(share=share)(batch, BACKBONE, torch.Generator().manual_seed(seed))
    assert weight == 1
    return sum(left.present[name].long() << bit for bit, name in enumerate(NAMES))


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_every_pattern_is_as_likely_as_it_should_be(share: float) -> None:
    """Each modality by itself; where all three would go, each is as likely to stay."""
    found = torch.bincount(patterns(made(20_000), share), minlength=8).tolist()
    kept = {n: [bool(n >> bit & 1) for bit in range(3)] for n in range(8)}
    expected = [20_000 * (1 - share) ** sum(k) * share ** (3 - sum(k)) for k in kept.values()]
    for alone in (1, 2, 4):
        expected[alone] += expected[0] / 3
    assert found[0] == 0
    assert chisquare(found[1:], expected[1:]).pvalue > 0.001


def test_a_row_that_has_one_modality_keeps_it_and_an_empty_one_stays_empty() -> None:
    number = torch.arange(400).unsqueeze(1) % 4
    batch = made(400, {name: (number != place) for place, name in enumerate(NAMES)})
    assert patterns(batch, 0.9).tolist() == [1, 2, 4, 0] * 100


def test_nothing_and_all_but_one() -> None:
    assert set(patterns(made(50), 0.0).tolist()) == {7}
    assert set(patterns(made(200), 1.0).tolist()) == {1, 2, 4}
