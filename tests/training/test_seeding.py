import torch

from deconfound.training.learner import seed_default_generators
from support.small import small_run


def test_the_generator_of_the_cpu_gives_what_torch_gives_after_the_same_seed():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        expected = torch.rand(5)
        seed_default_generators(7, torch.device("cpu"))
        assert torch.equal(torch.rand(5), expected)


def test_training_keeps_no_calls_for_accelerators_that_are_not_in_use(tmp_path):
    """PyTorch keeps each call of an accelerator that is not in use yet, with its stack trace, for good."""

    def kept_by(epochs: int) -> int:
        before = len(torch.cuda._queued_calls) + len(torch.xpu._queued_calls)
        small_run(tmp_path / str(epochs), train={"epochs": epochs, "batch_size": 16, "accelerator": "cpu"})
        return len(torch.cuda._queued_calls) + len(torch.xpu._queued_calls) - before

    assert kept_by(3) <= kept_by(1)
