import pytest
import torch
from torch import nn

from deconfound.nn.inference import apply_to_batches, evaluating
from support.small import tiny


def module() -> nn.Sequential:
    built = nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.5))
    built[0].eval()  # a part that is in another mode than the whole
    return built


def test_a_module_is_as_it_was_afterwards_even_after_an_error():
    model = module()

    def fail() -> None:
        assert not any(part.training for part in model.modules())
        assert not torch.is_grad_enabled()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), evaluating(model, "cpu"):
        fail()
    assert [part.training for part in model.modules()] == [True, False, True]
    assert torch.is_grad_enabled()


def test_batches_are_drawn_one_at_a_time_in_eval_mode_without_gradients():
    model, data, events = module(), tiny(), []

    def batches():
        for start in (0, 6):
            events.append(f"draw {start}")
            yield data.batch(range(start, start + 6))

    def compute(batch):
        events.append(f"compute {int(batch.ids[0])}")
        return model(batch.signals["audio"].values[:, 0])

    results = apply_to_batches(model, batches(), compute)
    assert events == ["draw 0", "compute 0", "draw 6", "compute 6"]
    assert not any(result.requires_grad for result in results)
    torch.testing.assert_close(torch.cat(results), model[0](data.signals["audio"].values[:, 0]).detach())
    assert model.training
