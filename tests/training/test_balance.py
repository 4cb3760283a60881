"""Balanced batches: equal shares of every class, environment or pair, in an order that the seed and epoch decide."""

import numpy as np
import pytest
import torch

import deconfound as dc
from deconfound.errors import DataError, SpecError
from deconfound.runs.spec import TrainSpec
from deconfound.training.balance import balanced_cells
from deconfound.training.loaders import train_loader
from support.small import FAST, small_data, small_spec


def skewed(environments: int = 2) -> dc.Dataset:
    """90 training rows, 81 of them of the first class and 60 of the first environment."""
    rng = np.random.default_rng(0)
    label = np.array((["a"] * 9 + ["b"]) * 12)
    place = np.array((["x", "x", "y"] * 40)[:120]) if environments > 1 else np.array(["x"] * 120)
    split = ["train"] * 90 + ["valid"] * 30
    frame = {"label": label, "place": place, "split": split, "values": [*rng.normal(size=(120, 2))]}
    return dc.dataset(frame, target="label", environment="place", values="values", quiet=True)


def shares(data: dc.Dataset, balance: str, seed: int = 0, epoch: int = 0) -> list[torch.Tensor]:
    cells = balanced_cells(data, TrainSpec(balance=balance))
    loader = train_loader(data, 12, seed, cells=cells)
    loader.sampler.set_epoch(epoch)
    return [batch.ids for batch in loader]


@pytest.mark.parametrize(("balance", "count"), [("class", 2), ("group", 2), ("class-and-group", 4)])
def test_every_batch_has_equally_many_rows_of_every_cell(balance, count):
    data = skewed()
    cells = balanced_cells(data, TrainSpec(balance=balance))
    batches = shares(data, balance)
    assert len(batches) == 8
    for ids in batches:
        held = torch.unique(cells[ids], return_counts=True)[1]
        assert held.tolist() == [12 // count] * count


def test_the_order_follows_seed_and_epoch_alone():
    data = skewed()
    first = torch.stack(shares(data, "class"))
    assert torch.equal(first, torch.stack(shares(data, "class")))
    assert not torch.equal(first, torch.stack(shares(data, "class", epoch=1)))
    assert not torch.equal(first, torch.stack(shares(data, "class", seed=1)))


def test_rows_of_validation_are_never_drawn():
    data = skewed()
    drawn = torch.cat([ids for epoch in range(20) for ids in shares(data, "class", epoch=epoch)])
    assert set(drawn.tolist()) <= set(data.rows("train"))


def test_what_cannot_be_balanced_is_refused_before_anything_is_written(tmp_path):
    for train, message in (
        ({"balance": "class"}, "needs classes"),
        ({"balance": "group", "environments_per_batch": 2}, "leave one out"),
    ):
        with pytest.raises(SpecError, match=message):
            dc.train_run(small_spec(train={**FAST, **train}), tmp_path / "run", progress=False)
    with pytest.raises(DataError, match="are of one environment"):
        dc.fit(skewed(1), "erm", out=tmp_path / "run", train={**FAST, "balance": "group"})
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore::deconfound.training.best_epoch.EpochWarning")
def test_training_on_balanced_classes_finds_the_rare_one(tmp_path):
    rng = np.random.default_rng(0)
    label = (rng.uniform(size=600) < 0.1).astype(int)
    data = dc.dataset(
        target=label.astype(str),
        values=rng.normal(size=(600, 2)) + 1.2 * label[:, None],
        split=["train"] * 400 + ["valid"] * 100 + ["test"] * 100,
    )
    recall = {}
    for balance in (None, "class"):
        run = dc.fit(data, "erm", out=tmp_path / str(balance), train={**FAST, "epochs": 20, "balance": balance})
        table = dc.evaluate(run, [dc.Scenario("test", "test")], dataset=data)
        recall[balance] = float(table[table["metric"] == "worst-class-recall"]["value"].iloc[0])
    assert recall["class"] > recall[None] + 0.2


def test_a_group_balance_works_for_a_regression(tmp_path):
    cells = balanced_cells(small_data(), TrainSpec(balance="group"))
    assert len(torch.unique(cells)) == 3
