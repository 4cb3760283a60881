"""`check_warm_up`: a method says which part of its training it is not yet what it will be."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from deconfound.data.task import Modality, Task
from deconfound.method import Method
from deconfound.testing.examples import learnable_dataset
from deconfound.testing.loss import loss_of

_BEFORE_THE_END = 0.999
_RATE = 0.01


def check_warm_up(method: Method, modalities: Mapping[str, Modality], task: Task, *, fades: bool = False) -> None:
    """Check what the hook `warm_up` says. The method is trained, one step for each of these epochs.

    The laws: the epochs are not negative, and the share is in [0, 1]; after the share, the loss of a batch no longer
    depends on the progress; if epochs are named, the hook `on_epoch_start` of the first epoch after them changes the state,
    as a decision does.

    Args:
        fades: True for a method with terms that end in the course of the training.

    Raises:
        AssertionError: a law is broken; the message says which.
    """
    warm_up = method.hooks.warm_up()
    assert warm_up.epochs >= 0, f"warm-up: {warm_up.epochs} epochs; expected 0 or more"
    assert 0 <= warm_up.share <= 1, f"warm-up: a share of {warm_up.share}; expected one in [0, 1]"
    development = learnable_dataset(modalities, task, torch.Generator().manual_seed(0)).development()
    batch, generator = development.batch("train"), torch.Generator().manual_seed(0)
    optimiser = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=_RATE)
    for epoch in range(warm_up.epochs):
        method.hooks.on_epoch_start(epoch, development, generator)
        optimiser.zero_grad()
        method.train().loss(batch, 0.0, generator).total.backward()
        optimiser.step()
    method.eval()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    if warm_up.epochs:
        method.hooks.on_epoch_start(warm_up.epochs, development, generator)
        state = method.state_dict()
        decided = any(not torch.equal(value, state[name]) for name, value in before.items())
        assert decided, f"warm-up: nothing is decided before epoch {warm_up.epochs}, which the method names as the end"
    moments = [warm_up.share, *(p for p in (0.25, 0.5, 0.75, _BEFORE_THE_END) if p > warm_up.share)]
    first, *later = (loss_of(method, batch, progress=progress).total for progress in moments)
    same = all(torch.allclose(value, first, rtol=1e-5, atol=1e-7) for value in later)
    assert fades or same, (
        f"warm-up: the loss of one batch still changes with the progress after {warm_up.share:g} of the steps; name a "
        "larger share in the hook warm_up"
    )
