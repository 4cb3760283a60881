"""Pretrained encoders: what is frozen stays, layers train at their own rates, and a probe comes before the tuning."""

from pathlib import Path

import pytest
import torch

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.task import Modality, Task
from deconfound.errors import SpecError
from deconfound.extraction.text_model import load_text_model, word_pieces
from deconfound.nn.pretrained import PretrainedEncoder
from deconfound.registry import build
from deconfound.runs.build import build_method
from deconfound.runs.spec import Spec
from deconfound.training.learner import Learner
from deconfound.training.train import train_run

TEXTS = ["a fine film", "a dreadful film, all in all", "good", "bad", "not bad", "not good"]
PIECES = word_pieces("all-MiniLM-L6-v2", TEXTS, 16)
STEPS = max(map(len, PIECES))
TOKENS = Modality("text", STEPS, ())


def texts() -> Signal:
    values = torch.tensor([row + [0] * (STEPS - len(row)) for row in PIECES])
    return Signal(values, torch.tensor([[step < len(row) for step in range(STEPS)] for row in PIECES]))


def data() -> Dataset:
    target = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    split = ["train", "train", "train", "train", "valid", "valid"]
    return Dataset.build("films", Task.regression(), {"text": texts()}, target, {"id": list("abcdef")}, split)


def test_the_mean_of_the_hidden_states_is_passed_on() -> None:
    encoder = build("encoders", "pretrained-text", TOKENS, 8).eval()
    signal = texts()
    with torch.no_grad():
        together = encoder(signal.values, signal.mask)
        states = load_text_model("all-MiniLM-L6-v2").eval()(input_ids=torch.tensor([PIECES[2]])).last_hidden_state
        torch.testing.assert_close(together[2], encoder.leave(states[0].mean(dim=0)), atol=1e-5, rtol=1e-4)
        absent = encoder(signal.values, torch.zeros_like(signal.mask))
    torch.testing.assert_close(absent, encoder.leave.bias.expand(6, 8))


@pytest.mark.parametrize(("freeze", "parts"), [("none", 7), ("all", 0), (3, 4)])
def test_frozen_layers_stay_and_the_others_have_falling_rates(freeze: str | int, parts: int) -> None:
    encoder = build("encoders", "pretrained-text", TOKENS, 8, freeze=freeze, layer_decay=0.5)
    tuned = list(encoder.tuned_parts())
    assert [part.learning_rate for part in tuned] == pytest.approx(
        [1e-4 * 0.5 ** (parts - 1 - n) for n in range(parts)]
    )
    trained = {id(p) for part in tuned for p in part.parameters}
    assert trained == {id(p) for p in encoder.pretrained.parameters() if p.requires_grad}  # the pooler is not used
    encoder.train()
    assert [layer.training for layer in encoder.layers()] == [False] * (7 - parts) + [True] * parts


def test_images_of_any_size_are_fitted_and_frozen_batch_norms_keep_their_statistics() -> None:
    encoder = build("encoders", "pretrained-image", Modality("image", 1, (3, 20, 20)), 8, side=32, freeze="all").train()
    before = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
    features = encoder(torch.randn(2, 1, 3, 20, 20), torch.tensor([[True], [False]]))
    assert features.shape == (2, 8)
    torch.testing.assert_close(features[1], encoder.leave.bias)
    assert all(torch.equal(buffer, before[name]) for name, buffer in encoder.named_buffers())


def test_other_inputs_are_refused_with_the_way_out() -> None:
    with pytest.raises(SpecError, match='import the text with extractor = "word-pieces"'):
        build("encoders", "pretrained-text", Modality("text", 1, (384,)), 8)
    with pytest.raises(SpecError, match=r'extractor = \{ name = "pixels", side = 224 \}'):
        build("encoders", "pretrained-image", Modality("image", 1, (20, 20)), 8)
    with pytest.raises(SpecError, match="the text model 'no/such' cannot be loaded"):
        build("encoders", "pretrained-text", TOKENS, 8, model="no/such")


def learner(**train: object) -> Learner:
    budget = {"epochs": 10, "batch_size": 4, "learning_rate": 1e-3, "patience": 9, "window": 1}
    spec = Spec.of({"method": "erm", "train": {**budget, **train}})
    return Learner(build_method(spec, data().modalities, data().task), data(), spec.train, 0)


@pytest.mark.parametrize(("schedule", "held"), [("together", 0), ("probe-then-tune", 6)])
def test_a_probe_holds_the_pretrained_layers_still(schedule: str, held: int) -> None:
    tuned = learner(schedule=schedule, probe=0.6, warmup=0.2)
    setup = tuned.configure_optimizers()
    optimiser, scheduler = setup["optimizer"], setup["lr_scheduler"]["scheduler"]
    trained = [parameter for parameter in tuned.method.parameters() if parameter.requires_grad]
    assert sum(len(group["params"]) for group in optimiser.param_groups) == len(trained)
    rates = []
    for _ in range(tuned.steps):
        rates.append([group["lr"] for group in optimiser.param_groups])
        optimiser.step()
        scheduler.step()
    new, pretrained = torch.tensor(rates)[:, 0], torch.tensor(rates)[:, 1:]
    assert new.argmax() == 1  # the warm-up of the new layers: a fifth of ten steps
    assert bool((pretrained[:held] == 0).all())
    assert bool((pretrained[held:] > 0).all())
    assert float(pretrained.max()) == pytest.approx(1e-4)


def test_fine_tuning_learns_and_is_loaded_again(tmp_path: Path) -> None:
    settings = {"epochs": 12, "batch_size": 4, "keep": "last", "threads": 1, "learning_rate": 1e-2}
    run = train_run(Spec.of({"method": "erm", "train": settings}), tmp_path / "r", dataset=data(), progress=False)
    method = run.method()
    encoder = next(module for module in method.modules() if isinstance(module, PretrainedEncoder))
    before = load_text_model("all-MiniLM-L6-v2").state_dict()
    assert any(not torch.equal(value, before[name]) for name, value in encoder.pretrained.state_dict().items())
    with torch.no_grad():
        output = method(data().batch("train"))[:, 0]
    assert bool((output.sign() == data().batch("train").target).all())
