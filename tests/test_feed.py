from itertools import chain

import torch

from deconfound.feed import ShuffledRows, mix, ordered_loader, train_loader
from small import tiny


def epoch(sampler: ShuffledRows, number: int) -> list[list[int]]:
    sampler.set_epoch(number)
    return [rows.tolist() for rows in sampler]


def test_an_epoch_visits_every_row_once_in_an_order_of_seed_and_epoch():
    sampler = ShuffledRows(range(5, 25), 6, seed=1)
    first, second = epoch(sampler, 0), epoch(sampler, 1)
    assert sorted(chain.from_iterable(first)) == list(range(5, 25))
    assert [len(rows) for rows in first] == [6, 6, 6, 2]
    assert first != second
    assert first == epoch(ShuffledRows(range(5, 25), 6, seed=1), 0)
    assert first != epoch(ShuffledRows(range(5, 25), 6, seed=2), 0)


def test_processes_share_an_epoch_without_overlap():
    parts = [list(chain(*epoch(ShuffledRows(range(24), 4, 0, rank, 2), 3))) for rank in (0, 1)]
    assert sorted(parts[0] + parts[1]) == list(range(24))


def test_seeds_reach_the_generator():
    drawn = {
        torch.rand(1, generator=torch.Generator().manual_seed(mix(a, b))).item() for a in range(20) for b in range(20)
    }
    assert len(drawn) == 400


def test_loaders_give_whole_batches():
    data = tiny()
    assert sorted(torch.cat([batch.ids for batch in train_loader(data, 3, 0)]).tolist()) == [0, 1, 2, 3]
    assert torch.cat([batch.ids for batch in ordered_loader(data, "valid", 3)]).tolist() == [4, 5, 6, 7]
