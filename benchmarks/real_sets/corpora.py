"""Real corpora from the folder beside the clone: AV digits, CREMA-D votes and MOSI. A corpus that is absent is left out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal

ROOT = Path(__file__).parents[2]
FOLDER = ROOT.parent / "shared" / "data"
sys.path.insert(0, str(ROOT / "benchmarks" / "data"))

from av_digits import av_digits  # noqa: E402
from build import SPEAKERS  # noqa: E402
from crema_d_votes import crema_d_votes  # noqa: E402
from mosi import mosi  # noqa: E402

PER_CLASS = 15
"""Recordings of each digit and speaker that training may use, so that a run takes seconds."""


def digits_of_a_new_speaker(fold: int) -> Dataset:
    """AV digits, one speaker for test-ood: in fold 0 to 5 each of them once, with 15 of 40 recordings to train on."""
    speaker = SPEAKERS[fold % len(SPEAKERS)]
    whole = av_digits(FOLDER / "av-digits", variant="shift", audio="image", speaker=speaker, seed=fold)
    late = whole.columns["index"].values >= 10 + PER_CLASS
    split = whole.metadata["split"].to_numpy(dtype=object)
    return whole.resplit(["" if name == "train" and drop else name for name, drop in zip(split, late, strict=True)])


@cache
def _mosi_pooled() -> Dataset:
    whole = mosi(FOLDER / "mosi" / "unaligned_30.pkl")
    return replace(whole, signals={name: _mean(signal) for name, signal in whole.signals.items()})


def mosi_vectors(fold: int) -> Dataset:
    """MOSI with the mean of each modality over its steps; all 93 videos are dealt to train, valid and test anew."""
    whole = _mosi_pooled()
    videos = sorted(set(whole.columns["video"].values.tolist()))
    order = torch.randperm(len(videos), generator=torch.Generator().manual_seed(fold)).tolist()
    part = {videos[place]: _part(rank, len(videos)) for rank, place in enumerate(order)}
    return whole.resplit([part[video] for video in whole.columns["video"].values])


def _part(rank: int, count: int) -> str:
    return "train" if rank < 0.6 * count else "valid" if rank < 0.8 * count else "test"


def _mean(signal: Signal) -> Signal:
    count = signal.mask.sum(dim=1).clamp(min=1)
    mean = (signal.values.double() * signal.mask[..., None]).sum(dim=1) / count[:, None]
    return Signal(mean.float()[:, None], signal.present[:, None])


def corpora() -> dict[str, Callable[[int], Dataset]]:
    """Name → fold → dataset, of the corpora that are there."""
    votes = FOLDER / "crema-d-votes"
    known: dict[str, tuple[Path, Callable[[int], Dataset]]] = {
        "av-digits-speaker": (FOLDER / "av-digits", digits_of_a_new_speaker),
        "crema-d-actors": (votes, lambda fold: crema_d_votes(votes, variant="actors", seed=fold)),
        "crema-d-levels": (votes, lambda fold: crema_d_votes(votes, variant="levels", seed=fold)),
        "mosi-vectors": (FOLDER / "mosi", mosi_vectors),
    }
    return {name: make for name, (folder, make) in known.items() if folder.is_dir()}
