from collections import Counter
from itertools import chain

import pytest
import torch

from deconfound.training.loaders import (
    GroupedRows,
    ShuffledRows,
    default_environments_per_batch,
    derive_seed,
    ordered_loader,
    train_loader,
)
from support.small import small_data, tiny


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
        torch.rand(1, generator=torch.Generator().manual_seed(derive_seed(a, b))).item()
        for a in range(20)
        for b in range(20)
    }
    assert len(drawn) == 400


def test_loaders_give_whole_batches():
    data = tiny()
    assert sorted(torch.cat([batch.ids for batch in train_loader(data, 3, 0)]).tolist()) == [0, 1, 2, 3]
    assert torch.cat([batch.ids for batch in ordered_loader(data, "valid", 3)]).tolist() == [4, 5, 6, 7]


ENV = torch.tensor([9] * 3 + [0, 1, 1, 2, 2, 2, 2, 0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2] + [9] * 4)
ROWS = range(3, 22)  # two rows of environment 0, three of 1, fourteen of 2


def grouped(size: int, together: int, seed: int = 0, rank: int = 0, world: int = 1) -> GroupedRows:
    return GroupedRows(ROWS, size, seed, rank, world, ENV, together)


@pytest.mark.parametrize(("size", "together"), [(6, 3), (6, 2), (7, 3), (4, 9), (2, 3), (5, 1)])
def test_every_batch_holds_rows_of_several_environments_in_equal_numbers(size, together):
    for rows in epoch(grouped(size, together), 0):
        counts = Counter(ENV[rows].tolist())
        assert len(rows) == size
        assert len(counts) == min(together, 3, size)
        assert 9 not in counts
        assert max(counts.values()) - min(counts.values()) <= 1


def test_an_environment_gives_all_its_rows_before_one_comes_again():
    sampler = grouped(6, 3)
    for number in range(3):
        seen = list(chain.from_iterable(epoch(sampler, number)))
        for e in (0, 1, 2):
            times = Counter(row for row in seen if ENV[row] == e)
            own = [row for row in ROWS if ENV[row] == e]
            spread = [times[row] for row in own]
            assert max(spread) - min(spread) <= 1
    assert len(seen) == 4 * 6, "as many batches as without groups"


def test_environments_come_equally_often_where_a_batch_does_not_hold_all():
    sampler, counts = grouped(4, 2), Counter()
    for number in range(300):
        for rows in epoch(sampler, number):
            counts.update(set(ENV[rows].tolist()))
    shares = [counts[e] / sum(counts.values()) for e in (0, 1, 2)]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.02)


def test_grouped_batches_depend_on_seed_and_epoch_alone():
    assert epoch(grouped(6, 3), 2) == epoch(grouped(6, 3), 2)
    assert epoch(grouped(6, 3), 2) != epoch(grouped(6, 3), 1)
    assert epoch(grouped(6, 3), 2) != epoch(grouped(6, 3, seed=1), 2)


def test_processes_share_the_grouped_batches():
    alone = epoch(grouped(4, 2), 1)
    parts = [epoch(grouped(4, 2, rank=rank, world=2), 1) for rank in (0, 1)]
    assert [len(part) for part in parts] == [2, 2]
    assert [rows for pair in zip(*parts, strict=True) for rows in pair] == alone[:4]


def test_as_many_environments_share_a_batch_as_get_eight_rows():
    data = small_data()
    assert [default_environments_per_batch(data, size) for size in (4, 16, 17, 24, 64)] == [2, 2, 2, 3, 3]
    assert default_environments_per_batch(data.with_environment(), 64) == 1
    batch = next(iter(train_loader(data, 24, 0, environments_per_batch=default_environments_per_batch(data, 24))))
    assert torch.bincount(batch.env).tolist() == [8, 8, 8]
