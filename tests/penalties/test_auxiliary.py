"""Heads of single modalities beside the fusion: their risk by a loop over rows, and no need of environments."""

import pytest
import torch

import deconfound as dc
from deconfound.compose import PenaltyWarning, RegularizedMethod
from deconfound.methods.erm import ERM
from deconfound.nn.backbone import Backbone
from deconfound.penalties.auxiliary import Auxiliary
from deconfound.penalties.vrex import VREx
from support.small import FAST, small_run
from support.toy import rows

DATA = rows(task=dc.Task.classification(("a", "b", "c")))
BATCH = DATA.batch("train")


def test_it_is_the_mean_risk_of_each_head_over_the_rows_that_have_the_modality():
    torch.manual_seed(0)
    backbone = Backbone.build(DATA.modalities, DATA.task, hidden=4, dropout=0.0)
    method, penalty = ERM(backbone), Auxiliary(backbone, 1)
    keep = torch.arange(len(BATCH)) % 2 == 0
    batch = BATCH.with_signals({**BATCH.signals, "audio": BATCH.signals["audio"].keep(keep[:, None])})
    loss = method.loss(batch, 0.0, torch.Generator())
    total = 0.0
    for name in ("text", "audio"):
        head, risks = penalty.heads.heads[name], []
        for row in range(len(batch)):
            if bool(batch.present[name][row]):
                logits = head(loss.features[name][row]).detach()
                risks.append(-float(logits.log_softmax(0)[batch.target[row]]))
        total += sum(risks) / len(risks) / 2
    assert float(penalty(loss, batch).detach()) == pytest.approx(total, rel=1e-4)


@pytest.mark.filterwarnings("ignore::deconfound.training.best_epoch.EpochWarning")
def test_rows_of_one_environment_do(tmp_path):
    method = {"name": "erm", "penalties": {"auxiliary": {"weight": 0.5}}}
    data = {"synthetic": {"rows": 64, "rho": [0.5]}}
    run = small_run(tmp_path / "run", method=method, data=data, train=FAST)
    log = (run.path / "log.csv").read_text(encoding="utf-8")
    values = [line.rsplit(",", 1)[1] for line in log.splitlines() if ",auxiliary/computed," in line]
    assert set(map(float, values)) == {1.0}
    assert run.spec.title == "erm + auxiliary"


@pytest.mark.filterwarnings("ignore::deconfound.training.best_epoch.EpochWarning")
def test_beside_a_penalty_that_compares_environments_it_is_computed_in_every_batch():
    torch.manual_seed(0)
    backbone = Backbone.build(DATA.modalities, DATA.task, hidden=4)
    method = RegularizedMethod(ERM(backbone), {"vrex": VREx(backbone, 2), "auxiliary": Auxiliary(backbone, 2)}, {})
    batch = BATCH.select(torch.nonzero(BATCH.env == 0).flatten())
    with pytest.warns(PenaltyWarning, match=r"so vrex had nothing"):
        loss = method.loss(batch, 0.5, torch.Generator())
    assert float(loss.terms["vrex"].detach()) == 0
    assert float(loss.terms["auxiliary"].detach()) > 0
    assert method.needs_environments
