"""Broken methods, one for each law: `check_method` catches every one."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from deconfound.method import MethodHooks, WarmUp
from deconfound.methods.erm import ERM
from deconfound.testing import check_method
from deconfound.testing.examples import MODALITIES

SEQUENCE = {"text": MODALITIES["text"], "audio": MODALITIES["audio"]}


class Idle(ERM):
    def __init__(self, backbone) -> None:
        super().__init__(backbone)
        self.unused = nn.Linear(2, 2)


class Mixing(ERM):
    def forward(self, batch):
        return super().forward(batch) - super().forward(batch).mean(0)


class Peeking(ERM):
    def forward(self, batch):
        return super().forward(batch) + batch.signals["text"].values.flatten(1).mean(1, keepdim=True)


class Forgetting(ERM):
    def __init__(self, backbone) -> None:
        super().__init__(backbone)
        self.offset = float(torch.rand(()))

    def forward(self, batch):
        return super().forward(batch) + self.offset


class Dicing(ERM):
    def loss(self, batch, progress, generator):
        loss = super().loss(batch, progress, generator)
        return replace(loss, total=loss.total + torch.rand(()))


class Dividing(ERM):
    def forward(self, batch):
        return super().forward(batch) / batch.signals["audio"].mask.sum(1, keepdim=True)


class Overwriting(ERM):
    def forward(self, batch):
        batch.signals["audio"].values.mul_(2)
        return super().forward(batch)


class Cheating(ERM):
    def forward(self, batch):
        return super().forward(batch) + 1e-3 * batch.target.unsqueeze(1)


class Indexing(ERM):
    def forward(self, batch):
        return super().forward(batch) * (1 + batch.env.unsqueeze(1))


class Relabelling(ERM):
    def loss(self, batch, progress, generator):
        batch.target.mul_(0.9)
        return super().loss(batch, progress, generator)


class Flat(ERM):
    def forward(self, batch):
        return super().forward(batch).squeeze(1)


class MixingVariant(ERM):
    def __init__(self, backbone) -> None:
        super().__init__(backbone)
        self.hooks = MethodHooks(variants=self._centred)

    def _centred(self, batch):
        output = self(batch)
        return {"centred": output - output.mean(0)}


class CheatingVariant(ERM):
    def __init__(self, backbone) -> None:
        super().__init__(backbone)
        self.hooks = MethodHooks(variants=lambda batch: {"right": batch.target.unsqueeze(1)})


class Twice(ERM):
    def __init__(self, backbone) -> None:
        super().__init__(backbone)
        self.copy = backbone.head


class Averaged(ERM):
    def loss(self, batch, progress, generator):
        loss = super().loss(batch, progress, generator)
        return replace(loss, risks=loss.total)


def with_loss(change):
    """ERM whose loss is changed: (loss, batch) → the parts to replace."""

    class Changed(ERM):
        def loss(self, batch, progress, generator):
            loss = super().loss(batch, progress, generator)
            return replace(loss, **change(loss, batch))

    return Changed


def present_everywhere(loss, batch):
    return {"features": {name: values + 1 for name, values in loss.features.items()}}


def one_modality(loss, batch):
    return {"features": {"text": loss.features["text"]}}


def too_narrow(loss, batch):
    return {"features": {name: values[:, 1:] for name, values in loss.features.items()}}


def hidden_term(loss, batch):
    return {"total": loss.total + 0.1 * loss.features["text"].square().mean()}


def other_term(loss, batch):
    return {"terms": {"prediction": loss.risks.median()}}


def batch_weight(loss, batch):
    return {"total": loss.total * (1 + batch.signals["text"].mask.float().mean())}


def squared_risks(loss, batch):
    return {"risks": loss.risks.square()}


def risks_of_other_rows(loss, batch):
    return {"risks": loss.risks.flip(0)}


def centred_output(loss, batch):
    output = loss.output - loss.output.mean()
    return {"output": output}


def climbs(loss, batch):
    return {"total": -loss.total}


def shrinks_features(loss, batch):
    term = sum(values.square().mean() for values in loss.features.values()) + 1e-3 * loss.output.square().mean()
    return {"total": term, "terms": {"prediction": term}}


class WrongTarget(ERM):
    """Fits the target of another row, with risks and output that look right."""

    def loss(self, batch, progress, generator):
        loss = super().loss(batch, progress, generator)
        total = self.backbone.task.risk(loss.output, batch.target.flip(0)).mean()
        return replace(loss, total=total, terms={"prediction": total})


class Weightless(ERM):
    """Says that it weighs rows, and takes the plain mean of their risks."""

    def loss(self, batch, progress, generator):
        loss = super().loss(batch, progress, generator)
        total = loss.risks.mean()
        return replace(loss, total=total, terms={"prediction": total})


class HeavyHalf(ERM):
    """Counts weights twice."""

    def loss(self, batch, progress, generator):
        loss = super().loss(batch, progress, generator)
        total = loss.total if batch.weight is None else 2 * loss.total
        return replace(loss, total=total, terms={"prediction": total})


class OtherOutput(ERM):
    """Trains half of the logit that it predicts with."""

    def forward(self, batch):
        return 2 * super().forward(batch)


class HiddenRamp(ERM):
    """A weight that grows without a word."""

    def loss(self, batch, progress, generator):
        loss = super().loss(batch, progress, generator)
        return replace(loss, total=(1 + progress) * loss.total)


class IdleDecision(ERM):
    """Says that it decides something, and does not."""

    def __init__(self, backbone) -> None:
        super().__init__(backbone)
        self.hooks = MethodHooks(warm_up=self._three_epochs)

    def _three_epochs(self):
        return WarmUp(epochs=3)


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (HiddenRamp, "warm-up: the loss of one batch still changes"),
        (IdleDecision, "warm-up: nothing is decided before epoch 3"),
        (with_loss(present_everywhere), "features: text is 0 in the rows that lack it"),
        (with_loss(one_modality), "features: the widths are those of the backbone"),
        (with_loss(too_narrow), "features: the widths are those of the backbone"),
        (with_loss(hidden_term), "terms: the total is a weighted sum"),
        (with_loss(other_term), "terms: the total is a weighted sum"),
        (with_loss(batch_weight), "terms: the total is a weighted sum"),
        (with_loss(squared_risks), "risks: the task's risk"),
        (with_loss(risks_of_other_rows), "risks: the task's risk"),
        (with_loss(centred_output), "output: the loss and forward"),
        (OtherOutput, "output: the loss and forward"),
        (with_loss(climbs), "learning: 20 steps"),
        (with_loss(shrinks_features), "learning: 20 steps"),
        (WrongTarget, "learning: 20 steps"),
        (Weightless, "weights: the prediction term is that of rows that come as often"),
        (HeavyHalf, "equal weights change nothing"),
        (Idle, "idle parameters: .*unused"),
        (Mixing, "rows independent"),
        (Peeking, "padding ignored"),
        (Forgetting, "state_dict"),
        (Dicing, "random"),
        (Dividing, "absent: not finite"),
        (Overwriting, "determinism|changed"),
        (Cheating, "another target moves"),
        (Indexing, "another env moves"),
        (Relabelling, "the input is changed: target"),
        (Flat, "shape"),
        (Twice, "one tensor, which a checkpoint would hold twice"),
        (Averaged, r"risks must be \(B,\)"),
        (MixingVariant, "variant 'centred': rows independent"),
        (CheatingVariant, "variant 'right': another target moves it"),
    ],
)
def test_a_broken_method_is_caught(broken: type[ERM], law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_method(broken, modalities=SEQUENCE)


def test_the_check_leaves_the_random_state_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check_method(ERM, modalities=SEQUENCE)
    assert torch.equal(before, torch.get_rng_state())
