"""A run that is killed in its second epoch and gone on with, beside one that nobody disturbed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from deconfound.method import Method
from deconfound.runs.checkpoint import read_checkpoint
from deconfound.runs.run import Run
from deconfound.runs.spec import Spec
from deconfound.training.train import train_run


class StopError(Exception):
    pass


def killed_and_resumed(
    asked: Spec, method: type[Method], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Run, dict[str, torch.Tensor]]:
    """The resumed run and its last weights, which equal those of an undisturbed run to the bit, as do its notes."""
    whole = train_run(asked, folder / "whole", progress=False)
    calls, loss = [], method.loss

    def dying(self: Method, *given: Any) -> Any:
        calls.append(1)
        if len(calls) == 6:  # the second step of the second epoch
            raise StopError
        return loss(self, *given)

    monkeypatch.setattr(method, "loss", dying)
    with pytest.raises(StopError):
        train_run(asked, folder / "run", progress=False)
    monkeypatch.setattr(method, "loss", loss)
    again = train_run(asked, folder / "run", progress=False)
    ours, theirs = (
        read_checkpoint(run.path / "checkpoints" / "last.safetensors")["state_dict"] for run in (again, whole)
    )
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert again.done is not None
    assert whole.done is not None
    assert again.done["notes"] == whole.done["notes"]
    return again, ours
