"""`late-linear`: the mean of what each modality predicts by itself."""

import torch

from deconfound.data.dataset import Dataset
from deconfound.data.task import Task
from deconfound.methods.late_linear import LateLinear
from deconfound.methods.linear import Linear
from deconfound.nn.backbone import Backbone
from deconfound.testing.examples import MODALITIES, learnable_dataset

CLASSES = Task.classification(("a", "b", "c"))


def fitted(data: Dataset, kind: type[LateLinear] | type[Linear]) -> LateLinear | Linear:
    method = kind(Backbone.build(data.modalities, data.task)).eval()
    assert method.hooks.fit is not None
    method.hooks.fit(data.development(), torch.Generator().manual_seed(0))
    return method


def test_probabilities_are_the_mean_over_the_modalities_that_a_row_has() -> None:
    data = learnable_dataset(MODALITIES, CLASSES, torch.Generator().manual_seed(0))
    method, batch = fitted(data, LateLinear), data.batch("test")
    alone = {n: method(batch.without(*[m for m in MODALITIES if m != n])).softmax(1) for n in MODALITIES}
    torch.testing.assert_close(method(batch).softmax(1), torch.stack(list(alone.values())).mean(0))
    pair = method(batch.without("image")).softmax(1)
    torch.testing.assert_close(pair, (alone["text"] + alone["audio"]) / 2)
    shares = torch.bincount(data.batch("train").target, minlength=3) / 48
    torch.testing.assert_close(method(batch.without(*MODALITIES)).softmax(1), shares.expand(len(batch), 3))


def test_with_one_modality_it_is_the_linear_method() -> None:
    for task in (CLASSES, Task.regression()):
        data = learnable_dataset(MODALITIES, task, torch.Generator().manual_seed(0)).only("text")
        batch = data.batch("test")
        late, early = fitted(data, LateLinear)(batch), fitted(data, Linear)(batch)
        if task is CLASSES:
            late, early = late.softmax(1), early.softmax(1)
        torch.testing.assert_close(late, early, rtol=1e-3, atol=1e-3)


def test_a_modality_is_fitted_to_the_rows_that_have_it() -> None:
    data = learnable_dataset(MODALITIES, Task.regression(), torch.Generator().manual_seed(0))
    signal = data.signals["audio"]
    kept = signal.keep(torch.arange(len(data))[:, None] % 2 == 0)
    holes = Dataset.build(
        "holes", data.task, {**data.signals, "audio": kept}, data.target, data.columns, data.metadata["split"].tolist()
    )
    lone = holes.resplit([s if row % 2 == 0 else "" for row, s in enumerate(holes.metadata["split"])]).only("audio")
    batch = lone.batch("test")
    others = [name for name in MODALITIES if name != "audio"]
    first = fitted(holes, LateLinear)(holes.batch("test").without(*others))[holes.batch("test").present["audio"]]
    torch.testing.assert_close(first, fitted(lone, LateLinear)(batch), rtol=1e-4, atol=1e-5)
