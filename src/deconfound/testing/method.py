"""`check_method`: the laws of a method, on small random batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from deconfound.compose import weighs_rows
from deconfound.data.signal import Batch
from deconfound.data.task import Modality, Task
from deconfound.method import Method
from deconfound.nn.backbone import Backbone
from deconfound.testing.examples import MODALITIES, random_batch, with_garbage, with_padding
from deconfound.testing.loss import check_features, check_learning, check_prediction, check_terms, loss_of
from deconfound.testing.warm_up import check_warm_up
from deconfound.testing.weights import check_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROWS = 8
_STEPS = 4


def check_method(
    make: Callable[[Backbone], Method],
    *,
    modalities: Mapping[str, Modality] = MODALITIES,
    task: Task | None = None,
    backbone: Mapping[str, Any] | None = None,
    other_views: bool = False,
    learns: bool = True,
    fades: bool = False,
    seed: int = 0,
) -> None:
    """Check a method on a backbone. It is built and trained for a few steps; no state of the caller changes.

    The laws: the output is (B, outputs) and finite; eval mode is deterministic, draws no global random numbers and
    keeps the state; only the signals predict, not the target, the row number or the environment; each row is computed by
    itself; values under a False mask influence neither prediction nor loss, appended padding not the prediction; every set
    of absent modalities, all of them included, gives finite predictions, losses and gradients; the loss has the documented
    form and depends on its generator alone; features have the widths of the backbone and are 0 where their modality is
    absent; the output of the loss is the prediction, its risks are the task's risks of the output, and its total is a sum
    of its terms with weights that do not depend on the batch; twenty steps of Adam on a learnable toy, or the fit of
    a method that is fitted at once, lower the risk by a tenth; the input is not changed; every parameter gets a
    gradient within a few steps; the `state_dict` holds no tensor twice, and a new instance that takes it predicts the
    same; what holds for the prediction holds for the method's variants; the method says how long it warms up
    (`testing.warm_up.check_warm_up`); where the method weighs rows, a weight of k is a row that comes k times. That each
    hyper-parameter matters is a law of its own: `check_hyperparameters`.

    Args:
        make: backbone → method, such as the class itself or a function that adds arguments.
        modalities: forms of the input.
        task: of the method; a regression unless given.
        backbone: arguments of `Backbone.build`.
        other_views: True for a method whose loss predicts other views of the rows than `forward`, such as noisy or mixed
            ones; then neither output nor risks are compared with the prediction, nor features with the rows' modalities.
        learns: False for a method whose loss need not lower the risk in its first steps, or that predicts a constant.
        fades: True for a method with terms that end in the course of the training.
        seed: of the weights and the batches.

    Raises:
        AssertionError: a law is broken; the message says which.
    """
    task = task or Task.regression()
    generator = torch.Generator().manual_seed(seed)

    def build() -> Method:
        return make(Backbone.build(modalities, task, **{"hidden": 8, **(backbone or {})}))

    with _random_state_kept(seed):
        method = build()
        batch = random_batch(modalities, task, _ROWS, generator)
        _check_no_idle_parameter(method, modalities, task, generator)
        _check_absence(method, batch)
        method.eval()
        _check_form(method, batch, task)
        _check_eval_is_pure(method, batch)
        _check_signals_alone_predict(method, batch)
        _check_rows_independent(method, batch)
        _check_padding_ignored(method, batch, modalities)
        _check_variants(method, batch)
        _check_generator_decides(method, batch)
        _check_state_round_trip(method, build(), batch)
        check_features(method, batch, other_views=other_views)
        if not other_views:
            check_prediction(method, batch)
        check_terms(method, modalities, task, generator)
        check_warm_up(build(), modalities, task, fades=fades)
        if learns:
            check_learning(build(), modalities, task, generator)
        if weighs_rows(method) and not other_views:
            check_weights(method, batch)


@contextmanager
def _random_state_kept(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _close(a: Tensor, b: Tensor, law: str) -> None:
    gap = (a - b).abs().max().item() if a.shape == b.shape else float("inf")
    same = a.shape == b.shape and torch.allclose(a, b, rtol=1e-4, atol=1e-5)
    assert same, f"{law}: they differ by {gap:.2g}"


def _finite(value: Tensor, law: str) -> None:
    assert bool(torch.isfinite(value).all()), f"{law}: not finite"


def _check_form(method: Method, batch: Batch, task: Task) -> None:
    output = method(batch)
    assert output.shape == (len(batch), task.outputs), (
        f"shape: the output is {tuple(output.shape)} for {len(batch)} rows"
    )
    _finite(output, "the prediction")
    loss = loss_of(method, batch)
    assert loss.total.ndim == 0, "the total loss must be one number"
    assert loss.total.requires_grad, "the total loss must carry a gradient"
    assert loss.risks.shape == (len(batch),), f"risks must be (B,); got {tuple(loss.risks.shape)}"
    for name, value in {**loss.terms, **loss.monitors}.items():
        assert value.ndim == 0, f"the term {name!r} must be one number; got {tuple(value.shape)}"
        _finite(value, f"the term {name!r}")
    for name, value in loss.features.items():
        assert value.ndim == 2, f"the features {name!r} must be (B, D)"
        assert len(value) == len(batch), f"the features {name!r} must have one row per row of the batch"


def _check_eval_is_pure(method: Method, batch: Batch) -> None:
    state = {name: value.clone() for name, value in method.state_dict().items()}
    inputs = {name: (s.values.clone(), s.mask.clone()) for name, s in batch.signals.items()}
    about = {name: getattr(batch, name).clone() for name in ("target", "ids", "env")}
    random = torch.get_rng_state()
    first, second = method(batch), method(batch)
    loss_of(method, batch)
    assert torch.equal(first, second), "determinism: two calls in eval mode differ"
    assert torch.equal(random, torch.get_rng_state()), "determinism: eval mode draws from the global random generator"
    for name, value in method.state_dict().items():
        assert torch.equal(value, state[name]), f"state: eval mode changes {name}"
    for name, (values, mask) in inputs.items():
        signal = batch.signals[name]
        assert torch.equal(signal.values, values), f"the input is changed: values of {name}"
        assert torch.equal(signal.mask, mask), f"the input is changed: mask of {name}"
    for name, value in about.items():
        assert torch.equal(getattr(batch, name), value), f"the input is changed: {name}"


def _check_signals_alone_predict(method: Method, batch: Batch) -> None:
    output = method(batch)
    for name in ("target", "ids", "env"):
        other = replace(batch, **{name: getattr(batch, name).flip(0)})
        assert torch.equal(method(other), output), f"signals alone predict: another {name} moves the prediction"


def _check_rows_independent(method: Method, batch: Batch) -> None:
    output = method(batch)
    order = torch.arange(len(batch)).flip(0)
    _close(method(batch.select(order)), output[order], "rows independent: another order of rows")
    for row in range(len(batch)):
        alone = method(batch.select(torch.tensor([row])))
        _close(alone, output[row : row + 1], f"rows independent: row {row} alone and among others")


def _check_padding_ignored(method: Method, batch: Batch, modalities: Mapping[str, Modality]) -> None:
    sequences = [name for name, modality in modalities.items() if modality.steps > 1]
    variants = {"values under a False mask": with_garbage(batch), "appended padding": with_padding(batch, sequences, 3)}
    output, total = method(batch), loss_of(method, batch).total
    for what, variant in variants.items():
        _close(method(variant), output, f"padding ignored: {what} moves the prediction")
        if what == "values under a False mask":  # padding may change how much noise is drawn
            _close(loss_of(method, variant).total, total, f"padding ignored: {what} moves the loss")


def _check_variants(method: Method, batch: Batch) -> None:
    output, variants = method(batch), method.variants(batch)
    missing = batch.without(*batch.signals)
    for name, values in variants.items():
        what = f"the variant {name!r}"
        assert values.shape == output.shape, f"{what}: shape {tuple(values.shape)}, expected {tuple(output.shape)}"
        _finite(values, what)
        _finite(method.variants(missing)[name], f"{what} with everything absent")
        assert torch.equal(method.variants(batch)[name], values), f"{what}: determinism: two calls in eval mode differ"
        for part in ("target", "ids", "env"):
            other = replace(batch, **{part: getattr(batch, part).flip(0)})
            assert torch.equal(method.variants(other)[name], values), f"{what}: another {part} moves it"
        for row in range(len(batch)):
            alone = method.variants(batch.select(torch.tensor([row])))[name]
            _close(alone, values[row : row + 1], f"{what}: rows independent: row {row} alone and among others")
        _close(method.variants(with_garbage(batch))[name], values, f"{what}: values under a False mask move it")


def _check_absence(method: Method, batch: Batch) -> None:
    names = list(batch.signals)
    for count in range(len(names) + 1):
        for gone in combinations(names, count):
            reduced = batch.without(*gone)
            what = f"with {', '.join(gone) or 'nothing'} absent"
            for mode in (True, False):
                method.train(mode).zero_grad()
                _finite(method(reduced), f"the prediction {what}")
                loss = loss_of(method, reduced)
                _finite(loss.total, f"the loss {what}")
                loss.total.backward()
                for name, parameter in method.named_parameters():
                    if parameter.grad is not None:
                        _finite(parameter.grad, f"the gradient of {name} {what}")
    method.zero_grad()


def _check_no_idle_parameter(
    method: Method, modalities: Mapping[str, Modality], task: Task, generator: torch.Generator
) -> None:
    method.train()
    waiting = {name for name, parameter in method.named_parameters() if parameter.requires_grad}
    optimiser = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=1e-3)
    for step in range(_STEPS):
        batch = random_batch(modalities, task, _ROWS, generator, holes=step % 2 == 1)
        optimiser.zero_grad()
        loss_of(method, batch, progress=step / _STEPS, seed=step).total.backward()
        for name, parameter in method.named_parameters():
            if parameter.grad is not None and bool((parameter.grad != 0).any()):
                waiting.discard(name)
        optimiser.step()
    assert not waiting, f"idle parameters: no gradient in {_STEPS} steps for {', '.join(sorted(waiting))}"


def _check_generator_decides(method: Method, batch: Batch) -> None:
    torch.manual_seed(1)
    first = loss_of(method, batch).total
    torch.manual_seed(2)
    second = loss_of(method, batch).total
    assert torch.equal(first, second), "randomness: the same generator gives another loss in eval mode"


def _check_state_round_trip(method: Method, other: Method, batch: Batch) -> None:
    seen: dict[int, str] = {}
    for name, value in method.state_dict().items():
        if value.numel():
            first = seen.setdefault(value.data_ptr(), name)
            assert first == name, f"state: {first} and {name} are one tensor, which a checkpoint would hold twice"
    missing = other.load_state_dict(method.state_dict(), strict=True)
    assert not missing.missing_keys, f"state_dict: {missing.missing_keys} are missing"
    other.eval()
    assert torch.equal(method(batch), other(batch)), "state_dict: a new instance with the same state predicts otherwise"
    assert torch.equal(loss_of(method, batch).total, loss_of(other, batch).total), "state_dict: its loss differs"
