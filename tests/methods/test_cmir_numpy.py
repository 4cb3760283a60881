"""`cmir` against a NumPy transcription of the paper's equations, for every preset and every reading that it leaves open."""

from itertools import product
from typing import Any

import pytest
import torch

from deconfound.data.signal import Batch, Signal
from deconfound.methods.cmir import CmIR
from support import cmir_numpy
from support.cmir_small import MODALITIES, generator, make

REDUCTIONS = ("reduce_invariance", "reduce_decorrelation", "reduce_reconstruction")
READINGS: list[dict[str, Any]] = [
    *({"decorrelate": axis, "same_noise": same} for axis, same in product(("rows", "columns"), (False, True))),
    *({reading: "sum"} for reading in REDUCTIONS),
    {"decorrelate": "columns", **dict.fromkeys(REDUCTIONS, "sum")},
]


def double(method: CmIR, batch: Batch) -> tuple[CmIR, Batch]:
    """In 64 bits, with every modality present in every row."""
    signals = {
        name: Signal(signal.values.double(), torch.ones_like(signal.mask)) for name, signal in batch.signals.items()
    }
    return method.double(), Batch(signals, batch.target.double(), batch.ids, batch.env)


@pytest.mark.parametrize("encoder", ["mlp", "pool"])  # one group of three modalities, three groups of one
@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize("preset", CmIR.presets)
def test_the_loss_equals_the_transcription(preset: str, reading: dict[str, Any], encoder: str) -> None:
    encoders = {"encoders": dict.fromkeys(MODALITIES, encoder)}
    method, batch = double(*make(rows=7, backbone=encoders, preset=preset, **reading))
    loss, expected = method.loss(batch, 0.1, generator()), cmir_numpy.loss(method, batch)
    ours = {name: value.item() for name, value in loss.terms.items()} | {"total": loss.total.item()}
    assert ours == pytest.approx(expected, rel=1e-6)
