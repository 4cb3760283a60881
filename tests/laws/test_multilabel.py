"""Components keep the laws with several labels a row, or refuse them in one line and say so in `one_label`."""

from __future__ import annotations

from typing import Any

import pytest

from deconfound.data.task import Task
from deconfound.errors import SpecError
from deconfound.nn.backbone import Backbone
from deconfound.registry import build, get_class, names
from deconfound.testing import check_method, check_penalty
from deconfound.testing.examples import MODALITIES

TASK = Task.multilabel(("happy", "sad", "calm"))
TWO = {name: MODALITIES[name] for name in ("text", "audio")}


@pytest.mark.parametrize("name", names("methods"))
def test_methods(name: str) -> None:
    method = get_class("methods", name)
    if method.one_label:
        with pytest.raises(SpecError, match=r"is defined for one label a row, and the task has 3; choose another"):
            method(Backbone.build(TWO, TASK, hidden=8))
    else:
        check_method(method, modalities=TWO, task=TASK)


@pytest.mark.parametrize("fusion", names("fusions"))
def test_erm_on_every_fusion(fusion: str) -> None:
    check_method(get_class("methods", "erm"), modalities=TWO, task=TASK, backbone={"fusion": fusion})


@pytest.mark.parametrize("name", names("penalties"))
def test_penalties(name: str) -> None:
    penalty = get_class("penalties", name)
    if penalty.one_label:
        with pytest.raises(SpecError, match="is defined for one label a row"):
            penalty(Backbone.build(TWO, TASK, hidden=8), 2)
    else:
        exceptions: dict[str, Any] = {"irm": {"pairs_rows": True}, "dann": {"numbers_environments": True}}
        check_penalty(penalty, modalities=TWO, task=TASK, **exceptions.get(name, {}))


@pytest.mark.parametrize("choice", [{"source": "given"}, {"source": "directed"}, {"alignment": 1.0}])
def test_cmir_that_compares_labels_refuses_several(choice: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="one label a row"):
        build("methods", "cmir", Backbone.build(TWO, TASK, hidden=8), **choice)


def test_cmir_between_predictions() -> None:
    check_method(lambda backbone: build("methods", "cmir", backbone, distance="kl"), modalities=TWO, task=TASK)
