from __future__ import annotations

import pytest
import torch

from deconfound.corruptions.drop_modality import DropModality
from deconfound.errors import SpecError
from support.toy import rows


def seed(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def test_the_severity_is_the_share_of_rows_that_lose_a_modality_each_by_itself() -> None:
    batch = rows(16_000).batch("train")
    present = DropModality()(batch, 0.4, seed()).present
    text, audio = (~present[name] for name in ("text", "audio"))
    assert float(text.float().mean()) == pytest.approx(0.4, abs=0.03)
    assert float(audio.float().mean()) == pytest.approx(0.4, abs=0.03)
    assert float((text & audio).float().mean()) == pytest.approx(0.16, abs=0.03)


def test_a_row_keeps_a_modality_whole_or_loses_it() -> None:
    batch = rows().batch("train")
    before, after = batch.signals["text"].mask, DropModality()(batch, 0.5, seed()).signals["text"].mask
    kept = after.any(dim=1)
    assert torch.equal(after[kept], before[kept])


def test_severity_one_is_absence_everywhere_for_the_named() -> None:
    batch = rows().batch("train")
    corrupted = DropModality(modalities=["audio"])(batch, 1.0, seed())
    expected = batch.without("audio")
    for name in batch.signals:
        assert torch.equal(corrupted.signals[name].values, expected.signals[name].values)
        assert torch.equal(corrupted.signals[name].mask, expected.signals[name].mask)
    with pytest.raises(SpecError, match="from 0 to 1; got 2"):
        DropModality()(batch, 2.0, seed())
