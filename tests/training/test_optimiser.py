import pytest
import torch

from deconfound.training.optimiser import adamw
from support.small import FAST, small_run


def trained(fused: bool, steps: int = 20) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    slow = torch.rand(4, 3, generator=generator, requires_grad=True)
    fast = torch.rand(3, generator=generator, requires_grad=True)
    groups = [{"params": [slow], "lr": 1e-4, "weight_decay": 0.5}, {"params": [fast]}]
    optimiser = adamw(groups, rate=1e-2, decay=1e-2, fused=fused)
    for _ in range(steps):
        optimiser.zero_grad()
        (slow @ fast).pow(2).sum().backward()
        optimiser.step()
    return [slow.detach(), fast.detach()]


def test_one_kernel_computes_what_the_plain_updates_compute_in_every_group():
    for one, other in zip(trained(fused=True), trained(fused=False), strict=True):
        torch.testing.assert_close(one, other)


def test_it_is_one_kernel_where_all_weights_are_real_numbers():
    real, imaginary = torch.ones(2, requires_grad=True), torch.ones(2, dtype=torch.complex64, requires_grad=True)
    assert adamw([{"params": [real]}], rate=1e-3, decay=0.0).defaults["fused"]
    optimiser = adamw([{"params": [real]}, {"params": [imaginary]}], rate=1e-3, decay=0.0)
    imaginary.abs().sum().backward()
    optimiser.step()
    assert not torch.equal(imaginary, torch.ones_like(imaginary))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "64-true"])
def test_a_run_trains_and_clips_in_every_precision(tmp_path, precision):
    run = small_run(tmp_path / "r", train={**FAST, "epochs": 1, "clip": 0.5, "precision": precision})
    assert run.done is not None
