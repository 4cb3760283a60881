"""`constant`: the shares of the classes, the mean or the median."""

import numpy as np
import pytest
import torch
from sklearn.dummy import DummyClassifier, DummyRegressor

from deconfound.data.task import Task
from deconfound.methods.constant import Constant
from deconfound.nn.backbone import Backbone
from deconfound.testing.examples import MODALITIES, learnable_dataset


@pytest.mark.parametrize("task", [Task.regression(), Task.regression(loss="l1"), Task.classification(("a", "b", "c"))])
def test_every_row_gets_what_scikit_learns_dummy_predicts(task: Task) -> None:
    data = learnable_dataset(MODALITIES, task, torch.Generator().manual_seed(0))
    method = Constant(Backbone.build(MODALITIES, task)).eval()
    assert method.hooks.fit is not None
    method.hooks.fit(data.development(), torch.Generator())
    batch, target = data.batch("test"), data.batch("train").target.numpy()
    output = method(batch).detach()
    x = np.zeros((len(target), 1))
    if task.kind == "classification":
        expected = DummyClassifier(strategy="prior").fit(x, target).predict_proba(np.zeros((len(batch), 1)))
        np.testing.assert_allclose(output.softmax(1).numpy(), expected, rtol=1e-6)
    else:
        dummy = DummyRegressor(strategy="median" if task.loss == "l1" else "mean").fit(x, target)
        np.testing.assert_allclose(output[:, 0].numpy(), dummy.predict(np.zeros((len(batch), 1))), rtol=1e-6)
    assert torch.equal(method(batch.without(*MODALITIES)), method(batch))
