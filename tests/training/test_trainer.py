"""One run in several processes: begun by hand on two nodes, by SLURM, by torchrun; on CPUs."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from deconfound.errors import RunError, SpecError
from deconfound.runs.checkpoint import read_checkpoint
from deconfound.runs.run import Run
from deconfound.runs.spec import TrainSpec
from deconfound.training import train
from deconfound.training import trainer as engine
from support.joint import Launcher, kill_after, slurm, torchrun, two_nodes
from support.small import FAST, small_data, small_run


@pytest.fixture(scope="module")
def launcher(tmp_path_factory) -> Iterator[Launcher]:
    made = Launcher(tmp_path_factory.mktemp("errors"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, launcher) -> dict[str, Path]:
    """Strategy → a run of two processes."""
    folder = tmp_path_factory.mktemp("whole")
    for strategy, variables in (("ddp", torchrun()), ("fsdp", slurm())):
        begun = launcher.begin(folder / strategy, variables, devices=2, strategy=strategy)
        assert launcher.wait(begun) == [0, 0], launcher.errors()
    return {strategy: folder / strategy for strategy in ("ddp", "fsdp")}


def last(folder: Path) -> dict[str, Any]:
    return read_checkpoint(folder / "checkpoints" / "last.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_nodes_that_are_killed_end_like_an_undisturbed_run_of_two_processes(
    tmp_path, launcher, undisturbed, strategy
):
    out, whole = tmp_path / strategy, undisturbed[strategy]
    begun = launcher.begin(out, two_nodes(), nodes=2, strategy=strategy)
    kill_after(out, 2, begun)
    assert launcher.wait(begun) == [-9, -9], launcher.errors()
    assert not (out / "done.json").exists()
    assert launcher.wait(launcher.begin(out, two_nodes(), nodes=2, strategy=strategy)) == [0, 0], launcher.errors()
    for name in ("log.csv", "records.jsonl"):
        assert (out / name).read_text() == (whole / name).read_text()
    ours, theirs = last(out)["state_dict"], last(whole)["state_dict"]
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


BETWEEN = [
    {"name": "ogm-ge"},  # changes gradients
    {"name": "imml", "warmup": 1, "predict": "auto", "head": "dictionary"},  # these look at rows between epochs
    {"name": "gradient-blending", "every": 1},
]


@pytest.mark.slow
@pytest.mark.parametrize("method", BETWEEN, ids=lambda method: method["name"])
def test_what_a_method_does_beside_its_loss_is_the_same_with_parted_weights(tmp_path, launcher, method):
    for strategy in ("ddp", "fsdp"):
        begun = launcher.begin(
            tmp_path / strategy, slurm(), method=method, devices=2, strategy=strategy, epochs=2
        )  # fmt: skip
        assert launcher.wait(begun) == [0, 0], launcher.errors()
    copied, parted = (last(tmp_path / strategy)["state_dict"] for strategy in ("ddp", "fsdp"))
    assert copied.keys() == parted.keys()
    for name, value in copied.items():
        torch.testing.assert_close(parted[name], value, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_checkpoint_of_two_processes_is_that_of_one(tmp_path, undisturbed, strategy):
    """It opens in one process, with the same names and shapes, also those of the optimiser's state."""
    opened = Run.open(undisturbed[strategy])
    assert torch.isfinite(opened.method()(small_data().batch("valid"))).all()
    small_run(tmp_path / "alone", method="cmir", train={**FAST, "epochs": 1})
    found, expected = last(opened.path), last(tmp_path / "alone")
    assert shapes(found["state_dict"]) == shapes(expected["state_dict"])
    (ours,), (theirs,) = found["optimizer_states"], expected["optimizer_states"]
    assert ours["state"].keys() == theirs["state"].keys()
    assert all(shapes(ours["state"][place]) == shapes(theirs["state"][place]) for place in theirs["state"])
    assert ours["param_groups"][0]["params"] == theirs["param_groups"][0]["params"]


def shapes(tensors: Mapping[Any, torch.Tensor]) -> dict[Any, torch.Size]:
    return {name: value.shape for name, value in tensors.items()}


@pytest.mark.slow
def test_parting_the_model_changes_only_the_rounding(undisturbed):
    copied, parted = (last(undisturbed[strategy])["state_dict"] for strategy in ("ddp", "fsdp"))
    for name, value in copied.items():
        torch.testing.assert_close(parted[name], value, rtol=1e-4, atol=1e-4, msg=name)


def test_a_batch_system_that_began_another_number_of_processes_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(engine.rank_zero_only, "rank", 0)
    for name, value in slurm(1)[0].items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE")
    with pytest.raises(SpecError, match=r"ask for 2 processes, and the batch system started 1 in all; .* with srun"):
        small_run(tmp_path / "r", train={**FAST, "devices": 2})
    assert list(tmp_path.iterdir()) == []


def test_a_second_process_of_a_run_for_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(engine.rank_zero_only, "rank", 1)
    with pytest.raises(SpecError, match="ask for 1 processes, and the batch system started a second one, number 1"):
        small_run(tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


def test_the_others_wait_for_the_first_and_give_up_in_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "WAIT", 0.2)
    monkeypatch.setattr(train, "make_trainer", lambda *given, **more: None)
    monkeypatch.setattr(engine.rank_zero_only, "rank", 1)
    with pytest.raises(RunError, match=r"process 1 of 2 waited 0\.2 s for the first one to begin"):
        small_run(tmp_path / "r", train={**FAST, "nodes": 2})
    assert list(tmp_path.iterdir()) == []


def test_the_others_refuse_a_folder_of_another_specification_too(tmp_path, monkeypatch):
    small_run(tmp_path / "r")
    (tmp_path / "r" / "done.json").unlink()
    monkeypatch.setattr(train, "make_trainer", lambda *given, **more: None)
    monkeypatch.setattr(engine.rank_zero_only, "rank", 1)
    with pytest.raises(RunError, match=r"another specification \(train\.nodes is 1 here and 2 there\)"):
        small_run(tmp_path / "r", train={**FAST, "nodes": 2})


@pytest.mark.parametrize("precision", ["16-mixed", "64-true"])
def test_precisions_that_a_parted_model_cannot_have_are_told(precision):
    with pytest.raises(SpecError, match=rf"strategy = 'fsdp', precision = '{precision}' is not available here"):
        engine.make_trainer(TrainSpec(strategy="fsdp", precision=precision, accelerator="cpu"))
