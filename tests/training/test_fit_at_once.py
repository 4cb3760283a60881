"""Runs of methods that are fitted at once: what a run holds, that it predicts again, and what is refused."""

from pathlib import Path

import pytest
import torch

import deconfound as dc
from deconfound.errors import SpecError
from support.small import tiny

METHODS = ("linear", "late-linear", "boosted-trees", "constant")


@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize("method", METHODS)
def test_a_run_is_finished_predicts_and_opens_again(method: str, keep: str, tmp_path: Path) -> None:
    data = tiny()
    run = dc.fit(data, method, out=tmp_path / "run", train={"keep": keep}, progress=False)
    assert run.done is not None
    assert (run.done["epochs"], run.done["best_epoch"]) == (1, 0)
    again = dc.Run.open(run.path)
    batch = data.batch("test")
    with torch.no_grad():
        assert torch.equal(again.method()(batch), run.method()(batch))
    records = dc.evaluate(again, dataset=data)
    assert {"test"} <= set(records["split"])
    assert (tmp_path / "run" / "log.csv").read_text().splitlines()[1].startswith("0,0,train,total,")
    assert dc.fit(data, method, out=tmp_path / "run", train={"keep": keep}, progress=False).done == run.done


def test_it_sees_no_test_row(tmp_path: Path) -> None:
    data = tiny()
    changed = dc.Dataset.build(
        data.name,
        data.task,
        {
            name: dc.Signal(
                s.values * torch.where(torch.arange(len(data)) >= data.rows("test").start, 9.0, 1.0)[:, None, None],
                s.mask,
            )
            for name, s in data.signals.items()
        },
        data.target,
        data.columns,
        data.metadata["split"].tolist(),
    )
    first, second = (
        dc.fit(rows, "linear", out=tmp_path / str(number), progress=False).method().state_dict()
        for number, rows in enumerate((data, changed))
    )
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_penalties_augmentations_and_several_processes_are_refused(tmp_path: Path) -> None:
    data = tiny()
    for added in ({"penalties": {"vrex": {}}}, {"augmentations": {"noise": {}}}):
        with pytest.raises(SpecError, match="'linear' is fitted at once by one process, without steps to join"):
            dc.fit(data, {"name": "linear", **added}, out=tmp_path / "run", progress=False)
    with pytest.raises(SpecError, match=r"train\.devices = 2, nodes = 1: the method 'linear' is fitted at once by one"):
        dc.fit(data, "linear", out=tmp_path / "run", train={"devices": 2, "accelerator": "cpu"}, progress=False)
    assert not (tmp_path / "run").exists()
