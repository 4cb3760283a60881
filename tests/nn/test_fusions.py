"""What a fusion does where a modality is absent."""

import pytest
import torch

from deconfound.nn.fusions.concat import Concat
from deconfound.nn.fusions.gated import Gated
from deconfound.nn.fusions.late import Late
from deconfound.registry import build, names

WIDTHS = {"text": 3, "audio": 2}
PRESENT = {"text": torch.tensor([True, True, False, False]), "audio": torch.tensor([True, False, True, False])}


@pytest.mark.parametrize("name", names("fusions"))
def test_an_absent_modality_has_no_influence(name: str) -> None:
    fusion = build("fusions", name, WIDTHS, 2).eval()
    features = {n: torch.randn(4, w) for n, w in WIDTHS.items()}
    other = {n: torch.where(PRESENT[n][:, None], h, torch.full_like(h, 1e4)) for n, h in features.items()}
    first = fusion(features, PRESENT)
    assert first.shape == (4, fusion.width)
    torch.testing.assert_close(first, fusion(other, PRESENT))
    assert bool(torch.isfinite(first).all())


def test_concat_puts_the_learned_vector_in_place_of_an_absent_modality() -> None:
    fusion = Concat(WIDTHS, 1)
    assert not fusion.absent.any()
    with torch.no_grad():
        fusion.absent.copy_(torch.arange(5.0))
    features = {n: torch.randn(4, w) for n, w in WIDTHS.items()}
    found = fusion(features, PRESENT)
    assert torch.equal(found[0], torch.cat([features["text"][0], features["audio"][0]]))
    assert torch.equal(found[1], torch.cat([features["text"][1], torch.tensor([3.0, 4.0])]))
    assert torch.equal(found[3], torch.arange(5.0))


def test_late_is_the_mean_of_those_present() -> None:
    fusion = Late(WIDTHS, 2, dropout=0.0)
    with torch.no_grad():
        fusion.bias.copy_(torch.tensor([0.5, -1.0]))
    features = {n: torch.randn(4, w) for n, w in WIDTHS.items()}
    text, audio = (head(features[n]) for n, head in zip(WIDTHS, fusion.heads, strict=True))
    expected = torch.stack([(text[0] + audio[0]) / 2, text[1], audio[2], torch.zeros(2)]) + fusion.bias
    torch.testing.assert_close(fusion(features, PRESENT), expected)


def test_gated_is_the_sum_of_gated_values() -> None:
    fusion = Gated(WIDTHS, 1, hidden=4)
    features = {n: torch.randn(1, w) for n, w in WIDTHS.items()}
    here = {n: torch.tensor([True]) for n in WIDTHS}
    gates = torch.sigmoid(fusion.gates(torch.cat([features["text"], features["audio"]], 1)))
    values = [torch.tanh(layer(features[n])) for n, layer in zip(WIDTHS, fusion.values, strict=True)]
    torch.testing.assert_close(fusion(features, here), gates[:, :4] * values[0] + gates[:, 4:] * values[1])
    nowhere = {n: torch.tensor([False]) for n in WIDTHS}
    assert not fusion(features, nowhere).any()
