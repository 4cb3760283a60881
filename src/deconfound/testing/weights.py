"""The law of methods that weigh rows: a weight of k is a row that comes k times."""

from __future__ import annotations

from dataclasses import replace

import torch

from deconfound.data.signal import Batch
from deconfound.method import Method
from deconfound.testing.loss import loss_of


def check_weights(method: Method, batch: Batch) -> None:
    """The term "prediction" under weights is that of rows which come as often; equal weights change no loss.

    Rows of weight 0 count for nothing. The method is in eval mode.

    Raises:
        AssertionError: a broken law, named.
    """
    ones = replace(batch, weight=torch.ones(len(batch)))
    _close(loss_of(method, ones).total, loss_of(method, batch).total, "equal weights change nothing")
    times = torch.arange(len(batch)) % 3
    weight = times / times.float().mean()
    weighted = loss_of(method, replace(batch, weight=weight)).terms["prediction"]
    repeated = batch.select(torch.arange(len(batch)).repeat_interleave(times))
    law = "weights: the prediction term is that of rows that come as often as their weight"
    _close(weighted, loss_of(method, repeated).terms["prediction"], law)


def _close(value: torch.Tensor, expected: torch.Tensor, law: str) -> None:
    same = torch.allclose(value, expected, rtol=1e-4, atol=1e-5)
    assert same, f"{law}; got {float(value.detach()):.6g}, expected {float(expected.detach()):.6g}"
