"""Readers by name: every built-in one has a card, and another package adds one with an entry point."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deconfound.cli.data import app as data_app
from deconfound.cli.show import component_text, describe_component
from deconfound.data.store import open_store
from deconfound.datasets.reader import Reader, ReaderCard
from deconfound.errors import DataError, SpecError
from deconfound.registry import build, get_class, names

SOURCE = '''
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.task import Task
from deconfound.datasets.reader import Reader, ReaderCard


class NumbersReader(Reader):
    """Read one number per line."""

    card = ReaderCard("a test", "none", "write it", "one number per line", ("it is short",))

    def __init__(
        self,
        *,
        protocol: str = "regression",
        splits: Annotated[tuple[str, ...], Field(min_length=2, description="names")] = ("train", "valid"),
    ) -> None:
        self.protocol, self.splits = protocol, splits

    def read(self, path: Path) -> Dataset:
        target = torch.tensor([float(line) for line in path.read_text().split()])
        split = [self.splits[row % len(self.splits)] for row in range(len(target))]
        signals = {"x": Signal(target[:, None, None], torch.ones(len(target), 1, dtype=torch.bool))}
        metadata = {"id": [str(row) for row in range(len(target))]}
        return Dataset.build(path.stem, Task.regression(protocol=self.protocol), signals, target, metadata, split)
'''


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A folder on the module path with an installed package that publishes the reader "numbers"."""
    site = tmp_path / "site"
    info = site / "numbers_reader-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "numbers_reader.py").write_text(SOURCE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: numbers-reader\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[deconfound.readers]\nnumbers = numbers_reader:NumbersReader\n")
    monkeypatch.syspath_prepend(site)
    (tmp_path / "corpus.txt").write_text("1 2 3 4 5 6")
    return tmp_path


def run_import(folder: Path, *words: str) -> str:
    command = ["import", str(folder / "corpus.txt"), "--format", "numbers", "--out", str(folder / "store"), *words]
    result = CliRunner().invoke(data_app, command)
    if result.exception:
        raise result.exception
    return result.output


def test_a_reader_of_another_package_is_listed_shown_and_used(package):
    assert "numbers" in names("readers")
    assert "known defects: it is short" in component_text(describe_component("numbers"))
    run_import(package, "--option", 'splits=["train", "valid", "test"]')
    dataset = open_store(package / "store")
    assert dataset.name == "corpus"
    assert {split: len(rows) for split, rows in dataset.splits.items()} == {"train": 2, "valid": 2, "test": 2}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("split=a", "no argument 'split'; did you mean 'splits'"),
        ('splits=["train"]', "at least 2 items"),
        ("splits=[", "not TOML"),
        ("splits", "expected NAME=VALUE"),
        ("protocol=sims-2", "there is no protocol 'sims-2'"),
        ("protocol=classification", "the protocol 'classification' judges classification"),
    ],
)
def test_wrong_options_are_one_line_and_leave_no_store(package, option, message):
    with pytest.raises((SpecError, DataError), match=message) as caught:
        run_import(package, "--option", option)
    assert "\n" not in str(caught.value)
    assert not (package / "store").exists()


@pytest.mark.parametrize("name", names("readers"))
def test_every_reader_states_its_card_and_refuses_a_missing_file(name, tmp_path):
    card = get_class("readers", name).card
    assert all((card.source, card.licence, card.access, card.layout))
    with pytest.raises(DataError, match="No such file") as caught:
        build("readers", name).read(tmp_path / "missing")
    assert "\n" not in str(caught.value)


def test_the_card_is_part_of_the_json():
    description = json.loads(json.dumps(describe_component("mmsa")))
    assert set(description["card"]) == {"source", "licence", "access", "layout", "known_defects"}


def test_a_reader_needs_a_card():
    with pytest.raises(TypeError, match="needs a class attribute card"):
        type("Nameless", (Reader,), {"read": lambda self, path: None})
    type("Named", (Reader,), {"card": ReaderCard("a", "b", "c", "d"), "read": lambda self, path: None})


def test_an_unknown_format_suggests_a_reader():
    with pytest.raises(SpecError, match="there is no reader 'mmssa'; did you mean 'mmsa'"):
        build("readers", "mmssa")
