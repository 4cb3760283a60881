"""The laws of `Loss`: its parts agree with each other and with the prediction, and minimising it lowers the risk."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch
from deconfound.data.task import Modality, Task
from deconfound.method import Loss, Method
from deconfound.testing.examples import learnable_batch, learnable_dataset, random_batch

_PROGRESS = 0.5
_STEPS = 20
_RATE = 0.02
_LOWER = 0.9
_TOLERANCE = 1e-3
_ROWS = 48


def check_features(method: Method, batch: Batch, *, other_views: bool) -> None:
    """Features have the widths of the backbone, are finite, and are 0 where their modality is absent.

    Where the loss predicts other views (`other_views`), a view may hold a modality that the row lacks, as in a mix of two
    rows. So absence is then checked only for modalities that no row of the batch has.
    """
    expected = dict(method.backbone.widths)
    for gone in (None, *batch.signals):
        rows = batch if gone is None else batch.without(gone)
        features = loss_of(method, rows).features
        widths = {name: values.shape[1] for name, values in features.items()}
        assert widths == expected, f"features: the widths are those of the backbone, {expected}; got {widths}"
        for name, values in features.items():
            assert bool(torch.isfinite(values).all()), f"features: {name} is not finite"
            if name == gone or not other_views:
                absent = values[~rows.present[name]]
                assert not bool(absent.any()), f"features: {name} is 0 in the rows that lack it"


def check_prediction(method: Method, batch: Batch) -> None:
    """In eval mode `output` is what `forward` predicts, and `risks` are the task's risks of `output`."""
    loss = loss_of(method, batch)
    _close(loss.output, method(batch), "output: the loss and forward give the same prediction in eval mode")
    risks = method.backbone.task.risk(loss.output, batch.target)
    _close(loss.risks, risks, "risks: the task's risk of the output, row by row")


def check_terms(method: Method, modalities: Mapping[str, Modality], task: Task, generator: torch.Generator) -> None:
    """`total` is a sum of the terms with weights that do not depend on the batch.

    Weights may depend on the progress and on the state of the method, so both are held while the batches change. The
    weights are found by least squares from more batches than terms; nothing may be left over.
    """
    names = list(loss_of(method, random_batch(modalities, task, 8, generator)).terms)
    assert names, "terms: the loss names the terms of its total"
    rows, totals = [], []
    for _ in range(len(names) + 4):
        loss = loss_of(method, random_batch(modalities, task, 8, generator))
        assert list(loss.terms) == names, f"terms: the names are the same in all batches; got {list(loss.terms)}"
        rows.append(torch.stack([value.detach() for value in loss.terms.values()]))
        totals.append(loss.total.detach())
    terms, total = torch.stack(rows).double(), torch.stack(totals).double()
    scale = terms.abs().amax(0).clamp(min=1e-12)
    weights = torch.linalg.lstsq(terms / scale, total.unsqueeze(1), driver="gelsd").solution
    residual = (terms / scale @ weights).squeeze(1) - total
    gap, size = float(residual.abs().max()), float(total.abs().max()) + 1e-6
    assert gap <= _TOLERANCE * size, f"terms: the total is a weighted sum of the terms; {gap / size:.2g} of it is not"


def check_learning(method: Method, modalities: Mapping[str, Modality], task: Task, generator: torch.Generator) -> None:
    """Twenty steps of Adam, on rows whose label every modality tells, lower the mean risk of the prediction by a tenth.

    A method that is fitted at once does so by its fit. The parameters move. The method is left in eval mode.
    """
    if method.hooks.fit is not None:
        _check_fit(method, learnable_dataset(modalities, task, generator).development(), generator)
        return
    batch = learnable_batch(modalities, task, _ROWS, generator)
    before = _risk(method, batch)
    optimiser = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr=_RATE)
    method.train()
    for step in range(_STEPS):
        optimiser.zero_grad()
        method.loss(batch, step / _STEPS, generator).total.backward()
        method.hooks.after_backward(generator)
        optimiser.step()
    after = _risk(method, batch)
    assert after < _LOWER * before, (
        f"learning: {_STEPS} steps on a learnable toy lower the risk by a tenth; {before:.3g} became {after:.3g}"
    )


def _check_fit(method: Method, development: Dataset, generator: torch.Generator) -> None:
    """A fit lowers the mean risk of the training rows by a tenth, and a second one from the same numbers gives the same."""
    assert method.hooks.fit is not None, "a method without this hook is trained in steps"
    batch, start = development.batch("train"), generator.get_state()
    before = _risk(method, batch)
    method.hooks.fit(development, generator)
    after, fitted = _risk(method, batch), method(batch)
    assert after < _LOWER * before, f"learning: the fit lowers the risk by a tenth; {before:.3g} became {after:.3g}"
    method.hooks.fit(development, generator.set_state(start))
    _close(method(batch), fitted, "learning: a second fit with the same generator gives the same predictions")


def loss_of(method: Method, batch: Batch, progress: float = _PROGRESS, seed: int = 1) -> Loss:
    """The loss with a new generator."""
    return method.loss(batch, progress, torch.Generator().manual_seed(seed))


@torch.no_grad()
def _risk(method: Method, batch: Batch) -> float:
    method.eval()
    return float(method.backbone.task.risk(method(batch), batch.target).mean())


def _close(value: Tensor, expected: Tensor, law: str) -> None:
    same = value.shape == expected.shape and torch.allclose(value, expected, rtol=1e-4, atol=1e-5)
    gap = float((value - expected).detach().abs().max()) if value.shape == expected.shape else float("inf")
    assert same, f"{law}; they differ by {gap:.2g}"
