"""A fine-tuning step against a plain `transformers` loop on the same batches of word pieces.

    python benchmarks/text/step.py [--batches 6] [--rounds 3] [--precision 32-true]

Both have the packaged sentence encoder, the mean over the pieces, a head of two layers, the absolute error, clipping and
AdamW at two rates. The plain loop pads each batch to its longest row, as the collator of `transformers` does. The lengths
of the texts are drawn: a median of 13 pieces, a twentieth above 35, as in CMU-MOSI. Both take turns in each round, and the
time is that of this process on one thread, so that other work on the machine hits both alike. Prints the medians and their
ratio.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch, Signal
from deconfound.data.task import Task
from deconfound.extraction.text_model import PACKAGED, load_text_model
from deconfound.runs.build import build_method
from deconfound.runs.spec import Spec
from deconfound.training.learner import parameter_groups
from deconfound.training.optimiser import adamw

ROWS, STEPS, HIDDEN, CLIP = 32, 64, 64, 1.0
HEAD_RATE, RATE = 1e-3, 3e-5

Step = Callable[[Batch], None]


def texts(rows: int, seed: int = 0) -> Dataset:
    """Rows of random word pieces with the lengths of spoken sentences."""
    generator = torch.Generator().manual_seed(seed)
    lengths = (torch.randn(rows, generator=generator) * 0.6 + 2.56).exp().round().clamp(3, STEPS)
    mask = torch.arange(STEPS) < lengths[:, None]
    values = torch.randint(1000, 30000, (rows, STEPS), generator=generator).masked_fill(~mask, 0)
    target = torch.randn(rows, generator=generator)
    split = ["train"] * (rows - 2) + ["valid", "test"]
    ids = {"id": [str(row) for row in range(rows)]}
    return Dataset.build("texts", Task.regression(loss="l1"), {"text": Signal(values, mask)}, target, ids, split)


def ours(data: Dataset, autocast: Callable[[], AbstractContextManager[object]]) -> Step:
    """A step of `erm` on the encoder `pretrained-text`."""
    spec = Spec.of({"method": "erm", "train": {"learning_rate": HEAD_RATE}})
    method = build_method(spec, data.modalities, data.task).train()
    groups, _ = parameter_groups(method, spec.train)
    optimiser = adamw(groups, rate=HEAD_RATE, decay=spec.train.weight_decay)
    generator = torch.Generator().manual_seed(0)

    def step(batch: Batch) -> None:
        optimiser.zero_grad()
        with autocast():
            total = method.loss(batch, 0.5, generator).total
        total.backward()
        nn.utils.clip_grad_norm_(method.parameters(), CLIP)
        optimiser.step()

    return step


def plain(autocast: Callable[[], AbstractContextManager[object]]) -> Step:
    """A step of a loop as the documentation of `transformers` writes it."""
    model = load_text_model(PACKAGED).train()
    head = nn.Sequential(nn.Linear(model.config.hidden_size, HIDDEN), nn.GELU(), nn.Dropout(0.1), nn.Linear(HIDDEN, 1))
    groups = [{"params": list(head.parameters())}, {"params": list(model.parameters()), "lr": RATE}]
    optimiser = torch.optim.AdamW(groups, lr=HEAD_RATE, fused=True)

    def step(batch: Batch) -> None:
        optimiser.zero_grad()
        with autocast():
            error = (head(_mean(model, batch.signals["text"])).squeeze(1) - batch.target).abs().mean()
        error.backward()
        nn.utils.clip_grad_norm_([*model.parameters(), *head.parameters()], CLIP)
        optimiser.step()

    return step


def _mean(model: nn.Module, signal: Signal) -> Tensor:
    longest = int(signal.mask.sum(1).max())
    mask = signal.mask[:, :longest]
    states = model(input_ids=signal.values[:, :longest], attention_mask=mask.long()).last_hidden_state
    weight = mask[..., None].to(states.dtype)
    return (states * weight).sum(1) / weight.sum(1)


def seconds(step: Step, batches: Sequence[Batch]) -> float:
    began = time.process_time()
    for batch in batches:
        step(batch)
    return (time.process_time() - began) / len(batches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", choices=["32-true", "bf16-mixed"], default="32-true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)

    def autocast() -> AbstractContextManager[object]:
        mixed = options.precision == "bf16-mixed"
        return torch.autocast("cpu", dtype=torch.bfloat16) if mixed else nullcontext()

    data = texts(ROWS * options.batches + 2)
    batches = [data.batch(torch.arange(start, start + ROWS)) for start in range(0, ROWS * options.batches, ROWS)]
    steps = {"deconfound": ours(data, autocast), "plain transformers": plain(autocast)}
    for step in steps.values():
        seconds(step, batches[:1])
    rounds = [{name: seconds(step, batches) for name, step in steps.items()} for _ in range(options.rounds)]
    for name in steps:
        print(f"{name}: {1000 * statistics.median(times[name] for times in rounds):.0f} ms a step of {ROWS} rows")
    ratios = [times["deconfound"] / times["plain transformers"] for times in rounds]
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}), {options.precision}")


if __name__ == "__main__":
    main()
