"""Each hyper-parameter of each registered component changes something; idle ones are caught."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from deconfound.augmentations.noise import Noise
from deconfound.corruptions.drop_frames import DropFrames
from deconfound.data.task import Task
from deconfound.methods.erm import ERM
from deconfound.penalties.vrex import VREx
from deconfound.registry import get_class, names
from deconfound.testing import check_hyperparameters
from deconfound.testing.examples import MODALITIES

KINDS = ("methods", "penalties", "augmentations", "corruptions")
TWO = {name: MODALITIES[name] for name in ("text", "audio")}
BESIDE: dict[str, dict[str, dict[str, Any]]] = {
    "cmir": {
        "temperature": {"alignment": 1.0, "alignment_needs": -1.0},
        "alignment_needs": {"alignment": 1.0},
        "directed_strength": {"source": "directed"},
        "movement": {"source": "directed"},
    },
    "cmir-xm": {"alignment": {"alignment_needs": -1.0}, "temperature": {"alignment_needs": -1.0}},
    "boosted-trees": {"leaves": {"leaf_rows": 2}},
    "gradient-blending": {"when": {"every": 1}},
    "imml": {
        "weights": {"head": "mc-cond"},
        "likeness": {"head": "mc-cond", "weights": "similar"},
        "centres": {"head": "dictionary"},
    },
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in names(kind)])
def test_every_hyperparameter_matters(kind: str, name: str) -> None:
    options = {"choices": {"inner": ["qmf"]}, "beside": BESIDE.get(name, {})}
    check_hyperparameters(kind, get_class(kind, name), modalities=TWO, **options)


class IdleWeight(ERM):
    def __init__(self, backbone, *, weight: Annotated[float, Field(ge=0)] = 1.0) -> None:
        super().__init__(backbone)
        self.weight = weight


class IdleChoice(ERM):
    def __init__(self, backbone, *, rule: Literal["mean", "median"] = "mean") -> None:
        super().__init__(backbone)
        self.rule = rule


class FixedRamp(VREx):
    def __init__(self, backbone, environments: int, *, weight: float = 1.0, ramp: float = 0.2) -> None:
        super().__init__(backbone, environments, weight=weight, ramp=0.2)


class IdleStrength(Noise):
    def __init__(self, *, strength: float = 0.3, clean: float = 0.5) -> None:
        super().__init__(strength=0.3, clean=clean)


class AllSequences(DropFrames):
    def __init__(self, *, modalities: list[str] | None = None) -> None:
        super().__init__()


@pytest.mark.parametrize(
    ("kind", "broken", "name"),
    [
        ("methods", IdleWeight, "weight"),
        ("methods", IdleChoice, "rule"),
        ("penalties", FixedRamp, "ramp"),
        ("augmentations", IdleStrength, "strength"),
        ("corruptions", AllSequences, "modalities"),
    ],
)
def test_an_idle_hyperparameter_is_named(kind: str, broken: type, name: str) -> None:
    with pytest.raises(AssertionError, match=f"idle hyper-parameters: no other value of {name} changes"):
        check_hyperparameters(kind, broken)


def test_an_exempt_argument_is_not_tried_and_has_to_exist() -> None:
    check_hyperparameters("methods", IdleWeight, exempt=["weight"])
    with pytest.raises(AssertionError, match="IdleWeight has no arguments \\['wieght'\\]"):
        check_hyperparameters("methods", IdleWeight, exempt=["wieght"])


def test_an_argument_without_other_values_is_named() -> None:
    class Named(ERM):
        def __init__(self, backbone, *, table: dict[str, int] | None = None) -> None:
            super().__init__(backbone)

    with pytest.raises(AssertionError, match="table: its annotation tells no other value"):
        check_hyperparameters("methods", Named)


def test_an_argument_without_a_default_gets_one_of_its_values() -> None:
    class Required(IdleWeight):
        def __init__(self, backbone, *, rule: Literal["mean", "median"], weight: float = 1.0) -> None:
            super().__init__(backbone, weight=weight)

    with pytest.raises(AssertionError, match="no other value of rule, weight changes"):
        check_hyperparameters("methods", Required)


def test_an_argument_may_matter_in_a_classification_alone() -> None:
    class Smoothed(ERM):
        def __init__(self, backbone, *, smoothing: Annotated[float, Field(ge=0, le=1)] = 0.1) -> None:
            super().__init__(backbone)
            self.smoothing = smoothing if backbone.task.kind == "classification" else 0.0

        def forward(self, batch):
            return super().forward(batch) * (1 - self.smoothing)

    check_hyperparameters("methods", Smoothed, task=Task.classification(("a", "b", "c")))
    with pytest.raises(AssertionError, match="smoothing"):
        check_hyperparameters("methods", Smoothed)
