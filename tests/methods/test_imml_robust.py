"""The preset is IMML with its arguments and nothing else."""

import torch

from deconfound.data.task import Modality, Task
from deconfound.methods.imml import IMML
from deconfound.methods.imml_robust import IMMLRobust
from deconfound.nn.backbone import Backbone
from deconfound.registry import arguments
from deconfound.testing.examples import random_batch

MODALITIES = {"text": Modality("text", 1, (4,)), "audio": Modality("audio", 1, (3,))}
TASK = Task.classification(("a", "b"))
ROBUST = {"alignment": "both", "training": "plug", "form": "additive", "head": "mc-cond", "predict": "do", "dim": 4}


def test_it_is_imml_with_its_arguments() -> None:
    found = []
    for make in (IMMLRobust, lambda backbone: IMML(backbone, **ROBUST)):
        torch.manual_seed(0)
        method = make(Backbone.build(MODALITIES, TASK, hidden=8, dropout=0.0))
        batch = random_batch(MODALITIES, TASK, 8, torch.Generator().manual_seed(1))
        loss = method.loss(batch, 0.5, torch.Generator().manual_seed(2))
        method.eval()
        found.append((loss.total, method(batch), method.variants(batch)))
        assert "are balanced" in method.hooks.summary_lines()[0]
    torch.testing.assert_close(found[0], found[1])
    assert set(found[0][2]) == {"task", "avg", "z-only"}


def test_its_shared_arguments_have_the_defaults_of_imml() -> None:
    mine, theirs = (arguments(component).model_fields for component in (IMMLRobust, IMML))
    own = ("alignment", "predict", "dim")
    assert {n: f.default for n, f in mine.items() if n not in own} == {
        n: theirs[n].default for n in mine if n not in own
    }
    shared = [name for name in mine if name != "alignment"]
    assert {name: mine[name].metadata for name in shared} == {name: theirs[name].metadata for name in shared}
