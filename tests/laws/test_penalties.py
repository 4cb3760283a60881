"""Every registered penalty keeps the laws on every kind of method and task; broken ones are caught."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from deconfound.data.task import Task
from deconfound.methods.cmir import CmIR
from deconfound.methods.erm import ERM
from deconfound.nn.backbone import Backbone
from deconfound.penalties.vrex import VREx
from deconfound.penalty import Penalty
from deconfound.registry import get_class, names
from deconfound.testing import check_penalty
from deconfound.testing.examples import MODALITIES

TWO = {name: MODALITIES[name] for name in ("text", "audio")}
TASKS = {
    "squares": Task.regression(),
    "absolute": Task.regression(loss="l1"),
    "classes": Task.classification(tuple("abc")),
}

EXCEPTIONS = {
    "irm": {"pairs_rows": True},
    "moments": {"pairs_rows": True},
    "dann": {"numbers_environments": True},  # its network has an output for each
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("method", [ERM, CmIR])
@pytest.mark.parametrize("name", names("penalties"))
def test_laws_hold(name: str, method: type[ERM | CmIR], task: str) -> None:
    penalty, exceptions = get_class("penalties", name), EXCEPTIONS.get(name, {})
    check_penalty(penalty, method=method, modalities=TWO, task=TASKS[task], **exceptions)


@pytest.mark.parametrize("name", names("penalties"))
def test_laws_hold_with_images(name: str) -> None:
    images = {"image": MODALITIES["image"]}
    check_penalty(get_class("penalties", name), modalities=images, **EXCEPTIONS.get(name, {}))


@pytest.mark.parametrize(
    ("name", "hyperparameters"),
    [
        ("irm", {"estimate": "all"}),
        ("vrex", {"estimate": "halves"}),
        ("moments", {"estimate": "all"}),
        ("irm", {"ramp": 0.0}),
        ("dann", {"depth": 1}),
        ("dann", {"depth": 3}),
    ],
)
def test_laws_of_every_choice(name: str, hyperparameters: dict[str, object]) -> None:
    check_penalty(
        lambda backbone, count: get_class("penalties", name)(backbone, count, **hyperparameters),
        modalities=TWO,
        numbers_environments=name == "dann",
        pairs_rows=(name, hyperparameters.get("estimate", "halves")) in {("irm", "halves"), ("vrex", "halves")},
    )


class Broken(Penalty):
    """The variance of the environments' risks, lawful unless a subclass breaks it."""

    def __init__(self, backbone: Backbone, environments: int) -> None:
        super().__init__(backbone, environments, weight=1.0, ramp=0.0)
        self.true = VREx(backbone, environments)

    def forward(self, loss, batch):
        return self.true(loss, batch)


class Idle(Broken):
    def __init__(self, backbone, environments):
        super().__init__(backbone, environments)
        self.unused = nn.Linear(2, 2)


class Detached(Broken):
    def forward(self, loss, batch):
        return super().forward(replace(loss, risks=loss.risks.detach()), batch)


class PerRow(Broken):
    def forward(self, loss, batch):
        return loss.risks


class Dividing(Broken):
    def forward(self, loss, batch):
        return super().forward(loss, batch) + loss.risks.mean() / loss.risks[batch.env == batch.env[0]].var(
            correction=0
        )


class Absent(Broken):
    def forward(self, loss, batch):
        return super().forward(loss, batch) + loss.features["audio"].square().mean()


class Dicing(Broken):
    def forward(self, loss, batch):
        return super().forward(loss, batch) + torch.rand(())


class Counting(Broken):
    def __init__(self, backbone, environments):
        super().__init__(backbone, environments)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, loss, batch):
        self.calls.add_(1)
        return super().forward(loss, batch)


class Overwriting(Broken):
    def forward(self, loss, batch):
        batch.env.zero_()
        return super().forward(loss, batch)


class Forgetting(Broken):
    def __init__(self, backbone, environments):
        super().__init__(backbone, environments)
        self.offset = float(torch.rand(()))

    def forward(self, loss, batch):
        return super().forward(loss, batch) + self.offset


class EarlyRows(Broken):
    """Later rows count less."""

    def forward(self, loss, batch):
        decay = 0.9 ** torch.arange(len(batch))
        return super().forward(replace(loss, risks=loss.risks * decay), batch)


class FirstRow(Broken):
    """Compares the first row of each environment alone."""

    def forward(self, loss, batch):
        first = [int(torch.nonzero(batch.env == env)[0]) for env in batch.env.unique()]
        return loss.risks[first].var(correction=0)


class Ordinal(Broken):
    """Takes the number of an environment for a quantity."""

    def forward(self, loss, batch):
        return super().forward(loss, batch) + (loss.risks * batch.env).mean()


class Reference(Broken):
    """Compares all environments with number 0."""

    def forward(self, loss, batch):
        first = loss.risks[batch.env == batch.env.min()].mean()
        return (loss.risks.mean() - first).square()


class EveryEnvironment(Broken):
    """Divides by the number of rows of each environment, also of those without a row."""

    def forward(self, loss, batch):
        means = [loss.risks[batch.env == env].mean() for env in range(self.environments)]
        return torch.stack(means).var(correction=0)


class Repelling(Broken):
    """Outweighs the risk."""

    def forward(self, loss, batch):
        return -30 * loss.risks.mean()


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (Idle, "idle parameters: .*unused"),
        (Detached, "must carry a gradient"),
        (PerRow, "one number"),
        (Dividing, "not finite"),
        (Absent, "features of absent modalities"),
        (Dicing, "determinism"),
        (Counting, "state"),
        (Overwriting, "changed"),
        (Forgetting, "state_dict"),
        (EarlyRows, "another order of the rows"),
        (FirstRow, "another order of the rows"),
        (Ordinal, "other numbers of the environments"),
        (Reference, "other numbers of the environments"),
        (EveryEnvironment, "where an environment has one row: not finite|where an environment has no row: not finite"),
        (Repelling, "learning: 20 steps"),
    ],
)
def test_a_broken_penalty_is_caught(broken: type[Broken], law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_penalty(broken, modalities=TWO)


def test_the_check_leaves_the_random_state_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check_penalty(VREx, modalities=TWO)
    assert torch.equal(before, torch.get_rng_state())
