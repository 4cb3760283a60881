from __future__ import annotations

import pytest
import torch

from deconfound.corruptions.drop_frames import DropFrames
from deconfound.errors import SpecError
from support.toy import rows


def seed(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def test_the_severity_is_the_share_of_steps_lost() -> None:
    batch = rows(8000).batch("train")
    before = batch.signals["text"].mask
    after = DropFrames()(batch, 0.3, seed()).signals["text"].mask
    lost = (before & ~after).sum(dim=0) / before.sum(dim=0)
    torch.testing.assert_close(lost, torch.full((4,), 0.3), rtol=0, atol=0.05)


def test_without_names_vectors_stay_and_named_ones_go() -> None:
    batch = rows().batch("train")
    assert torch.equal(DropFrames()(batch, 1.0, seed()).signals["audio"].values, batch.signals["audio"].values)
    gone = DropFrames(modalities=["audio"])(batch, 1.0, seed())
    assert not bool(gone.signals["audio"].mask.any())
    assert torch.equal(gone.signals["text"].mask, batch.signals["text"].mask)


def test_severity_one_drops_all_and_more_is_refused() -> None:
    batch = rows().batch("train")
    assert not bool(DropFrames()(batch, 1.0, seed()).signals["text"].mask.any())
    with pytest.raises(SpecError, match=r"a number from 0 to 1; got 1\.5"):
        DropFrames()(batch, 1.5, seed())
