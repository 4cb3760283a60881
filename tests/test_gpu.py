"""What only an accelerator can show; these tests skip where there is none."""

import pytest
import torch

from deconfound.datasets.synthetic import synthetic
from deconfound.runs.build import build_method
from deconfound.training.train import train_run
from support.small import FAST, small_data, small_spec

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("method", ["erm", "cmir"])
def test_a_run_trains_there_and_is_evaluated_here(tmp_path, method, precision):
    train = {**FAST, "accelerator": "gpu", "precision": precision}
    run = train_run(small_spec(method=method, train=train), tmp_path / "r", progress=False)
    assert run.done is not None
    assert all(parameter.device.type == "cpu" for parameter in run.method().parameters())
    assert run.evaluate()


@pytest.mark.parametrize("method", ["erm", "cmir"])
@pytest.mark.parametrize("encoder", ["mlp", "gru", "lstm", "transformer"])
def test_outputs_and_gradients_agree_with_the_cpu(method, encoder):
    data = synthetic(rows=64, steps=5)
    spec = small_spec(
        method=method, backbone={"hidden": 8, "dropout": 0.0, "encoders": dict.fromkeys(data.signals, encoder)}
    )
    torch.manual_seed(0)
    built = build_method(spec, data.modalities, data.task).eval()
    batch = data.batch("valid")
    here = built(batch)
    there = built.to("cuda")(batch.to("cuda"))
    torch.testing.assert_close(there.cpu(), here, rtol=1e-3, atol=1e-4)
    loss = built.train().loss(batch.to("cuda"), 0.5, torch.Generator("cuda").manual_seed(0))
    loss.total.backward()
    assert all(torch.isfinite(p.grad).all() for p in built.parameters() if p.grad is not None)


def test_batches_move_whole():
    batch = small_data().batch("valid").to("cuda")
    assert {s.values.device.type for s in batch.signals.values()} == {"cuda"}
    assert batch.env.is_cuda
