"""Shifted splits: the associations against a slow count, what an exchange keeps, what it reports, what is refused."""

import numpy as np
import pytest
import torch
from scipy import sparse
from typer.testing import CliRunner

from deconfound.cli.app import app
from deconfound.data.dataset import Dataset
from deconfound.data.shift import shift_split
from deconfound.data.shift.anneal import Exchange
from deconfound.data.shift.association import SHRINKAGE, agreement, label_columns
from deconfound.data.signal import Signal
from deconfound.data.store import open_store, save
from deconfound.data.task import Task
from deconfound.errors import DataError, StoreError

WORDS = ("awful", "bad", "boring", "fine", "fun", "great", "plot", "scene", "actor", "music")


def corpus(rows: int = 600, classes: int = 0, per_group: int = 1) -> Dataset:
    """Texts whose words go with the label, by row or by group, with a topic that goes with it too."""
    draw = np.random.default_rng(0)
    label = draw.normal(size=rows)
    chance = 1 / (1 + np.exp(-np.outer(label, np.linspace(-2, 2, len(WORDS)))))
    texts = [" ".join(np.array(WORDS)[draw.random(len(WORDS)) < share]) + " so it is" for share in chance]
    topic = np.clip(np.round(label + 2 * draw.normal(size=rows)), -3, 3).astype(int)
    group = np.repeat(np.arange(-(-rows // per_group)), per_group)[:rows]
    part = np.where(group % 5 == 4, "test", np.where(group % 5 == 3, "valid", "train"))
    names = tuple("abcdef"[:classes])
    target = np.searchsorted(np.quantile(label, np.arange(1, classes) / classes), label) if classes else label
    task = Task.classification(names) if classes else Task.regression()
    values = torch.from_numpy(label).float().reshape(rows, 1, 1) + torch.randn(
        rows, 1, 3, generator=torch.Generator().manual_seed(0)
    )
    return Dataset.build(
        "reviews",
        task,
        {"voice": Signal(values, torch.ones(rows, 1, dtype=torch.bool))},
        torch.from_numpy(target).to(torch.int64 if classes else torch.float32),
        {
            "id": [f"r{i}" for i in range(rows)], "review": texts,
            "author": [f"author {g}" for g in group], "topic": [f"topic {v}" for v in topic],
        },
        part,
        group=("author",) if per_group > 1 else (),
    )  # fmt: skip


def slow_strengths(held: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(V, C), attribute by attribute."""
    result = np.zeros((held.shape[1], labels.shape[1]))
    for v in range(held.shape[1]):
        here = labels[held[:, v] == 1]
        result[v] = (here - labels.mean(0)).sum(0) / (len(here) + SHRINKAGE)
    return result


@pytest.mark.parametrize("per_unit", [1, 3])
@pytest.mark.parametrize("classes", [0, 3])
def test_associations_follow_exchanges_and_an_exchange_undoes_itself(classes: int, per_unit: int) -> None:
    draw = np.random.default_rng(1)
    held = (draw.random((60, 5)) < 0.4).astype(float)
    target = draw.integers(classes, size=60).astype(float) if classes else draw.normal(size=60)
    labels, bins = label_columns(target, classes), draw.integers(3, size=60)
    inside = np.arange(60) < 30
    exchange = Exchange(sparse.csr_array(held), labels, bins, np.arange(60) // per_unit, inside)
    start = exchange.correlation()
    middle = 30 // per_unit
    for inner, outer in ((0, middle + 2), (3, middle), (middle, 0)):
        exchange.swap(inner, outer)
        parts = [slow_strengths(held[part], labels[part]) for part in (exchange.inside, ~exchange.inside)]
        np.testing.assert_allclose(exchange.inside_part.strengths(), parts[0], atol=1e-9)
        np.testing.assert_allclose(exchange.outside_part.strengths(), parts[1], atol=1e-9)
        expected = np.corrcoef(parts[0].ravel(), parts[1].ravel())[0, 1]
        assert exchange.correlation() == pytest.approx(expected)
        counts = np.bincount(bins[exchange.inside], minlength=3) - np.bincount(bins[inside], minlength=3)
        assert exchange.unevenness() == pytest.approx(np.abs(counts).sum() / 30)
    fresh = Exchange(sparse.csr_array(held), labels, bins, np.arange(60) // per_unit, inside)
    last = 60 // per_unit - 1
    fresh.swap(0, last)
    fresh.swap(last, 0)
    assert fresh.correlation() == pytest.approx(start)
    assert bool((fresh.inside == inside).all())


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("by", ["words", "topic", "features:voice"])
def test_the_association_reverses_and_sizes_labels_and_rows_stay(by: str, classes: int) -> None:
    dataset = corpus(classes=classes)
    shifted, report = shift_split(dataset, by, correlation=0.5)
    assert report.before > 0.8
    assert report.after <= 0.5
    assert {name: len(rows) for name, rows in shifted.splits.items()} == {
        name: len(rows) for name, rows in dataset.splits.items()
    }
    assert sorted(shifted.columns["id"].values) == sorted(dataset.columns["id"].values)
    assert report.label_moved == pytest.approx(0)
    new = set(shifted.columns["id"].values[list(shifted.rows("test"))])
    assert report.exchanged == len(new - set(dataset.columns["id"].values[list(dataset.rows("test"))])) > 0
    assert (shifted.name, shifted.provenance["shift"]["after"]) == ("reviews-shifted", report.after)
    if classes:
        for split in ("test",):
            before, after = (d.target[list(d.rows(split))].bincount() for d in (dataset, shifted))
            assert torch.equal(before, after)


def test_groups_stay_whole_unless_rows_are_asked_for() -> None:
    dataset = corpus(per_group=6)
    shifted, report = shift_split(dataset, "words", correlation=0.9)
    assert report.after <= 0.9 < report.before
    assert report.label_moved <= 0.1
    split = shifted.metadata.groupby("author")["split"].nunique()
    assert split.max() == 1
    free, _ = shift_split(dataset, "words", correlation=0.5, rows=True)
    assert free.group == ()
    with pytest.raises(DataError, match="topic=topic -1 has rows in the test split and outside"):
        shift_split(dataset, "words", group="topic")


def test_the_seed_decides() -> None:
    first, again, other = (shift_split(corpus(), "words", correlation=0.5, seed=seed)[0] for seed in (1, 1, 2))
    assert first.checksum == again.checksum != other.checksum


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "author"}, "0 of 600 values occur in 10 rows, expected two or more"),
        ({"by": "mood"}, "expected words, features:MODALITY or a metadata column .review, author, topic."),
        ({"by": "features:face"}, "the store has the modalities voice"),
        ({"by": "words", "text": "topic"}, "1 of 1 values occur in 10 rows, expected two or more"),
        ({"by": "words", "test": "tset"}, "no split 'tset'; did you mean 'test'"),
        (
            {"by": "words", "correlation": -1.0, "proposals": 50},
            "50 exchanges brought .* not to -1; raise 'proposals', accept",
        ),
    ],
)
def test_what_cannot_be_shifted_is_refused(options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        shift_split(corpus(), **options)


def test_agreement_is_pearsons_and_0_for_a_constant() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 7, 2))
    assert agreement(a, b) == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    assert agreement(a, np.ones((7, 2))) == 0


def test_the_command_writes_a_store_and_tells_what_it_cost(tmp_path) -> None:
    save(corpus(), tmp_path / "reviews")
    words = ["data", "shift", str(tmp_path / "reviews"), "--out", str(tmp_path / "ood"), "--correlation", "0.5"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "over 13 attributes" in done.output
    assert "great" in done.output
    assert len(open_store(tmp_path / "ood")) == 600
    assert isinstance(CliRunner().invoke(app, words).exception, StoreError)
    impossible = CliRunner().invoke(app, [*words[:4], str(tmp_path / "no"), "--correlation", "-1", "--proposals", "10"])
    assert isinstance(impossible.exception, DataError)
    assert not (tmp_path / "no").exists()
