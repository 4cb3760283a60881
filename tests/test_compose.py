"""Penalties and augmentations on a method: what is added to its loss, when, and what is said when nothing can be."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from deconfound.augmentation import Augmentation
from deconfound.compose import PenaltyWarning, RegularizedMethod
from deconfound.errors import DataError, SpecError
from deconfound.method import Method
from deconfound.methods.cmir import CmIR
from deconfound.methods.erm import ERM
from deconfound.nn.backbone import Backbone
from deconfound.penalties.dann import DANN
from deconfound.penalties.vrex import VREx
from deconfound.penalty import make_penalties
from deconfound.runs.csv_log import read_log
from deconfound.runs.run import Run
from deconfound.target_scaled import TargetScaled
from support.small import small_data, small_run, tiny
from support.toy import rows

DATA = rows()
BATCH = DATA.batch("train")


def seed(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def erm() -> ERM:
    torch.manual_seed(0)
    return ERM(Backbone.build(DATA.modalities, DATA.task, hidden=4, dropout=0.0))


def joined(method: Method, *augmentations: Augmentation, **hyperparameters: float) -> RegularizedMethod:
    penalty = VREx(method.backbone, 2, **hyperparameters)
    return RegularizedMethod(method, {"vrex": penalty}, {str(n): a for n, a in enumerate(augmentations)})


class Twice(Augmentation):
    """Two batches: the rows as they are with one weight, and with other labels with the rest."""

    def __init__(self, share: float, shift: float) -> None:
        self.share, self.shift = share, shift

    def __call__(self, batch, backbone, generator):
        return [(self.share, batch), (1 - self.share, replace(batch, target=batch.target + self.shift))]


class Dicing(ERM):
    """Adds what it draws from the generator."""

    def loss(self, batch, progress, generator):
        loss = super().loss(batch, progress, generator)
        noise = torch.rand((), generator=generator)
        return replace(loss, total=loss.total + noise, monitors={"noise": noise})


@pytest.mark.parametrize(("progress", "share"), [(0.0, 0.0), (0.1, 0.25), (0.4, 1.0), (0.9, 1.0)])
def test_the_weight_grows_over_the_first_steps(progress: float, share: float) -> None:
    method = erm()
    plain = method.loss(BATCH, progress, seed())
    loss = joined(method, weight=7.0, ramp=0.4).loss(BATCH, progress, seed())
    first, second = (plain.risks[BATCH.env == e].mean() for e in (0, 1))
    variance = (first - second).square() / 4 / ((first + second) / 2).detach()
    torch.testing.assert_close(loss.terms["vrex"], variance)
    torch.testing.assert_close(loss.total, plain.total + share * 7 * variance)
    torch.testing.assert_close(loss.terms["prediction"], plain.terms["prediction"])
    assert float(loss.monitors["vrex/computed"]) == 1
    assert joined(method, weight=7.0, ramp=0.0).penalties["vrex"].current_weight(0.0) == 7.0


def test_it_predicts_as_the_method_itself() -> None:
    method = CmIR(Backbone.build(DATA.modalities, DATA.task, hidden=4)).eval()
    composed = joined(method).eval()
    assert torch.equal(composed(BATCH), method(BATCH))
    parts = composed.representations(BATCH)
    assert torch.equal(parts.spurious["text"], method.representations(BATCH).spurious["text"])
    assert composed.backbone is method.backbone


def test_a_copy_has_hooks_and_backbone_of_its_own() -> None:
    method = joined(CmIR(Backbone.build(DATA.modalities, DATA.task, hidden=4)))
    other = deepcopy(method)
    assert other.backbone is other.inner.backbone
    assert other.backbone is not method.backbone
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert not any(values.any() for values in other.representations(BATCH).predictive.values())
    assert any(values.any() for values in method.representations(BATCH).predictive.values())
    assert not any(name.startswith("backbone.") for name in method.state_dict()), "the inner method holds it"


def test_batches_of_several_environments_are_asked_for_where_there_is_a_penalty() -> None:
    assert joined(erm()).needs_environments
    assert not RegularizedMethod(erm(), {}, {"twice": Twice(0.5, 1.0)}).needs_environments


def test_training_rows_of_one_environment_are_refused() -> None:
    composed = joined(erm())
    composed.hooks.check(tiny().development())
    alone = tiny(metadata={"id": list(range(12)), "speaker": ["a"] * 4 + ["b"] * 8})
    with pytest.raises(DataError, match="vrex: the training rows of tiny are of one environment; name columns") as told:
        composed.hooks.check(alone.development())
    assert "\n" not in str(told.value)
    RegularizedMethod(erm(), {}, {}).hooks.check(alone.development())


def test_a_batch_of_one_environment_has_no_penalty_and_says_so_once(recwarn) -> None:
    method = erm()
    composed = RegularizedMethod(method, {"dann": DANN(method.backbone, 2, ramp=0.0)}, {})
    alone = BATCH.select(torch.nonzero(BATCH.env == 0).squeeze(1))
    composed.eval().loss(alone, 0.5, seed())
    assert not recwarn.list, "only training warns"
    composed.train()
    with pytest.warns(PenaltyWarning, match="one environment only, so dann had nothing to compare; raise train.batch"):
        loss = composed.loss(alone, 0.5, seed())
    again = composed.loss(alone, 0.5, seed())
    assert len(recwarn.list) == 0
    torch.testing.assert_close(again.total, method.loss(alone, 0.5, seed()).total)
    assert (float(loss.terms["dann"]), float(loss.monitors["dann/computed"])) == (0, 0)
    loss.total.backward()
    assert all(bool((p.grad == 0).all()) for p in composed.penalties.parameters()), "no gradient, but not None"


def test_weighted_batches_make_one_loss() -> None:
    method = erm()
    composed = joined(method, Twice(0.75, 1.0), Twice(0.5, 10.0), weight=0.0)
    loss = composed.loss(BATCH, 0.5, seed())
    shifts = {0.0: 0.375, 10.0: 0.375, 1.0: 0.125, 11.0: 0.125}
    parts = {shift: method.loss(replace(BATCH, target=BATCH.target + shift), 0.5, seed()) for shift in shifts}
    for name in ("total", "risks"):
        expected = sum(weight * getattr(parts[shift], name) for shift, weight in shifts.items())
        torch.testing.assert_close(getattr(loss, name), expected)
    torch.testing.assert_close(loss.output, parts[0.0].output)
    means = torch.stack([loss.risks[BATCH.env == e].mean() for e in (0, 1)])
    expected = means.var(correction=0) / means.mean()
    torch.testing.assert_close(loss.terms["vrex"], expected, msg="of the mixed risks")


def test_all_batches_of_a_step_meet_the_same_noise_and_the_next_step_another() -> None:
    torch.manual_seed(0)
    method = Dicing(Backbone.build(DATA.modalities, DATA.task, hidden=4, dropout=0.0))
    composed, generator = RegularizedMethod(method, {}, {"twice": Twice(0.25, 0.0)}), seed()
    first, second = (float(composed.loss(BATCH, 0.5, generator).monitors["noise"]) for _ in range(2))
    one = seed()
    assert [first, second] == pytest.approx([float(torch.rand((), generator=one)) for _ in range(2)])


def test_names_and_arguments_are_checked() -> None:
    backbone = erm().backbone
    assert [type(p) for p in make_penalties({"vrex": {"weight": 1.0}, "dann": {}}, backbone, 3).values()] == [
        VREx,
        DANN,
    ]
    with pytest.raises(SpecError, match="there is no penalty 'vrexx'; did you mean 'vrex'"):
        make_penalties({"vrexx": {}}, backbone, 2)
    with pytest.raises(SpecError, match="vrex: weight = -1"):
        make_penalties({"vrex": {"weight": -1}}, backbone, 2)


def test_a_run_with_all_of_them_logs_each_term_and_is_read_again(tmp_path) -> None:
    method = {
        "name": "erm",
        "penalties": {"group-dro": {}, "dann": {"hidden": 4}, "irm": {"weight": 0.1}},
        "augmentations": {"mixup": {}, "modality-dropout": {}},
    }
    run = small_run(tmp_path / "run", method=method)
    title = "erm + group-dro + dann + irm + mixup + modality-dropout"
    assert set(run.records()["method"]) == {title}
    log = read_log(tmp_path / "run" / "log.csv")
    terms = {row["term"] for row in log}
    assert {"prediction", "group-dro", "dann", "irm"} <= terms
    assert {row["value"] for row in log if row["term"].endswith("/computed")} == {1.0}
    assert 0 < next(row["value"] for row in log if row["term"] == "dann") < 3
    scaled = Run.open(tmp_path / "run").method()
    assert isinstance(scaled, TargetScaled)
    again = scaled.inner
    assert isinstance(again, RegularizedMethod)
    share = again.penalties["group-dro"].share
    assert float(share.sum()) == pytest.approx(1)
    assert float(share.std()) > 0, "what GroupDRO learned of the environments is kept"
    batch = small_data().batch("valid")
    torch.testing.assert_close(again(batch), again.inner(batch))


def test_one_environment_per_batch_warns_in_training(tmp_path) -> None:
    train = {"epochs": 1, "batch_size": 16, "accelerator": "cpu", "threads": 1, "environments_per_batch": 1}
    with pytest.warns(PenaltyWarning, match="nothing to compare"):
        small_run(tmp_path / "run", method={"name": "erm", "penalties": {"vrex": {}}}, train=train)
    log = read_log(tmp_path / "run" / "log.csv")
    assert {row["value"] for row in log if row["term"] in ("vrex", "vrex/computed")} == {0.0}
