"""What any method keeps of the views of a step counts by their weights; methods that forget to weigh are caught."""

from typing import Any

import pytest
import torch

from deconfound.compose import RegularizedMethod
from deconfound.data.task import Task
from deconfound.method import MethodHooks
from deconfound.methods.erm import ERM
from deconfound.penalties.group_dro import GroupDRO
from deconfound.registry import build, get_class, names
from deconfound.testing import check_views
from deconfound.testing.examples import MODALITIES

TWO = {name: MODALITIES[name] for name in ("text", "audio")}
CLASSES = Task.classification(("a", "b", "c"))
MORE: dict[str, tuple[str, dict[str, Any]]] = {
    "cmir with raw noise": ("cmir", {"noise_at": "raw"}),
    "cmir with hidden noise": ("cmir", {"noise_at": "hidden"}),
    "cmir around ogm-ge": ("cmir", {"inner": "ogm-ge", "predict_on": "both"}),
    "cmir around qmf": ("cmir", {"inner": "qmf", "predict_on": "both"}),
    "cmir around imml": ("cmir", {"inner": "imml", "predict_on": "noisy"}),
    "imml with a dictionary": ("imml", {"head": "dictionary", "centres": 8}),
}


@pytest.mark.parametrize("task", [Task.regression(), CLASSES], ids=["regression", "classification"])
@pytest.mark.parametrize("augmentation", names("augmentations"))
@pytest.mark.parametrize("method", names("methods"))
def test_a_view_without_weight_leaves_no_trace(method: str, augmentation: str, task: Task) -> None:
    check_views(get_class("methods", method), build("augmentations", augmentation), modalities=TWO, task=task)


@pytest.mark.parametrize("case", MORE)
def test_a_view_without_weight_leaves_no_trace_in_other_forms(case: str) -> None:
    name, arguments = MORE[case]
    check_views(lambda backbone: build("methods", name, backbone, **arguments), modalities=TWO, task=CLASSES)


def test_the_shares_of_group_dro_move_by_the_weight_of_a_view() -> None:
    def make(backbone):
        return RegularizedMethod(ERM(backbone), {"group-dro": GroupDRO(backbone, 2, rate=0.5)}, {})

    check_views(make, build("augmentations", "mixup"), modalities=TWO)


class KeepsTheLast(ERM):
    def __init__(self, backbone) -> None:
        super().__init__(backbone)
        self.hooks = MethodHooks(after_backward=self._slow)

    def loss(self, batch, progress, generator):
        loss = super().loss(batch, progress, generator)
        self.last = loss.risks.detach().mean()
        return loss

    def _slow(self, generator) -> None:
        for parameter in self.parameters():
            if parameter.grad is not None:
                parameter.grad *= self.last


class CountsEachView(ERM):
    def __init__(self, backbone) -> None:
        super().__init__(backbone)
        self.register_buffer("rows", torch.zeros(()))

    def loss(self, batch, progress, generator):
        self.rows += len(batch)
        return super().loss(batch, progress, generator)


@pytest.mark.parametrize(
    ("method", "where"), [(KeepsTheLast, "the gradient of"), (CountsEachView, "the state inner.rows")]
)
def test_methods_that_do_not_weigh_are_caught(method: type[ERM], where: str) -> None:
    with pytest.raises(AssertionError, match=where):
        check_views(method, modalities=TWO)
