"""Data loaders: one `index_select` per modality gathers a whole batch; there is no per-row collation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch


class ShuffledRows(Sampler[Tensor]):
    """Row numbers of each batch of an epoch; the order depends on (seed, epoch) alone, so a resumed run sees the same batches.

    Args:
        rows: a contiguous range of dataset rows.
        size: B; the last batch of an epoch may be smaller.
        seed: seed of the run.
        rank, world: this process takes every `world`-th batch, beginning with batch number `rank`.
    """

    def __init__(self, rows: range, size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.rows, self.size, self.seed, self.rank, self.world = rows, size, seed, rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
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
    """As `ShuffledRows`, with equally many rows of several environments in every batch.

    The rows of each environment are shuffled on their own and again when they are used up, so that rows of small
    environments come more often. The number of batches is that of `ShuffledRows`.

    Args:
        env: (N,) environment of every row of the dataset.
        environments_per_batch: number of environments in a batch, drawn without replacement; all of them if there are fewer.
    """

    def __init__(
        self, rows: range, size: int, seed: int, rank: int, world: int, env: Tensor, environments_per_batch: int
    ) -> None:
        super().__init__(rows, size, seed, rank, world)
        numbers = env[rows.start : rows.stop]
        self.members = [torch.nonzero(numbers == number).squeeze(1) + rows.start for number in torch.unique(numbers)]
        self.environments_per_batch = min(environments_per_batch, len(self.members), size)

    def __iter__(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, self.epoch))
        queues = [torch.empty(0, dtype=torch.int64) for _ in self.members]
        share, remainder = divmod(self.size, self.environments_per_batch)
        for number in range(len(self) * self.world):
            drawn = torch.randperm(len(self.members), generator=generator)[: self.environments_per_batch].tolist()
            parts = []
            for position, environment in enumerate(drawn):
                count = share + (position < remainder)
                queue = queues[environment]
                while len(queue) < count:
                    order = torch.randperm(len(self.members[environment]), generator=generator)
                    queue = torch.cat([queue, self.members[environment][order]])
                parts.append(queue[:count])
                queues[environment] = queue[count:]
            if number % self.world == self.rank:
                yield torch.cat(parts)


def default_environments_per_batch(dataset: Dataset, size: int) -> int:
    """Number of environments in a batch of `size` rows: as many as get 8 rows each, at least 2, at most all."""
    rows = dataset.rows("train")
    return min(max(2, size // 8), len(torch.unique(dataset.env[rows.start : rows.stop])))


class _Rows(TorchDataset[Batch]):
    def __init__(self, dataset: Dataset, weights: Tensor | None) -> None:
        self.dataset, self.weights = dataset, weights

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, rows: Any) -> Batch:
        batch = self.dataset.batch(rows)
        return batch if self.weights is None else replace(batch, weight=self.weights[batch.ids])


def derive_seed(*numbers: int) -> int:
    """One 32-bit seed from several numbers; PyTorch's CPU generator ignores higher bits, so shifting would not do."""
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=4).digest()
    return int.from_bytes(digest)


def train_loader(
    dataset: Dataset,
    size: int,
    seed: int,
    rank: int = 0,
    world: int = 1,
    environments_per_batch: int = 0,
    weights: Tensor | None = None,
    cells: Tensor | None = None,
) -> DataLoader[Batch]:
    """Shuffled batches of the "train" split, each with rows of `environments_per_batch` environments; 0 ignores them.

    Args:
        weights: (N,) of all rows of the dataset, for `Batch.weight`.
        cells: (N,) cell of every row; each batch then holds equally many rows of every cell, whatever the environments.
    """
    arguments = (dataset.rows("train"), size, seed, rank, world)
    if cells is not None:
        sampler = GroupedRows(*arguments, cells, size)
    elif environments_per_batch:
        sampler = GroupedRows(*arguments, dataset.env, environments_per_batch)
    else:
        sampler = ShuffledRows(*arguments)
    return DataLoader(_Rows(dataset, weights), sampler=sampler, batch_size=None, collate_fn=_identity)


def ordered_loader(dataset: Dataset, split: str, size: int, weights: Tensor | None = None) -> DataLoader[Batch]:
    """Batches of a split in row order, as views of the dataset; `weights` as for `train_loader`."""
    rows = dataset.rows(split)
    chunks = [range(start, min(start + size, rows.stop)) for start in range(rows.start, rows.stop, size)]
    return DataLoader(_Rows(dataset, weights), sampler=chunks, batch_size=None, collate_fn=_identity)  # type: ignore[arg-type]


def _identity(batch: Any) -> Any:
    return batch
