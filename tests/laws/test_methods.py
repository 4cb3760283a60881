"""Every registered method keeps the laws on every encoder and fusion; broken ones are caught."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from deconfound.data.task import Modality, Task
from deconfound.method import MethodHooks
from deconfound.methods.erm import ERM
from deconfound.registry import build, get_class, names
from deconfound.testing import check_method
from deconfound.testing.examples import MODALITIES

SEQUENCE = {"text": MODALITIES["text"], "audio": MODALITIES["audio"]}
CMIR = [
    {"noise_at": site, "noise_scale": scale}
    for site in ("features", "raw", "hidden")
    for scale in ("std", "absolute", "whitened")
] + [
    {"draws": "pair"},
    {"environments": 5},
    {"environments": 1},
    {"environments": 1, "noise_at": "raw"},
    {"distance": "l2"},
    {"distance": "cosine"},
    {"predict_on": "noisy"},
    {"predict_on": "both"},
    {"predict_on": "noisy", "environments": 1},
    {"reconstruct": "denoise"},
    {"distance": "kl"},
    {"distance": "kl", "predict_on": "both", "draws": "one"},
    {"draws": "one"},
    {"draws": "one", "noise_at": "raw"},
    {"draws": "one", "environments": 1, "predict_on": "both", "reconstruct": "denoise"},
    {"decorrelate": "xcov"},
    {"decorrelate": "hsic"},
    {"decorrelate": "club"},
    {"decorrelate": "club", "decorrelation": 0.0},
    {"decorrelation_ramp": 0.3, "reconstruction_ramp": 1.0},
    {"ramp": 0.0, "dim": 1},
    {"source": "directed"},
    {"source": "directed", "noise_at": "raw", "predict_on": "both", "movement": "slopes"},
    {"source": "given"},
    {"source": "given", "predict_on": "noisy", "distance": "cosine"},
    {"alignment": 1.0},
]

OTHER_VIEWS = {"cmir-e": "its loss predicts noisy views", "imml-robust": "its loss averages over fewer draws"}


@pytest.mark.parametrize("fusion", names("fusions"))
@pytest.mark.parametrize("method", names("methods"))
def test_laws_with_the_default_encoders(method: str, fusion: str) -> None:
    check_method(get_class("methods", method), backbone={"fusion": fusion}, other_views=method in OTHER_VIEWS)


@pytest.mark.parametrize("encoder", names("encoders"))
@pytest.mark.parametrize("method", names("methods"))
def test_laws_with_every_encoder(method: str, encoder: str) -> None:
    fitting = {"cnn": ["image"], "gru": ["text"]}.get(encoder, ["text", "audio"])
    modalities = {name: MODALITIES[name] for name in dict.fromkeys([*fitting, "audio"])}  # some methods need two
    check_method(
        get_class("methods", method),
        modalities=modalities,
        backbone={"encoders": dict.fromkeys(fitting, encoder)},
        other_views=method in OTHER_VIEWS,
    )


@pytest.mark.parametrize("method", names("methods"))
def test_laws_of_a_classification(method: str) -> None:
    task = Task.classification(("a", "b", "c"))
    check_method(get_class("methods", method), task=task, other_views=method in OTHER_VIEWS)


@pytest.mark.parametrize("hyperparameters", CMIR, ids=str)
def test_laws_of_every_choice_of_cmir(hyperparameters: dict[str, object]) -> None:
    check_method(
        lambda backbone: build("methods", "cmir", backbone, **hyperparameters),
        modalities=SEQUENCE,
        other_views=hyperparameters.get("predict_on", "clean") != "clean",
    )


@pytest.mark.parametrize("decorrelate", ["orth", "xcov", "hsic", "club"])
@pytest.mark.parametrize("distance", ["l1", "l2", "cosine", "kl"])
def test_laws_of_cmir_in_a_classification(distance: str, decorrelate: str) -> None:
    def make(backbone):
        return build("methods", "cmir", backbone, distance=distance, decorrelate=decorrelate)

    check_method(make, modalities=SEQUENCE, task=Task.classification(("a", "b", "c")))


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 6)

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return (self.table(values) * mask.unsqueeze(2)).sum(1)


@pytest.mark.parametrize("method", names("methods"))
def test_laws_with_tokens_and_a_module_of_the_user(method: str) -> None:
    modalities = {"words": Modality("words", 4, ()), "audio": MODALITIES["audio"]}

    def make(backbone):
        return get_class("methods", method)(backbone)

    torch.manual_seed(0)
    encoders = {"words": Words()}
    check_method(make, modalities=modalities, backbone={"encoders": encoders}, other_views=method in OTHER_VIEWS)


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


class OtherOutput(ERM):
    """Trains half of the logit that it predicts with."""

    def forward(self, batch):
        return 2 * super().forward(batch)


@pytest.mark.parametrize(
    ("broken", "law"),
    [
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
