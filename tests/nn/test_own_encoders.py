"""Encoders of the user are copied or made anew: no call trains, moves or reloads the user's own object."""

from copy import deepcopy
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from deconfound.api import evaluate, fit
from deconfound.data.dataset import Dataset
from deconfound.errors import RunError, SpecError
from deconfound.nn.own_encoders import fresh_modules, name_of
from deconfound.runs.checkpoint import read_weights
from deconfound.runs.run import Run
from deconfound.training.cost import measure_cost
from support.small import FAST, tiny


class Own(nn.Module):
    def __init__(self, width: int = 5) -> None:
        super().__init__()
        self.layer = nn.Linear(4, width)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        return self.layer(values[:, 0]) * mask


class Locked(Own):
    def __init__(self) -> None:
        super().__init__()
        self.lock = Lock()


class Needy(Own):
    def __init__(self, width: int) -> None:
        super().__init__(width)


def trained(out: Path, encoder: Any, seed: int = 0) -> Run:
    return fit(tiny(), "erm", out=out, seed=seed, encoders={"audio": encoder}, train=FAST, progress=False)


def weights(run: Run) -> Tensor:
    found = read_weights(run.path / "checkpoints" / "last.safetensors", "method.")
    return next(value for name, value in found.items() if name.endswith("layer.weight"))


def test_a_loop_over_seeds_begins_each_run_from_the_weights_of_the_one_object(tmp_path: Path) -> None:
    module = Own()
    before = deepcopy(module.state_dict())
    first = weights(trained(tmp_path / "a", module))
    trained(tmp_path / "b", module, seed=1)
    again = weights(trained(tmp_path / "c", module))
    assert torch.equal(first, again)
    run = trained(tmp_path / "d", module, seed=2)
    evaluate(run, [], dataset=tiny(), encoders={"audio": module})
    measure_cost(run, dataset=tiny(), encoders={"audio": module}, steps=1)
    run.method({"audio": module})
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("maker", [Own, partial(Own, 3), lambda: Own(2)])
def test_the_seed_decides_the_weights_of_a_class_or_function(maker: Any, tmp_path: Path) -> None:
    first = weights(trained(tmp_path / "a", maker))
    torch.rand(7)  # what the user draws in between has no effect
    assert torch.equal(first, weights(trained(tmp_path / "b", maker)))
    assert not torch.equal(first, weights(trained(tmp_path / "c", maker, seed=1)))


def test_a_class_and_its_module_have_one_name_so_that_either_resumes_the_run() -> None:
    assert name_of(Own) == name_of(Own()) == name_of(partial(Own, 3)) == f"{__name__}.Own"


def test_a_module_for_two_modalities_stays_one() -> None:
    module = Own()
    copies = fresh_modules({"a": module, "b": module, "c": Own})
    assert copies["a"] is copies["b"]
    assert copies["a"] is not module
    assert copies["a"] is not copies["c"]


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (Locked(), r"the module for 'audio' \(Locked\) cannot be copied \(.*\); pass its class, or a function"),
        (Needy, r"class or function without arguments that makes one; .*Needy failed \(.*missing 1 required"),
        (lambda: 3, r"<lambda> made 3"),
        (3, "must be a module, or a class or function without arguments that makes one; got 3"),
    ],
)
def test_what_cannot_be_copied_or_made_is_refused(encoder: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        fresh_modules({"audio": encoder})


def test_fit_changes_none_of_its_arguments(tmp_path: Path) -> None:
    data = tiny()
    method = {"name": "erm", "penalties": {"vrex": {}}, "augmentations": {"noise": {}}}
    backbone, train = {"hidden": 8, "encoders": {"text": {"name": "gru"}}}, {**FAST, "epochs": 1}
    encoders = {"audio": Own}
    before = deepcopy((method, backbone, train)), dict(encoders), _tensors(data)
    fit(data, method, out=tmp_path / "r", backbone=backbone, train=train, encoders=encoders, progress=False)
    assert before[0] == (method, backbone, train)
    assert before[1] == encoders
    assert all(map(torch.equal, before[2], _tensors(data)))


def _tensors(data: Dataset) -> list[Tensor]:
    parts = [part for signal in data.signals.values() for part in (signal.values, signal.mask)]
    return [part.clone() for part in (*parts, data.target, data.env)]


class Wrapped(Own):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Sequential(self.layer)


@pytest.mark.parametrize("opened", [lambda: Own(7), Wrapped])
def test_a_run_opened_with_another_architecture_names_the_module_and_the_parameter(tmp_path: Path, opened: Any) -> None:
    run = trained(tmp_path / "a", Own())
    with pytest.raises(
        RunError, match=r"the encoder of 'audio' is not the one .*encoders\.audio\..*weight is"
    ) as refused:
        run.method(encoders={"audio": opened()})
    assert "\n" not in str(refused.value)


class Normalised(Own):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(5)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        return self.norm(self.layer(values[:, 0])) * mask


def test_a_batch_normalisation_that_gets_one_row_is_refused_in_one_line(tmp_path: Path) -> None:
    train = {**FAST, "batch_size": 3}  # 4 training rows: the last batch holds one
    with pytest.raises(RunError, match=r"batch of one row.*train\.batch_size") as refused:
        fit(tiny(), "erm", out=tmp_path / "a", encoders={"audio": Normalised}, train=train, progress=False)
    assert "\n" not in str(refused.value)
    assert fit(
        tiny(),
        "erm",
        out=tmp_path / "b",
        encoders={"audio": Normalised},
        train={**train, "batch_size": 2},
        progress=False,
    ).done
