"""Weight averaging against lists of the weights after every step, and resumed to the same bits."""

import copy
import math
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

import deconfound as dc
from deconfound.errors import SpecError
from deconfound.method import Method
from deconfound.methods.erm import ERM
from deconfound.nn.backbone import Backbone
from deconfound.runs.checkpoint import read_checkpoint, read_weights
from deconfound.training.averaging import START, WINDOW, AveragedWeights
from deconfound.training.train import train_run
from deconfound.training.valley import Valley
from support.small import FAST, small_data, small_run, small_spec
from support.toy import rows

RULES = ("ema", "swa", "swad")
DATA = rows()
EPOCHS, PER_EPOCH = 12, 3

pytestmark = pytest.mark.filterwarnings("ignore::deconfound.training.best_epoch.EpochWarning")


def erm() -> ERM:
    torch.manual_seed(0)
    return ERM(Backbone.build(DATA.modalities, DATA.task, hidden=4, dropout=0.0))


def flat(method: Method) -> Tensor:
    return torch.cat([parameter.detach().reshape(-1).clone() for parameter in method.parameters()])


def walked(rule: str) -> tuple[AveragedWeights, list[list[Tensor]], list[Tensor], list[float]]:
    """Train; the weights after each step by epoch, the averages and the validation risks at the ends of the epochs."""
    method = AveragedWeights(erm(), rule)
    optimiser = torch.optim.SGD(method.inner.parameters(), lr=0.2)
    generator = torch.Generator().manual_seed(0)
    steps, averages, risks = [], [], []
    for epoch in range(EPOCHS):
        steps.append([])
        method.train()
        for step in range(PER_EPOCH):
            optimiser.zero_grad()
            progress = (epoch * PER_EPOCH + step) / (EPOCHS * PER_EPOCH)
            method.loss(DATA.batch(range(4 * step, 4 * step + 4)), progress, generator).total.backward()
            optimiser.step()
            steps[-1].append(flat(method.inner))
        method.eval()
        method.hooks.on_validation_start(DATA.development())
        averages.append(flat(method.average))
        valid = DATA.batch("valid")
        with torch.no_grad():
            risks.append(float(DATA.task.risk(method.inner(valid), valid.target).mean()))
            torch.testing.assert_close(method(valid), method.average(valid))
    return method, steps, averages, risks


def test_ema_is_the_weighted_sum_over_all_steps():
    _, steps, averages, _ = walked("ema")
    mean, number = steps[0][0], 0
    for epoch, weights in enumerate(steps):
        for after in weights:
            progress = number / (EPOCHS * PER_EPOCH)
            if number > 0:
                decay = math.exp(-(1 / (EPOCHS * PER_EPOCH)) / min(WINDOW, progress / 2))
                mean = decay * mean + (1 - decay) * after
            number += 1
        torch.testing.assert_close(averages[epoch], mean, rtol=1e-4, atol=1e-6)


def test_swa_is_the_mean_of_the_last_quarter_of_the_epochs():
    _, steps, averages, _ = walked("swa")
    first = next(e for e in range(EPOCHS) if (e * PER_EPOCH + PER_EPOCH - 1) / (EPOCHS * PER_EPOCH) >= START)
    for epoch in range(EPOCHS):
        ends = [steps[e][-1] for e in range(first, epoch + 1)] or [steps[epoch][-1]]
        torch.testing.assert_close(averages[epoch], torch.stack(ends).mean(0), rtol=1e-5, atol=1e-6)


def by_the_book(segments: list[Tensor], risks: list[float]) -> Tensor:
    """SWAD over all segments at once: where the valley begins, where it ends, and the mean between."""
    begin = next((e for e in range(len(risks) - 2) if risks[e] == min(risks[e : e + 3])), None)
    if begin is None:
        return segments[-1]
    limit, inside, above = 1.3 * sum(risks[begin : begin + 3]) / 3, begin, 0
    for epoch in range(begin + 1, len(risks)):
        above = 0 if risks[epoch] <= limit else above + 1
        if above == 0:
            inside = epoch
        if above == 6:
            break
    return torch.stack(segments[begin : inside + 1]).mean(0)


def test_swad_is_the_mean_over_the_valley():
    _, steps, averages, risks = walked("swad")
    segments = [torch.stack(weights).mean(0) for weights in steps]
    for epoch in range(EPOCHS):
        expected = by_the_book(segments[: epoch + 1], risks[: epoch + 1])
        torch.testing.assert_close(averages[epoch], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "risks",
    [
        [5, 4, 3, 2, 1],  # never begins
        [5, 3, 4, 3.5, 3.2, 9, 9, 3.6, 9, 9, 9, 9, 9, 9, 1],  # ends for good after six
        [1, 2, 2, 9, 9, 9, 9, 9, 9, 1],
        [3, 2, 2, 2, 2],
    ],
)
def test_a_valley_begins_and_ends_as_the_paper_says(risks):
    generator = torch.Generator().manual_seed(0)
    segments = [torch.randn(3, generator=generator) for _ in risks]
    valley = Valley(3)
    for number, (weights, risk) in enumerate(zip(segments, risks, strict=True)):
        valley.add(weights, risk)
        expected = by_the_book(segments[: number + 1], [float(r) for r in risks[: number + 1]])
        torch.testing.assert_close(valley.mean, expected)


class Stop(Callback):
    """Ends the program, as a kill does, when an epoch begins."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == self.epoch:
            raise RuntimeError("killed")


@pytest.mark.parametrize("rule", RULES)
def test_a_stopped_run_ends_bit_for_bit_like_an_undisturbed_one(tmp_path: Path, rule: str) -> None:
    train = {**FAST, "epochs": 8, "patience": 100, "averaging": rule, "learning_rate": 0.02}
    spec = small_spec(train=train)
    whole = train_run(spec, tmp_path / "whole", progress=False)
    for epoch in (1, 5, 7):
        with pytest.raises(RuntimeError, match="killed"):
            train_run(spec, tmp_path / "stopped", progress=False, callbacks=[Stop(epoch)])
    stopped = train_run(spec, tmp_path / "stopped", progress=False)
    for name in ("best", "last"):
        mine, theirs = (
            read_checkpoint(run.path / "checkpoints" / f"{name}.safetensors")["state_dict"] for run in (whole, stopped)
        )
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[key], theirs[key]) for key in mine)


@pytest.mark.parametrize("rule", RULES)
def test_the_run_predicts_with_the_mean_alone(tmp_path, rule):
    run = small_run(tmp_path / "run", train={**FAST, "averaging": rule})
    plain = small_run(tmp_path / "plain")
    assert run.done is not None
    assert plain.done is not None
    assert run.done["parameters"] == plain.done["parameters"]
    method = run.method()
    assert [*method.state_dict()] == [*plain.method().state_dict()]
    average = read_weights(run.path / "checkpoints" / "best.safetensors", "method.average.")
    assert all(torch.equal(value, average[name]) for name, value in method.state_dict().items())
    valid = small_data().batch("valid")
    with torch.no_grad():
        risk = small_data().task.risk(method(valid), valid.target).mean()
    assert float(risk) == pytest.approx(run.done["best_risk"], rel=1e-4)


def test_the_training_itself_is_the_same_as_without(tmp_path):
    run = small_run(tmp_path / "run", train={**FAST, "averaging": "ema", "keep": "last"})
    plain = small_run(tmp_path / "plain", train={**FAST, "keep": "last"})
    mine = read_weights(run.path / "checkpoints" / "last.safetensors", "method.inner.")
    assert all(torch.equal(mine[name], value) for name, value in plain.method().state_dict().items())


def test_frozen_weights_and_buffers_are_those_of_the_method():
    inner = erm()
    first = next(iter(inner.parameters())).requires_grad_(False)
    method = AveragedWeights(inner, "ema")
    before = copy.deepcopy(first)
    method.train()
    for progress in (0.0, 0.5):
        method.loss(DATA.batch("train"), progress, torch.Generator()).total.backward()
        with torch.no_grad():
            for parameter in inner.parameters():
                parameter += 1
    method.eval()
    method.hooks.on_validation_start(DATA.development())
    assert torch.equal(next(iter(method.average.parameters())), before)


def test_it_joins_every_kind_of_method(tmp_path):
    for name, method in {
        "imml": "imml-robust",
        "cmir": {"name": "cmir", "augmentations": {"modality-dropout": {}}},
        "dro": {"name": "erm", "penalties": {"vrex": {}}},
    }.items():
        run = small_run(tmp_path / name, method=method, train={**FAST, "averaging": "ema"})
        assert len(run.predict(small_data())) == len(small_data())


def test_sharded_weights_are_refused(tmp_path):
    train = {**FAST, "averaging": "ema", "strategy": "fsdp", "devices": 1}
    with pytest.raises(SpecError, match=r"not available here|needs whole weights"):
        dc.train_run(small_spec(train=train), tmp_path / "run", progress=False)
