"""Several labels a row, from tables and from memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.preprocessing import MultiLabelBinarizer

import deconfound as dc
from deconfound.data.describe import describe
from deconfound.data.describe_text import as_text, chart
from deconfound.data.retask import retask
from deconfound.data.store import check_store, open_store, save
from deconfound.data.task import Task
from deconfound.datasets.readers.table import read_table
from deconfound.errors import DataError
from deconfound.testing import check_dataset

N = 60
DRAW = np.random.default_rng(0)
LABELS = (DRAW.random((N, 3)) < 0.4).astype(int)
NAMES = ("calm", "happy", "sad")
SETS = [[name for name, there in zip(NAMES, row, strict=True) if there] for row in LABELS]
FRAME = pd.DataFrame(
    {"x": DRAW.normal(size=N), "names": SETS, **{name: LABELS[:, place] for place, name in enumerate(NAMES)}}
)


def read(target: object, **arguments: Any) -> dc.Dataset:
    return dc.dataset(FRAME, target=target, x="x", metadata=[], quiet=True, **arguments)


def in_order(data: dc.Dataset) -> np.ndarray:
    order = np.argsort([int(row) for row in data.columns["id"].values])
    return data.target.numpy()[order]


def test_columns_sets_and_arrays_are_the_same_labels() -> None:
    expected = MultiLabelBinarizer(classes=NAMES).fit_transform(SETS)
    from_columns = read(list(NAMES))
    for data in (from_columns, read("names"), read(LABELS, task="multilabel", classes=NAMES), read(SETS)):
        check_dataset(data)
        assert data.task == Task.multilabel(NAMES)
        np.testing.assert_array_equal(in_order(data), expected)
    assert from_columns.provenance["target"] == list(NAMES)
    assert repr(from_columns).splitlines()[0] == "Dataset 'dataset': 60 rows, multilabel of 3 labels: calm, happy, sad"


def test_a_store_keeps_them_and_they_can_be_described(tmp_path: Path) -> None:
    data = read(list(NAMES))
    stored = open_store(save(data, tmp_path / "store"))
    assert torch.equal(check_store(tmp_path / "store").target, data.target)
    assert stored.checksum == data.checksum
    described = describe(stored)
    assert described.target["train"] == dict(zip(NAMES, data.batch("train").target.sum(0).int().tolist(), strict=True))
    assert described.probes[0].metric == "map"
    assert "multilabel (bce, protocol multilabel)" in as_text(described)
    assert chart(described) is not None
    with pytest.raises(DataError, match="several labels a row"):
        retask(stored, "classification", None)


TOML = """
manifest = "rows.csv"
[target]
{target}
[split]
group = ["id"]
seed = 0
stratify = true
shares = {{ train = 0.6, valid = 0.2, test = 0.2 }}
[modalities.record]
columns = ["x"]
"""


@pytest.mark.parametrize(
    "target",
    [
        'columns = ["calm", "happy", "sad"]',
        'column = "joined"\nkind = "multilabel"\nseparator = ";"\nunlabelled = "drop"',
    ],
)
def test_a_table_names_columns_or_one_of_names(tmp_path: Path, target: str) -> None:
    rows = FRAME.drop(columns="names").assign(id=range(N), joined=["; ".join(row) for row in SETS])
    rows.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "corpus.toml").write_text(TOML.format(target=target))
    data = read_table(tmp_path / "corpus.toml")
    check_dataset(data)
    some = LABELS.any(axis=1) | ("columns" in target)
    np.testing.assert_array_equal(in_order(data), LABELS[some])
    if "columns" in target:
        assert not {"calm", "happy", "sad"} & set(data.columns)


@pytest.mark.parametrize(
    ("target", "match"),
    [
        ('columns = ["calm", "joined"]', "'joined' of row 1 is .* a column of a label holds 0 and 1"),
        ('columns = ["calm"]', "needs two or more distinct names of labels"),
        ('columns = ["calm", "happy"]\nkind = "regression"', "columns are the labels of a multilabel target"),
        ('columns = ["calm", "happy"]\ncolumn = "calm"', "one column, or several with columns"),
        ('columns = ["calm", "happy"]\nloss = "l1"', "has no loss to choose"),
        ('column = "joined"\nkind = "multilabel"\nclasses = ["a", "b"]', "has the unknown label"),
    ],
)
def test_what_is_no_label_is_refused_in_one_line(tmp_path: Path, target: str, match: str) -> None:
    rows = FRAME.drop(columns="names").assign(id=range(N), joined=["|".join(row) or "sad" for row in SETS])
    rows.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "corpus.toml").write_text(TOML.format(target=target))
    with pytest.raises(DataError, match=match) as error:
        read_table(tmp_path / "corpus.toml")
    assert "\n" not in str(error.value)


def test_rows_whose_labels_are_not_known() -> None:
    rows = FRAME.assign(calm=FRAME["calm"].where(FRAME.index != 4).astype(object), names=[None, *SETS[1:]])
    for target in (list(NAMES), "names"):
        with pytest.raises(DataError, match="1 of 60 rows have no label"):
            dc.dataset(rows, target=target, x="x", quiet=True)
        assert len(dc.dataset(rows, target=target, x="x", quiet=True, unlabelled="drop", metadata=[])) == N - 1


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"target": LABELS}, "for several labels a row"),
        ({"target": LABELS, "task": "multilabel", "classes": ["a"]}, "3 columns and 1 names"),
        ({"target": list(NAMES), "task": "regression"}, "several labels a row are task='multilabel'"),
        ({"target": [["a"], [1]] * 30}, "for several labels a row"),
    ],
)
def test_bad_targets_in_memory(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(DataError, match=match):
        read(**arguments)


@pytest.mark.parametrize(
    ("target", "match"),
    [
        (torch.zeros(4, 2), "3 labels a row are float32"),
        (torch.zeros(4, 3, dtype=torch.int64), "got int64"),
        (torch.full((4, 3), 0.5), "a label of a row is 0 or 1; got 0.5"),
    ],
)
def test_a_matrix_of_another_kind_is_refused(target: torch.Tensor, match: str) -> None:
    signal = dc.Signal(torch.zeros(4, 1, 2), torch.ones(4, 1, dtype=torch.bool))
    with pytest.raises(DataError, match=match):
        dc.Dataset.build("d", Task.multilabel(NAMES), {"x": signal}, target, {"id": list("abcd")}, ["train"] * 4)


def test_the_risk_is_the_mean_binary_cross_entropy() -> None:
    output, target = torch.randn(5, 3), (torch.rand(5, 3) < 0.5).float()
    p = output.double().sigmoid()
    slow = -(target * p.log() + (1 - target) * (1 - p).log()).mean(1)
    torch.testing.assert_close(Task.multilabel(NAMES).risk(output, target).double(), slow, atol=1e-6, rtol=1e-5)
