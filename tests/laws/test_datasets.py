"""Synthetic data keep the laws of a dataset; broken datasets are caught."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from deconfound.data.columns import Columns
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.datasets.synthetic import synthetic
from deconfound.errors import DataError
from deconfound.registry import build
from deconfound.testing import check_dataset
from support.corpora import write_pickled
from support.raw_corpora import READERS, fast_options, write_raw
from support.small import tiny


@pytest.mark.parametrize("arguments", [{}, {"steps": 4}, {"task": "classification"}], ids=str)
def test_synthetic_data_keep_the_laws(arguments: dict[str, object]) -> None:
    check_dataset(synthetic(rows=60, **arguments))


@pytest.mark.parametrize("reader", ["mag-bert", "misa", "hkt", "multibench"])
def test_what_a_reader_of_pickles_reads_keeps_the_laws(tmp_path: Path, reader: str) -> None:
    texts = {} if reader == "multibench" else {"text": "none"}
    check_dataset(build("readers", reader, **texts).read(write_pickled(reader, tmp_path)))


@pytest.mark.parametrize("reader", READERS)
def test_what_a_reader_of_raw_corpora_reads_keeps_the_laws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    monkeypatch.setenv("DECONFOUND_CACHE", str(tmp_path / "cache"))
    check_dataset(build("readers", reader, **fast_options(reader)).read(write_raw(reader, tmp_path)))


def test_data_with_absent_rows_keep_the_laws() -> None:
    check_dataset(tiny())
    check_dataset(tiny(splits=("train", "test", "test")))


def test_splits_that_share_a_row_cannot_be_made() -> None:
    with pytest.raises(DataError, match="the splits 'train' and 'valid' share rows"):
        replace(tiny(), splits={"train": range(7), "valid": range(6, len(tiny()))})


def with_text(values: torch.Tensor, mask: torch.Tensor) -> Dataset:
    dataset = tiny()
    return replace(dataset, signals={**dataset.signals, "text": Signal(values, mask)})


def broken() -> dict[str, tuple[Dataset, str]]:
    dataset = tiny()
    text, n = dataset.signals["text"], len(dataset)
    ids = {name: column.values.tolist() for name, column in dataset.columns.items()}
    nan = text.values.clone()
    nan[5, 0, 0] = torch.nan
    swapped = {"train": range(8, 12), "valid": range(4, 8), "test": range(4)}
    return {
        "gap": (replace(dataset, splits={"train": range(6), "valid": range(7, n)}), "splits: row 6 is in none"),
        "empty": (replace(dataset, splits={"train": range(n), "valid": range(n, n)}), "splits: 'valid' is empty"),
        "order": (replace(dataset, splits=swapped), "training rows come first"),
        "ids": (replace(dataset, columns=Columns({**ids, "id": ["a"] * n})), "ids: 11 repeat"),
        "nan": (with_text(nan, text.mask), "text: NaN"),
        "mask": (with_text(torch.ones_like(text.values), text.mask), "text: values where the mask is False"),
        "absent": (with_text(text.values * 0, text.mask & False), "text: absent in every row"),
        "target": (replace(dataset, target=dataset.target * torch.nan), "target: NaN"),
        "double": (replace(dataset, target=dataset.target.double()), "target: float32"),
    }


@pytest.mark.parametrize("fault", sorted(broken()))
def test_a_broken_dataset_is_caught(fault: str) -> None:
    dataset, law = broken()[fault]
    with pytest.raises(AssertionError, match=law):
        check_dataset(dataset)
