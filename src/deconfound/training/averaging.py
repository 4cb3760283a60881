"""`AveragedWeights`: any method in training, beside a copy whose weights are a mean over the steps and which is validated."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import torch
from torch import Tensor

from deconfound.compose import MethodWrapper
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch
from deconfound.errors import SpecError
from deconfound.evaluation.outputs import row_batches
from deconfound.method import Loss, Method
from deconfound.runs.spec import TrainSpec
from deconfound.training.valley import Valley

WINDOW = 0.05
"""Time constant of `ema`, as a share of all steps."""
START = 0.75
"""Share of all steps after which `swa` averages."""


class AveragedWeights(MethodWrapper):
    """Trains `inner`; in eval mode `average` predicts, a copy whose trainable weights are a mean over the training.

    - `ema`: after each step by a factor that forgets with the time constant `WINDOW`, or half of the training so far if that
      is shorter, so that nothing is left of the first weights;
    - `swa`: the plain mean at the ends of the epochs after the share `START` of the steps, the latest weights before;
    - `swad`: see `Valley`.

    Buffers, such as a batch normalisation's statistics, are the latest ones. Everything is in buffers and in `average`, so
    training resumes to the same bits.

    Args:
        inner: the whole method, which scales its targets itself.
        rule: "ema", "swa" or "swad".
    """

    taken: Tensor
    pending: Tensor
    steps: Tensor
    progress: Tensor
    segment: Tensor

    def __init__(self, inner: Method, rule: str) -> None:
        hooks = replace(inner.hooks, on_validation_start=self._start_validation)
        super().__init__(inner, hooks=hooks)
        self.rule = rule
        self.average = copy.deepcopy(inner)
        self._places = [number for number, p in enumerate(inner.parameters()) if p.requires_grad]
        self.average.requires_grad_(False)
        self.register_buffer("taken", torch.zeros((), dtype=torch.int64))  # models in the mean of swa
        self.register_buffer("pending", torch.zeros((), dtype=torch.bool))  # a step whose weights were not taken in
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))  # in the segment of swad
        self.register_buffer("progress", torch.zeros(2, dtype=torch.float64))  # at the last two steps
        if rule == "swad":
            self.valley = Valley(len(self._flat(inner)))
            self.register_buffer("segment", torch.zeros_like(self.valley.mean))

    def forward(self, batch: Batch) -> Tensor:
        return self.inner(batch) if self.training else self.average(batch)

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        """That of `inner`; takes in the weights that the step before has made."""
        if self.training:
            self._take_step()
            self.progress.copy_(self.progress.new_tensor([float(self.progress[1]), progress]))
            self.pending.fill_(True)
        return self.inner.loss(batch, progress, generator)

    @torch.no_grad()
    def _take_step(self) -> None:
        if not bool(self.pending):
            return
        self.pending.fill_(False)
        if self.rule == "ema":
            before, now = self.progress.tolist()
            window = min(WINDOW, max(now, 1e-12) / 2)
            share = -math.expm1(-max(now - before, 0.0) / window) if now > 0 else 1.0
            self._move(self._flat(self.inner), share)
        elif self.rule == "swad":
            self.steps += 1
            self.segment += (self._flat(self.inner) - self.segment) / self.steps

    def _start_validation(self, development: Dataset) -> None:
        self.inner.hooks.on_validation_start(development)
        self._take_step()
        self._end_epoch(development)
        for mine, latest in zip(self.average.buffers(), self.inner.buffers(), strict=True):
            mine.copy_(latest)
        self.average.hooks.on_validation_start(development)

    @torch.no_grad()
    def _end_epoch(self, development: Dataset) -> None:
        if self.rule == "swa":
            late = float(self.progress[1]) >= START
            self.taken += late
            self._move(self._flat(self.inner), 1 / max(1, int(self.taken)))
        elif self.rule == "swad":
            self.valley.add(self.segment, self._risk(development))
            self.segment.zero_()
            self.steps.zero_()
            self._put(self.valley.mean)

    def _risk(self, development: Dataset) -> float:
        """Validation risk of the latest weights, in eval mode as this method is."""
        device, total = self.taken.device, 0.0
        rows = development.rows("valid")
        for batch in row_batches(development, rows, 512):
            moved = batch.to(device)
            total += float(development.task.risk(self.inner(moved).float(), moved.target).double().sum())
        return total / len(rows)

    def _flat(self, method: Method) -> Tensor:
        """(P,) the trainable weights."""
        parameters = list(method.parameters())
        return torch.cat([parameters[place].detach().reshape(-1) for place in self._places])

    def _move(self, goal: Tensor, share: float) -> None:
        """Go this share of the way from the mean to (P,) weights; all of it is exact."""
        mean = self._flat(self.average)
        self._put(goal if share == 1 else mean + share * (goal - mean))

    def _put(self, weights: Tensor) -> None:
        parameters, start = list(self.average.parameters()), 0
        for place in self._places:
            parameter = parameters[place]
            parameter.copy_(weights[start : start + parameter.numel()].view_as(parameter))
            start += parameter.numel()


def check_averaging(train: TrainSpec) -> None:
    """Refuse an average of weights that no process has as a whole.

    Raises:
        SpecError: the weights are sharded.
    """
    if train.strategy == "fsdp":
        raise SpecError(
            f"train.averaging = {train.averaging!r} needs whole weights; leave it out, or strategy = 'fsdp'"
        )
