"""IMML's loss against a plain second implementation, its laws under every knob, its bank, its four predictions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from deconfound.data.signal import Batch
from deconfound.data.task import Modality, Task
from deconfound.errors import SpecError
from deconfound.methods.erm import ERM
from deconfound.methods.imml import IMML
from deconfound.nn.backbone import Backbone
from deconfound.registry import arguments
from deconfound.testing import check_method
from deconfound.testing.examples import random_batch

MODALITIES = {"text": Modality("text", 1, (4,)), "audio": Modality("audio", 1, (3,)), "face": Modality("face", 1, (5,))}
PAIR = {name: MODALITIES[name] for name in ("text", "audio")}
CLASSES, REGRESSION = Task.classification(("a", "b", "c")), Task.regression()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(
    task: Task = CLASSES, rows: int = 8, modalities: dict[str, Modality] = MODALITIES, **hyperparameters: Any
) -> tuple[IMML, Batch]:
    torch.manual_seed(0)
    method = IMML(Backbone.build(modalities, task, hidden=8, dropout=0.0), **{"dim": 6, "hidden": 8, **hyperparameters})
    return method, random_batch(modalities, task, rows, generator(1))


HYPERPARAMETERS: list[dict[str, Any]] = [
    *(
        {"head": head, "form": form}
        for head in ("mc-product", "mc-cond", "nwgm", "dictionary")
        for form in ("full", "additive")
    ),
    *({"alignment": kind} for kind in ("instance", "both")),
    *(
        {"training": "plug", "head": head, "form": form}
        for head in ("mc-product", "mc-cond")
        for form in ("full", "additive")
    ),
    *({"predict": name, "head": "mc-cond"} for name in ("do", "avg", "z-only", "auto")),
    {"predict": "do", "training": "plug", "form": "additive", "head": "nwgm"},
    {"predominant": "audio", "predict": "do"},
    {"weights": "similar", "head": "mc-cond", "predict": "avg"},
    {"weights": "similar", "head": "nwgm"},
    {"bank": 3, "draws": 2, "draws_eval": 5, "predict": "do"},
]


@pytest.mark.parametrize("hyperparameters", HYPERPARAMETERS, ids=str)
def test_laws_of_every_choice(hyperparameters: dict[str, Any]) -> None:
    check_method(
        lambda backbone: IMML(backbone, dim=4, hidden=6, **hyperparameters),
        modalities=PAIR,
        task=CLASSES,
        other_views=hyperparameters.get("predict", "task") != "task",  # the loss averages over fewer draws
    )


class Plain:
    """The published loss by the book: one predominant modality, loops over rows and draws, no stacking."""

    def __init__(self, method: IMML, batch: Batch, predominant: str) -> None:
        self.method, self.batch, self.p = method, batch, predominant
        self.door = method.interventions.doors[predominant]
        self.h = method.backbone.encode(batch)
        self.there = batch.present
        source = self.h if method.twins is None else method.twins(method.backbone.standardise(batch))
        self.z = method.knowledge(source)

    def a(self, row: int) -> Tensor:
        parts, start = [], 0
        for name, width in self.method.backbone.widths.items():
            if name != self.p:
                absent = self.door.join.absent[start : start + width]
                parts.append(self.h[name][row] if self.there[name][row] else absent)
                start += width
        return torch.cat(parts)

    def rows(self) -> list[int]:
        return [i for i in range(len(self.batch)) if self.there[self.p][i]]

    def risk(self, output: Tensor, row: int) -> Tensor:
        return self.method.backbone.task.risk(output.unsqueeze(0), self.batch.target[row : row + 1])[0]

    def averaged(self, row: int, draws: list[int], own: bool) -> Tensor:
        outputs = [
            self.door.outcome(self.z[self.p][row], self.h[self.p][j].detach(), self.a(row) if own else self.detached(j))
            for j in draws
        ]
        if self.method.backbone.task.kind == "classification":
            return torch.stack([output.softmax(0) for output in outputs]).mean(0).log()
        return torch.stack(outputs).mean(0)

    def detached(self, row: int) -> Tensor:
        kept, self.h = self.h, {name: values.detach() for name, values in self.h.items()}
        found, self.h = self.a(row), kept
        return found

    def alignment(self) -> Tensor:
        total = torch.zeros(())
        for other in self.z:
            rows = [i for i in self.rows() if self.there[other][i]]
            if other == self.p or not rows:
                continue
            for one, two in ((self.p, other), (other, self.p)):
                for i in rows:
                    logits = torch.stack(
                        [F.cosine_similarity(self.z[one][i], self.z[two][k], dim=0) / 0.2 for k in rows]
                    )
                    same = [k for k, j in enumerate(rows) if self.batch.target[j] == self.batch.target[i]]
                    total = total - logits.log_softmax(0)[same].mean() / (2 * len(rows))
        return total


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("task", [CLASSES, REGRESSION], ids=["classes", "regression"])
def test_the_loss_equals_a_plain_implementation(task: Task, own: bool) -> None:
    method, batch = make(task, predominant="text", head="mc-cond" if own else "mc-product", gamma_dk=0.3, gamma_fd=0.7)
    loss = method.loss(batch, 0.5, generator(4))
    plain = Plain(method, batch, "text")
    drawn = (torch.rand(16, generator=generator(4)) * len(batch)).long().tolist()
    draws = [j for j in drawn if plain.there["text"][j]]
    front = torch.stack([plain.risk(plain.averaged(i, draws, own), i) for i in plain.rows()]).mean()
    direct = torch.stack(
        [plain.risk(plain.door.direct(plain.z["text"][i], plain.a(i)), i) for i in plain.rows()]
    ).mean()
    risks = task.risk(method.backbone.predict(plain.h, plain.there), batch.target)
    torch.testing.assert_close(loss.terms["front-door"], front, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loss.terms["direct"], direct, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loss.risks, risks)
    aligned = plain.alignment() if task is CLASSES else loss.terms["alignment"]
    torch.testing.assert_close(loss.terms["alignment"], aligned, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loss.total, risks.mean() + 0.3 * aligned + 0.7 * front + direct, rtol=1e-4, atol=1e-5)
    formed = [i for i in plain.rows() if any(there[i] for name, there in plain.there.items() if name != "text")]
    assert 0 < len(formed) < len(plain.rows())
    assert loss.monitors["fallback"].item() == pytest.approx(1 - len(formed) / len(batch))


def test_balanced_is_the_mean_over_both_choices() -> None:
    """Without rows that lack a modality, where every choice can be formed."""
    method, _ = make(modalities=PAIR, head="mc-cond")
    batch = random_batch(PAIR, CLASSES, 8, generator(1), holes=False)
    method.loss(batch, 0.0, generator())
    method.eval()
    together = method.loss(batch, 0.5, generator())
    shown = method.variants(batch)["do"].exp()
    alone, outputs = [], []
    for share in ([1.0, 0.0], [0.0, 1.0]):
        method.predominant.share.copy_(torch.tensor(share))
        alone.append(method.loss(batch, 0.5, generator()).terms)
        outputs.append(method.variants(batch)["do"].exp())
    for name in ("alignment", "front-door", "direct"):
        torch.testing.assert_close(together.terms[name], (alone[0][name] + alone[1][name]) / 2)
    torch.testing.assert_close(shown, (outputs[0] + outputs[1]) / 2)


def test_without_the_predominant_modality_the_task_predicts_and_it_is_said() -> None:
    method, batch = make(predominant="text", predict="do", head="mc-cond")
    method.loss(batch, 0.0, generator())
    method.eval()
    gone = batch.without("text")
    found = {"do": method(gone), **method.variants(gone)}
    for name in ("do", "avg", "z-only"):
        torch.testing.assert_close(found[name], found["task"])
    assert method.loss(gone, 0.5, generator()).monitors["fallback"].item() == 1
    there = batch.present["text"]
    assert not torch.allclose(method(batch)[there], method.variants(batch)["task"][there])


@pytest.mark.parametrize("head", ["mc-product", "mc-cond", "nwgm", "dictionary"])
def test_without_any_other_modality_the_task_predicts_too(head: str) -> None:
    method, batch = make(predominant="text", predict="do", head=head)
    method.loss(batch, 0.0, generator())
    method.eval()
    alone = batch.without("audio", "face")
    shown = {"do": method(alone), **method.variants(alone)}
    for name in ("do", "avg", "z-only"):
        torch.testing.assert_close(shown[name], shown["task"])
    assert method.loss(alone, 0.5, generator()).monitors["fallback"].item() == 1


def test_before_any_training_the_bank_is_empty_and_the_task_predicts() -> None:
    method, batch = make(predict="do", predominant="text")
    method.eval()
    torch.testing.assert_close(method(batch), method.variants(batch)["task"])


def test_avg_mixes_task_and_do() -> None:
    method, _ = make(predict="avg", mix=0.25, predominant="text")
    batch = random_batch(MODALITIES, CLASSES, 8, generator(1), holes=False)
    method.loss(batch, 0.0, generator())
    method.eval()
    others = method.variants(batch)
    expected = 0.75 * others["task"].softmax(1) + 0.25 * others["do"].softmax(1)
    torch.testing.assert_close(method(batch).softmax(1), expected)


def gradients(method: IMML, term: Tensor) -> set[str]:
    """First parts of the names of the parameters that the term reaches."""
    method.zero_grad()
    term.backward(retain_graph=True)
    touched = [name for name, p in method.named_parameters() if p.grad is not None and bool(p.grad.any())]
    return {name.split(".")[0] if not name.startswith("inter") else name.split(".")[3] for name in touched}


def test_in_plug_training_each_part_learns_from_its_own_term() -> None:
    method, batch = make(training="plug", form="additive", head="mc-cond", predominant="text", alignment="instance")
    terms = method.loss(batch, 0.5, generator()).terms
    assert gradients(method, terms["prediction"]) == {"backbone"}
    assert gradients(method, terms["alignment"]) == {"twins", "knowledge"}
    assert gradients(method, terms["direct"]) == {"direct", "join"}
    assert gradients(method, terms["front-door"]) == {"rest", "join"}


def test_in_e2e_training_the_head_of_z_only_moves_nothing_else() -> None:
    method, batch = make(predominant="text")
    terms = method.loss(batch, 0.5, generator()).terms
    assert gradients(method, terms["direct"]) == {"direct", "join"}
    assert gradients(method, terms["front-door"]) == {"backbone", "knowledge", "mixed", "join"}


def test_plug_training_leaves_the_wrapped_model_what_plain_training_makes_of_it() -> None:
    """Up to the clipping of the gradient's norm, which looks at all parameters."""
    method, batch = make(training="plug", predominant="text")
    torch.manual_seed(0)
    plain = ERM(Backbone.build(MODALITIES, CLASSES, hidden=8, dropout=0.0))
    for each in (method, plain):
        optimiser = torch.optim.SGD(each.parameters(), lr=0.1)
        for step in range(5):
            optimiser.zero_grad()
            each.loss(batch, 0.5, generator(step)).total.backward()
            optimiser.step()
    method.eval()
    plain.eval()
    torch.testing.assert_close(method(batch), plain(batch))


def test_one_modality_or_an_unknown_one_is_refused() -> None:
    single = Backbone.build({"text": MODALITIES["text"]}, CLASSES)
    with pytest.raises(SpecError, match="two or more modalities, this data has only 'text'; train 'erm'"):
        IMML(single)
    with pytest.raises(SpecError, match="no modality 'txt' to be predominant; did you mean 'text'"):
        make(predominant="txt")


def test_every_argument_is_described() -> None:
    fields = arguments(IMML).model_fields
    assert all(field.description for field in fields.values())
    paper = {
        "alignment": "label", "head": "mc-product", "form": "full", "training": "e2e", "predict": "task", "draws": 16,
        "gamma_dk": 1.0, "gamma_fd": 1.0, "temperature": 0.2, "bank": 1024, "draws_eval": 64, "warmup": 3, "mix": 0.5,
        "centres": 64, "dim": 64, "predominant": "auto",
    }  # fmt: skip
    assert {name: fields[name].default for name in paper} == paper
