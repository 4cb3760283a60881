"""The description: counts against plain loops, probes against scikit-learn and against data whose answer is known."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from deconfound.data.dataset import Dataset
from deconfound.data.describe import describe
from deconfound.data.describe_text import as_text, draw
from deconfound.data.linear_probe import PENALTIES, probe
from deconfound.data.signal import Signal
from deconfound.data.task import Task
from deconfound.errors import DataError, RunError

SIZES = {"train": 150, "valid": 60, "test": 40}


def made(kind="regression", seed=0, valid=True, environment=("speaker",), shared=False):
    """`good` carries the target, `noise` does not, `words` are tokens; 30 rows lack `good`."""
    generator = torch.Generator().manual_seed(seed)
    sizes = {s: n for s, n in SIZES.items() if valid or s != "valid"}
    n = sum(sizes.values())
    latent = torch.randn(n, generator=generator)
    steps = torch.arange(4) < torch.randint(1, 5, (n, 1), generator=generator)
    good = latent[:, None, None] + 0.3 * torch.randn(n, 4, 6, generator=generator)
    steps_good = steps.clone()
    steps_good[::9] = False
    noise = torch.randn(n, 1, 5, generator=generator)
    target = latent if kind == "regression" else (latent > 0.5).long() + (latent > -0.5).long()
    task = Task.regression() if kind == "regression" else Task.classification(("low", "mid", "high"))
    split = [s for s, size in sizes.items() for _ in range(size)]
    whose = [f"p{i % 7}" if shared else f"{s}{i % 6}" for i, s in enumerate(split)]
    words = torch.where(steps, torch.randint(0, 9, (n, 4), generator=generator), 0)
    signals = {
        "noise": Signal(noise, torch.ones(n, 1, dtype=torch.bool)),
        "good": Signal(good * steps_good[:, :, None], steps_good),
        "words": Signal(words, steps),
    }
    metadata = {"id": list(range(n)), "speaker": whose}
    return Dataset.build("made", task, signals, target, metadata, split, environment=environment)


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_counts_match_plain_loops(kind):
    dataset = made(kind)
    description = describe(dataset)
    assert description.rows == SIZES
    assert description.modalities["good"] == {"kind": "sequence", "steps": 4, "shape": [6]}
    for name, signal in dataset.signals.items():
        for split, rows in dataset.splits.items():
            absent = [not any(signal.mask[row].tolist()) for row in rows]
            steps = [not step for row in rows for step in signal.mask[row].tolist()]
            assert description.missing[name][split]["rows"] == pytest.approx(sum(absent) / len(absent), abs=1e-6)
            assert description.missing[name][split]["steps"] == pytest.approx(sum(steps) / len(steps), abs=1e-6)
    for split, rows in dataset.splits.items():
        values = dataset.target[rows.start : rows.stop].double().numpy()
        if kind == "classification":
            assert description.target[split] == {
                c: int((values == i).sum()) for i, c in enumerate(dataset.task.classes)
            }
            continue
        target = description.target[split]
        assert target["counts"] == np.histogram(values, description.edges)[0].tolist()
        for name, oracle in {"mean": np.mean, "sd": np.std, "min": np.min, "median": np.median, "max": np.max}.items():
            assert target[name] == pytest.approx(oracle(values))
    speakers = dataset.metadata.groupby("speaker").size()
    assert description.groups["count"] == len(speakers)
    assert (description.groups["smallest"], description.groups["largest"]) == (speakers.min(), speakers.max())
    assert description.warnings == []
    json.dumps(description.to_json(), allow_nan=False)


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_the_modality_that_carries_the_target_is_the_best_alone(kind):
    description = describe(made(kind))
    assert description.best_alone == "good"
    assert [p.score for p in description.probes] == sorted((p.score for p in description.probes), reverse=True)


def test_none_is_the_best_alone_where_no_modality_beats_a_constant():
    dataset = made().only("noise")
    description = describe(dataset)
    assert description.best_alone is None
    assert "none; no modality beats a constant" in as_text(description)


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_probe_equals_scikit_learn_on_pooled_features(kind):
    dataset = made(kind)
    signal = dataset.signals["good"]
    pooled = np.zeros((len(dataset), 6))
    for row in range(len(dataset)):
        steps = signal.values[row][signal.mask[row]].double().numpy()
        pooled[row] = steps.mean(axis=0) if len(steps) else np.nan
    train, valid = dataset.splits["train"], dataset.splits["valid"]
    scaler = StandardScaler().fit(pooled[train])  # leaves NaN out of its means
    x = np.nan_to_num(scaler.transform(pooled), nan=0.0)
    y = dataset.target.numpy()
    fitted = probe(dataset, "good")
    assert fitted.penalty in PENALTIES
    alpha = fitted.penalty * len(train)
    model = Ridge(alpha=alpha) if kind == "regression" else LogisticRegression(C=1 / alpha, max_iter=200)
    model.fit(x[train], y[train])
    assert fitted.score == pytest.approx(model.score(x[valid], y[valid]), abs=1e-6)
    assert fitted.train == pytest.approx(model.score(x[train], y[train]), abs=1e-6)
    if kind == "regression":
        assert fitted.corr == pytest.approx(np.corrcoef(model.predict(x[valid]), y[valid])[0, 1])
        assert fitted.mae == pytest.approx(np.abs(model.predict(x[valid]) - y[valid]).mean())


def test_probe_of_tokens_counts_them():
    dataset = made("classification")
    words = torch.where(dataset.target[:, None] == 2, 7, 3).expand(-1, 4)
    signal = dataset.signals["words"]
    known = Dataset.build(
        "words",
        dataset.task,
        {"words": Signal(torch.where(signal.mask, words, 0), signal.mask)},
        dataset.target,
        {"id": dataset.columns["id"]},
        dataset.metadata["split"].tolist(),
    )
    high = dataset.target[dataset.splits["valid"].start : dataset.splits["valid"].stop] == 2
    assert probe(known, "words").score >= float(high.float().mean()) > 0.1
    assert probe(known, "words").score > probe(known, "words").constant


def test_a_very_wide_modality_is_folded_and_still_predicts():
    dataset = made().only("good")
    signal = dataset.signals["good"]
    wide = Signal(signal.values.repeat(1, 1, 500), signal.mask)
    split = dataset.metadata["split"].tolist()
    folded = Dataset.build("wide", dataset.task, {"good": wide}, dataset.target, {"id": dataset.columns["id"]}, split)
    assert probe(folded, "good").score > 0.7


def test_probe_reads_no_test_row():
    dataset = made()
    values = dataset.signals["good"].values.clone()
    test = dataset.splits["test"]
    values[test.start : test.stop] *= 1000
    signals = {**dataset.signals, "good": Signal(values, dataset.signals["good"].mask)}
    changed = Dataset.build(
        "made", dataset.task, signals, dataset.target, dict(dataset.columns), dataset.metadata["split"].tolist()
    ).with_environment("speaker")
    assert probe(changed, "good") == probe(dataset, "good")


def test_shared_groups_are_warned_of():
    description = describe(made(shared=True))
    assert "train shares groups of speaker: 7 of 7 with valid, 7 of 7 with test" in description.warnings[0]
    assert "valid shares groups of speaker: 7 of 7 with test" in description.warnings[1]


def test_a_modality_learned_by_heart_is_warned_of():
    generator = torch.Generator().manual_seed(0)
    n = sum(SIZES.values())
    target = torch.randn(n, generator=generator)
    codes = torch.randn(n, 1, 120, generator=generator)
    codes[: SIZES["train"], 0, 0] += 3 * target[: SIZES["train"]]
    split = [s for s, size in SIZES.items() for _ in range(size)]
    signals = {"codes": Signal(codes, torch.ones(n, 1, dtype=torch.bool))}
    description = describe(Dataset.build("leak", Task.regression(), signals, target, {"id": list(range(n))}, split))
    assert description.best_alone is None
    assert any("may memorize" in warning for warning in description.warnings)


def test_missing_splits_and_classes_are_warned_of():
    description = describe(made(valid=False, environment=()))
    assert description.probes == []
    assert description.groups == {}
    assert any("no split 'valid'" in warning for warning in description.warnings)
    assert "no probe" in as_text(description)
    dataset = made("classification")
    more = Task.classification((*dataset.task.classes, "never"))
    split = dataset.metadata["split"].tolist()
    description = describe(
        Dataset.build("c", more, dataset.signals, dataset.target, {"id": dataset.columns["id"]}, split)
    )
    assert any("no row of train has the class 'never'" in warning for warning in description.warnings)


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_text_and_drawings_show_the_numbers(tmp_path, kind):
    description = describe(made(kind))
    text = as_text(description)
    for word in ("train", "150", "good", "sequence", "4×6", "best alone: good", "groups by speaker"):
        assert word in text
    svg = draw(description, tmp_path / "deep" / "made.svg").read_text()
    assert svg.startswith("<svg")
    assert "One modality alone" in svg
    html = draw(description, tmp_path / "made.html").read_text()
    assert "vega" in html
    assert 'src="http' not in html


def test_drawings_that_cannot_be_written(tmp_path):
    description = describe(made().only("noise"))
    with pytest.raises(DataError, match=r"\.html or \.svg"):
        draw(description, tmp_path / "made.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        draw(description, tmp_path / "file" / "made.svg")


def test_a_constant_target_is_described():
    dataset = made()
    flat = Dataset.build(
        "flat",
        dataset.task,
        dataset.signals,
        torch.full_like(dataset.target, 2.0),
        {"id": dataset.columns["id"]},
        dataset.metadata["split"].tolist(),
    )
    description = describe(flat)
    assert description.best_alone is None
    assert sum(description.target["train"]["counts"]) == SIZES["train"]
    assert all(low < high for low, high in pairwise(description.edges))
