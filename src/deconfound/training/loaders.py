"""Feeding a method: whole batches are gathered by one `index_select` per modality, there is no per-row collation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch


class ShuffledRows(Sampler[Tensor]):
    """Index tensors of one epoch; the order depends on (seed, epoch) alone, so a resumed run sees the same batches.

    Args:
        rows: a contiguous range of dataset rows.
        size: B; the last batch of an epoch may be smaller.
        seed: of the run.
        rank, world: this process takes every `world`-th batch, beginning with batch number `rank`.
    """

    def __init__(self, rows: range, size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.rows, self.size, self.seed, self.rank, self.world = rows, size, seed, rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the training engine before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        batches = -(-len(self.rows) // self.size)
        return batches // self.world if self.world > 1 else batches  # equal counts, or processes wait for each other

    def __iter__(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, self.epoch))
        order = torch.randperm(len(self.rows), generator=generator) + self.rows.start
        batches = order.split(self.size)
        for number in range(len(self)):
            yield batches[number * self.world + self.rank]


class GroupedRows(ShuffledRows):
    """As `ShuffledRows`, with rows of several environments in equal numbers in every batch.

    Each environment gives its rows in an order of its own and begins anew when they are used up, so that small ones are
    seen more often; the number of batches is that of `ShuffledRows`.

    Args:
        env: (N,) environment of every row of the dataset.
        together: environments per batch, drawn without replacement; all of them where there are fewer.
    """

    def __init__(self, rows: range, size: int, seed: int, rank: int, world: int, env: Tensor, together: int) -> None:
        super().__init__(rows, size, seed, rank, world)
        own = env[rows.start : rows.stop]
        self.members = [torch.nonzero(own == e).squeeze(1) + rows.start for e in torch.unique(own)]
        self.together = min(together, len(self.members), size)

    def __iter__(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, self.epoch))
        waiting = [torch.empty(0, dtype=torch.int64) for _ in self.members]
        share, more = divmod(self.size, self.together)
        for number in range(len(self) * self.world):
            chosen = torch.randperm(len(self.members), generator=generator)[: self.together].tolist()
            parts = []
            for place, e in enumerate(chosen):
                count = share + (place < more)
                while len(waiting[e]) < count:
                    order = torch.randperm(len(self.members[e]), generator=generator)
                    waiting[e] = torch.cat([waiting[e], self.members[e][order]])
                parts.append(waiting[e][:count])
                waiting[e] = waiting[e][count:]
            if number % self.world == self.rank:
                yield torch.cat(parts)


def several(dataset: Dataset, size: int) -> int:
    """How many environments share a batch of `size` rows: as many as get 8 rows each, at least 2."""
    rows = dataset.rows("train")
    return min(max(2, size // 8), len(torch.unique(dataset.env[rows.start : rows.stop])))


class _Rows(TorchDataset[Batch]):
    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, rows: Any) -> Batch:
        return self.dataset.batch(rows)


def derive_seed(*numbers: int) -> int:
    """One 32-bit seed from several numbers; PyTorch's CPU generator ignores higher bits, so shifting would not do."""
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=4).digest()
    return int.from_bytes(digest)


def train_loader(
    dataset: Dataset, size: int, seed: int, rank: int = 0, world: int = 1, together: int = 0
) -> DataLoader[Batch]:
    """Shuffled batches of the "train" split; with `together`, rows of so many environments in each."""
    place = (dataset.rows("train"), size, seed, rank, world)
    order = GroupedRows(*place, dataset.env, together) if together else ShuffledRows(*place)
    return DataLoader(_Rows(dataset), sampler=order, batch_size=None, collate_fn=_as_is)


def ordered_loader(dataset: Dataset, split: str, size: int) -> DataLoader[Batch]:
    """Batches of a split in row order, as views."""
    rows = dataset.rows(split)
    chunks = [range(start, min(start + size, rows.stop)) for start in range(rows.start, rows.stop, size)]
    return DataLoader(_Rows(dataset), sampler=chunks, batch_size=None, collate_fn=_as_is)  # type: ignore[arg-type]


def _as_is(batch: Any) -> Any:
    return batch
