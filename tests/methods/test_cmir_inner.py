"""Methods that predict from CmIR's invariant parts: the loss by the book, the hooks, what is refused, a run that is killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from deconfound.compose import FittedMethod
from deconfound.data.signal import Batch, View
from deconfound.data.task import Task
from deconfound.datasets.synthetic import synthetic
from deconfound.errors import DataError, SpecError
from deconfound.method import Loss, Method, MethodHooks
from deconfound.methods.cmir import CmIR
from deconfound.methods.imml import IMML
from deconfound.methods.qmf import QualityAwareFusion
from deconfound.nn.backbone import Backbone
from deconfound.penalty import warm_up
from deconfound.registry import build, get_class, names
from deconfound.runs.spec import Spec
from deconfound.testing import check_method
from deconfound.testing.examples import MODALITIES as EXAMPLES
from support.cmir_small import generator, make
from support.killing import killed_and_resumed
from support.small import small_spec, tiny

CLASSES = Task.classification(("a", "b", "c"))
FITTED = [name for name in names("methods") if issubclass(get_class("methods", name), FittedMethod)]
INNER = [name for name in names("methods") if not name.startswith("cmir") and name not in ("erm", *FITTED)]
SEQUENCE = {"text": EXAMPLES["text"], "audio": EXAMPLES["audio"]}
PLUG = {"name": "imml", "training": "plug", "form": "additive", "head": "mc-cond", "predict": "do"}


@pytest.mark.parametrize("inner", FITTED)
def test_a_method_that_is_fitted_at_once_is_refused_inside(inner: str) -> None:
    with pytest.raises(SpecError, match="fitted at once, and an inner method is trained in steps; choose another"):
        CmIR(Backbone.build(SEQUENCE, CLASSES), inner=inner)


@pytest.mark.parametrize("inner", INNER)
def test_laws_with_every_method_inside(inner: str) -> None:
    other_views = inner == "imml-robust"  # its loss averages over fewer draws
    check_method(
        lambda b: CmIR(b, inner=inner),
        modalities=SEQUENCE,
        task=CLASSES,
        other_views=other_views,
        fades=inner == "pmr",  # its prototype terms end
    )


@pytest.mark.parametrize(
    "arguments", [{"noise_at": "raw", "predict_on": "both"}, {"predict_on": "noisy"}, {"alignment": 1.0}]
)
@pytest.mark.parametrize("inner", ["imml", PLUG, "predominant-head"], ids=str)
def test_laws_with_noisy_views(inner: Any, arguments: dict[str, Any]) -> None:
    other_views = "predict_on" in arguments or inner is PLUG
    check_method(
        lambda backbone: build("methods", "cmir", backbone, inner=inner, **arguments),
        modalities=SEQUENCE,
        other_views=other_views,
    )


@pytest.mark.parametrize("inner", INNER)
def test_without_noise_it_is_the_inner_method_on_the_invariant_parts_and_the_constraints(inner: str) -> None:
    method, batch = make(task=CLASSES, strength=0.0, predict_on="both", environments=2, ramp=0.4, inner=inner)
    loss = method.loss(batch, 0.1, generator())
    again, _ = make(task=CLASSES, strength=0.0, predict_on="both", environments=2, ramp=0.4, inner=inner)
    draw = generator()
    torch.randn(3 * 2 * 8 * 8, generator=draw)  # the noise of three modalities, two views, 8 rows, 8 features
    views = (View(0.0, 0.5), View(0.5, 0.25), View(0.75, 0.25))  # some methods keep what they saw, by its weight
    alone = [again.inner.loss(replace(batch, view=view), 0.1, _copy(draw)) for view in views]
    terms = loss.terms
    total = alone[0].total / 2 + (alone[1].total + alone[2].total) / 4
    total = total + 0.1 * warm_up(0.1, 0.4) * terms["invariance"] + 0.01 * terms["decorrelation"]
    torch.testing.assert_close(loss.total, total + 0.05 * terms["reconstruction"])
    torch.testing.assert_close(loss.output, alone[0].output)
    assert {name.removeprefix("inner/") for name in terms} >= set(alone[0].terms)
    assert set(loss.monitors) >= set(alone[0].monitors)
    method.eval()
    torch.testing.assert_close(method(batch), method.inner(batch))


def _copy(of: torch.Generator) -> torch.Generator:
    made = torch.Generator()
    made.set_state(of.get_state())
    return made


class Watching(Method):
    """Plain, and keeps the batches that it is given."""

    def __init__(self, backbone: Backbone) -> None:
        hooks = MethodHooks(
            on_epoch_start=lambda epoch, development, generator: self.called.append("epoch"),
            on_validation_start=lambda development: self.called.append("validation"),
            after_backward=lambda generator: self.called.append("backward"),
            summary_lines=lambda: ("watched",),
        )
        super().__init__(backbone, hooks=hooks)
        self.seen: list[Batch] = []
        self.called: list[str] = []

    def forward(self, batch: Batch) -> Tensor:
        return self.backbone.predict(self.backbone.encode(batch), batch.present)

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        self.seen.append(batch)
        output = self(batch)
        risks = self.backbone.task.risk(output, batch.target)
        return Loss(risks.mean(), {"prediction": risks.mean()}, risks, self.backbone.encode(batch), output)


def comparing(backbone: Backbone) -> Method:
    """A method that needs several environments and refuses any data."""

    def refuse(development: Any) -> None:
        raise DataError("no second environment")

    method = Watching(backbone)
    method.needs_environments, method.hooks = True, MethodHooks(check=refuse)
    return method


def put_inside(monkeypatch: pytest.MonkeyPatch, make_method: Callable[[Backbone], Method]) -> None:
    monkeypatch.setattr("deconfound.methods.cmir.make_inner", lambda choice, backbone: make_method(backbone))


@pytest.mark.parametrize("predict_on", ["clean", "noisy", "both"])
@pytest.mark.parametrize("noise_at", ["features", "raw"])
def test_a_plain_method_inside_costs_what_the_head_does(
    predict_on: str, noise_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: dict[str, Any] = {"predict_on": predict_on, "noise_at": noise_at, "environments": 2}
    expected, batch = make(**arguments)
    put_inside(monkeypatch, Watching)
    watched, _ = make(**arguments)
    assert isinstance(watched.inner, Watching)
    losses = [method.loss(batch, 0.3, generator()) for method in (expected, watched)]
    for name in ("total", "risks", "output", "features"):
        torch.testing.assert_close(getattr(losses[1], name), getattr(losses[0], name))
    views = watched.inner.seen
    assert len(views) == {"clean": 1, "noisy": 2, "both": 3}[predict_on]
    clean = watched.backbone.standardise(batch)["text"].values
    for number, view in enumerate(views):
        moved = not torch.equal(watched.backbone.standardise(view)["text"].values, clean)
        assert moved == (noise_at == "raw" and not (predict_on != "noisy" and number == 0))


def test_the_hooks_reach_the_inner_method(monkeypatch: pytest.MonkeyPatch) -> None:
    put_inside(monkeypatch, Watching)
    method, _ = make()
    assert isinstance(method.inner, Watching)
    data = synthetic(rows=40).development()
    method.hooks.on_epoch_start(0, data, generator())
    method.hooks.on_validation_start(data)
    method.hooks.after_backward(generator())
    assert method.inner.called == ["epoch", "validation", "backward"]
    assert method.hooks.summary_lines() == ("watched",)


def test_a_fusion_of_its_own_takes_the_place_of_the_heads() -> None:
    method, batch = make(task=CLASSES, inner="qmf")
    assert isinstance(method.inner, QualityAwareFusion)
    assert method.backbone is method.inner.backbone
    method.loss(batch, 0.5, generator()).total.backward()
    assert all(p.grad is not None for p in method.parameters())


def test_imml_inside_has_its_predictions_and_its_predominant_modality() -> None:
    method, batch = make(task=CLASSES, inner={"name": "imml", "predominant": "audio", "predict": "do", "dim": 4})
    assert isinstance(method.inner, IMML)
    assert method.inner.backbone.widths == dict.fromkeys(("text", "audio", "face"), 8)
    assert set(method.eval().variants(batch)) == {"task", "avg", "z-only"}
    assert "audio is predominant" in method.hooks.summary_lines()[0]


def test_the_specification_holds_all_arguments_and_the_title_names_both() -> None:
    spec = Spec.of({"method": {"name": "cmir", "inner": {"name": "imml", "mix": 0.2}}})
    assert spec.title == "cmir (imml)"
    assert spec.method["inner"]["mix"] == 0.2
    assert spec.method["inner"]["temperature"] == 0.2
    assert Spec.of({"method": "cmir"}).title == "cmir"


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        ("imnl", "there is no method 'imnl'; did you mean 'imml'"),
        ({"name": "imml", "mixx": 1}, "imml: there is no argument 'mixx'"),
        ({"mix": 1}, "inner = .*give the name of a method, or a table such as"),
    ],
)
def test_a_wrong_inner_method_is_refused_in_the_specification(inner: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Spec.of({"method": {"name": "cmir", "inner": inner}})


def test_what_the_inner_method_needs_and_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, _ = make()
    assert not plain.needs_environments
    put_inside(monkeypatch, comparing)
    method, _ = make()
    assert method.needs_environments
    with pytest.raises(DataError, match="no second environment"):
        method.hooks.check(tiny().development())


def test_parts_are_not_split_again() -> None:
    for inner in ("cmir", "cmir-e"):
        with pytest.raises(SpecError, match="cannot split again"):
            make(inner=inner)


def test_a_killed_run_resumes_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = {"name": "imml", "predict": "auto", "head": "dictionary", "warmup": 1, "centres": 4, "bank": 40}
    again, ours = killed_and_resumed(small_spec(method={"name": "cmir", "inner": inner}), IMML, tmp_path, monkeypatch)
    assert any(name.endswith("bank.values") for name in ours)
    assert again.done is not None
    assert any("lowest validation risk of the four" in note for note in again.done["notes"])
