"""`train.keep`: which epoch's weights predict."""

import torch

import deconfound as dc
from deconfound.runs.checkpoint import read_weights


def test_the_last_epoch_is_kept_without_early_stopping(tmp_path):
    data = dc.synthetic(rows=60)
    asked = {
        "epochs": 4,
        "patience": 1,
        "learning_rate": 0.5,
        "keep": "last",
    }  # a rate at which validation soon gets worse
    run = dc.fit(data, "erm", out=tmp_path / "run", train=asked)
    assert run.done is not None
    assert (run.done["epochs"], run.done["best_epoch"]) == (4, 3)
    assert not (run.path / "checkpoints" / "best.safetensors").exists()
    last = read_weights(run.path / "checkpoints" / "last.safetensors", "method.")
    assert all(torch.equal(value, last[name]) for name, value in run.method().state_dict().items())
    with torch.no_grad():
        valid = data.batch("valid")
        risk = data.task.risk(run.method()(valid), valid.target).mean()
    torch.testing.assert_close(float(risk), run.done["best_risk"], rtol=1e-4, atol=1e-5)
