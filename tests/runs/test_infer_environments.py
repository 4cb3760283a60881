"""Environments inferred from a run: the best split by brute force and by EIIL's own ascent, clusters, and what is written."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch import Tensor
from typer.testing import CliRunner

from deconfound.api import fit
from deconfound.cli.data import app
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.store import check_store, open_store, save
from deconfound.data.task import Task
from deconfound.datasets.synthetic import synthetic
from deconfound.errors import DataError, RunError
from deconfound.objectives.irm import risk_slopes
from deconfound.runs.infer_environments import (
    InferenceWarning,
    ReferenceOutputs,
    harshest_split,
    infer_environments,
    majority_clusters,
    observe,
)
from deconfound.runs.run import Run

TASK = Task.classification(("a", "b"))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def seen(rows: int, task: Task, seed: int = 0) -> ReferenceOutputs:
    draw = generator(seed)
    output = torch.randn(rows, task.outputs, generator=draw)
    target = torch.randint(2, (rows,), generator=draw) if task.classes else torch.randn(rows, generator=draw)
    return ReferenceOutputs(output, torch.randn(rows, 2, generator=draw).double(), target, rows)


def centred(rows: ReferenceOutputs, task: Task) -> tuple[Tensor, Tensor]:
    """Outputs and targets, of a regression in standard deviations from the mean of the training targets."""
    output, target = rows.output.double(), rows.target
    if task.classes:
        return output, target
    known = target[: rows.train].double()
    mean, std = known.mean(), known.std(correction=0)
    return (output - mean) / std, (target.double() - mean) / std


@pytest.mark.parametrize("task", [Task.regression(), Task.regression(loss="l1")])
def test_the_split_depends_neither_on_the_origin_nor_on_the_unit_of_the_target(task: Task) -> None:
    rows = seen(40, task)
    other = replace(rows, output=50 + 8 * rows.output, target=50 + 8 * rows.target)
    assert np.array_equal(harshest_split(rows, task), harshest_split(other, task))


def penalty(shares: Tensor, slopes: Tensor) -> Tensor:
    """EIIL's objective: Σ_e (mean_i q_i(e) g_i)² for (N,) shares of the first of two environments."""
    return (shares * slopes).mean().square() + ((1 - shares) * slopes).mean().square()


@pytest.mark.parametrize("task", [Task.regression(), Task.regression(loss="l1"), TASK])
@pytest.mark.parametrize("seed", range(3))
def test_no_split_of_all_has_a_larger_penalty(task: Task, seed: int) -> None:
    rows = seen(9, task, seed)
    slopes = risk_slopes(*centred(rows, task), task.risk)
    found = penalty(torch.from_numpy(harshest_split(rows, task)).double(), slopes)
    every = [penalty(torch.tensor(split).double(), slopes) for split in product((0, 1), repeat=9)]
    torch.testing.assert_close(found, torch.stack(every).max(), rtol=1e-5, atol=1e-9)


def test_the_ascent_of_the_paper_ends_there() -> None:
    """Soft shares under Adam from random logits, as the authors' code does it."""
    rows = seen(40, TASK)
    slopes = risk_slopes(rows.output, rows.target, TASK.risk).detach()
    logits = torch.randn(40, generator=generator(1)).requires_grad_()
    optimiser = torch.optim.Adam([logits], lr=0.1)
    for _ in range(300):
        optimiser.zero_grad()
        (-penalty(logits.sigmoid(), slopes)).backward()
        optimiser.step()
    ascent, closed = (logits > 0).numpy(), harshest_split(rows, TASK)
    sure = slopes.abs().numpy() > 0.05  # the others hardly matter, and are slow
    assert abs(adjusted_rand_score(ascent[sure], closed[sure])) == pytest.approx(1)


def test_of_two_classes_it_splits_right_from_wrong() -> None:
    rows = seen(60, TASK)
    wrong = (rows.output.argmax(1) != rows.target).long().numpy()
    assert np.array_equal(harshest_split(rows, TASK), wrong)


def leaning(rows: int = 160, task: Task = TASK) -> Dataset:
    """A clear shortcut that agrees with the label in environment "a", four rows of five, and not in "b"; a faint cause."""
    draw = generator()
    y = torch.randint(2, (rows,), generator=draw)
    env = torch.rand(rows, generator=draw) < 0.2
    sign = 2.0 * y - 1
    shortcut = torch.where(env, -sign, sign) + 0.1 * torch.randn(rows, generator=draw)
    cause = sign + 3 * torch.randn(rows, generator=draw)
    values = torch.stack([shortcut, cause], 1).unsqueeze(1)
    return Dataset.build(
        "leaning",
        task,
        {"x": Signal(values, torch.ones(rows, 1, dtype=torch.bool))},
        y if task.classes else sign,
        {"id": [f"r{i}" for i in range(rows)], "planted": ["b" if e else "a" for e in env.tolist()]},
        [("train", "train", "train", "valid", "test")[i % 5] for i in range(rows)],
        environment=("planted",),
    )


def train(data: Dataset, out: Path, *, epochs: int = 2, **changes: Any) -> Run:
    settings = {"epochs": epochs, "batch_size": 4, "learning_rate": 0.01, "accelerator": "cpu", "threads": 1}
    return fit(data, "erm", out=out, backbone={"hidden": 8, "dropout": 0.0}, train=settings, progress=False, **changes)


@pytest.fixture(scope="module", params=["classification", "regression"])
def reference(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Run]:
    regression = request.param == "regression"
    data = leaning(task=Task.regression() if regression else TASK)
    return data, train(data, tmp_path_factory.mktemp("runs") / "erm-0", epochs=10 if regression else 2)


@pytest.mark.parametrize("how", ["eiil", "cluster"])
def test_planted_environments_are_recovered_where_the_reference_leans_on_the_shortcut(
    reference: tuple[Dataset, Run], how: Any
) -> None:
    data, run = reference
    with pytest.warns(InferenceWarning, match=r"from \.228 to \.540, and .* compare with a run without"):
        found = infer_environments(run, how=how, dataset=data)
    for split in ("train", "valid"):
        rows = found.metadata[found.metadata["split"] == split]
        assert adjusted_rand_score(rows["planted"], rows["inferred"]) > (0.5 if how == "eiil" else 0.3)  # 0 by chance
    told = found.provenance["inferred"]["inferred"]
    train = found.metadata[found.metadata["split"] == "train"]
    assert told["rows"]["train"] == train["inferred"].value_counts().sort_index().to_dict()
    assert told["agreement"] == pytest.approx(adjusted_rand_score(train["planted"], train["inferred"]))
    assert told["risk"]["i2"] > told["risk"]["i1"]  # the shortcut fails in the smaller one
    assert (found.environment, set(found.with_environment("inferred").metadata["inferred"])) == (
        ("planted",),
        {"i1", "i2", "unknown"},
    )


@pytest.mark.filterwarnings("ignore::deconfound.runs.infer_environments.InferenceWarning")
@pytest.mark.parametrize("how", ["eiil", "cluster"])
def test_test_rows_do_not_enter_and_the_result_repeats(reference: tuple[Dataset, Run], how: Any) -> None:
    data, run = reference
    first, second = (infer_environments(run, how=how, dataset=data) for _ in range(2))
    assert first.checksum == second.checksum
    values = first.columns["inferred"].values
    assert set(values[list(data.rows("test"))]) == {"unknown"}
    assert "unknown" not in values[: data.rows("test").start]
    assert "inferred" not in data.columns
    method, cut = run.method(), data.rows("test").start
    whole, development = observe(method, data, "cpu"), observe(method, data.development(), "cpu")
    torch.testing.assert_close(whole.features[:cut], development.features)


def test_clusters_are_numbered_by_size_within_each_label_and_validation_rows_go_to_the_nearest() -> None:
    place = torch.tensor([0, 0, 0, 9, 0, 9, 9, 9, 9, 0]).double()  # label 0 mostly at 0, label 1 mostly at 9
    target = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 0, 1])
    rows = ReferenceOutputs(torch.zeros(10, 2), torch.stack([place, torch.arange(10) / 100], 1), target, 8)
    assert majority_clusters(rows, TASK, 2, 0).tolist() == [0, 0, 0, 1, 0, 0, 0, 1, 1, 1]
    few = ReferenceOutputs(torch.zeros(3, 2), torch.zeros(3, 2).double(), torch.tensor([0, 0, 1]), 3)
    with pytest.raises(DataError, match="label 0 has 1 different training rows for 2 clusters; use fewer"):
        majority_clusters(few, TASK, 2, 0)


@pytest.mark.filterwarnings("ignore::deconfound.runs.infer_environments.InferenceWarning")
def test_a_left_out_environment_and_absent_modalities_find_their_rows(tmp_path: Path) -> None:
    data = synthetic(rows=60, modalities=2)
    gone = torch.arange(len(data)).unsqueeze(1) % 7 > 0
    data = Dataset.build(
        "holes", data.task, {"m1": data.signals["m1"].keep(gone), "m2": data.signals["m2"]}, data.target, data.columns,
        data.metadata["split"].to_numpy(), environment=("environment",),
    )  # fmt: skip
    store = save(data, tmp_path / "store")
    from deconfound.runs.spec import Spec
    from deconfound.training.train import train_run

    asked = {"epochs": 1, "batch_size": 16, "accelerator": "cpu", "threads": 1}
    chosen = {"store": str(store), "leave_out": "environment=e2"}
    run = train_run(Spec.of({"method": "erm", "data": chosen, "train": asked}), tmp_path / "run", progress=False)
    for how in ("eiil", "cluster"):
        found = infer_environments(run, how=how)  # type: ignore[arg-type]
        assert list(found.splits) == list(data.splits)
        used = run.dataset().development()
        both = dict(zip(found.columns["id"].values, found.columns["inferred"].values, strict=True))
        ours = np.array([both[i] for i in used.columns["id"].values])
        if how == "eiil":
            slopes = risk_slopes(*centred(observe(run.method(), used), used.task), used.task.risk)
            assert np.array_equal(ours == "i2", (slopes > 0).numpy())


def test_what_cannot_be_used_is_refused(reference: tuple[Dataset, Run], tmp_path: Path) -> None:
    data, run = reference
    with pytest.raises(DataError, match="has a column 'planted' already"):
        infer_environments(run, column="planted", dataset=data)
    with pytest.raises(DataError, match="count = 3: 'eiil' makes 2 environments"):
        infer_environments(run, count=3, dataset=data)
    with pytest.raises(DataError, match="count = 1"):
        infer_environments(run, how="cluster", count=1, dataset=data)
    with pytest.raises(RunError, match="is not the data that"):
        infer_environments(run, dataset=leaning(165, data.task))
    with pytest.raises(RunError, match="does not exist"):
        infer_environments(tmp_path / "none", dataset=data)
    unfinished = tmp_path / "half"
    unfinished.mkdir()
    for name in ("spec.json", "environment.json"):
        (unfinished / name).write_bytes((run.path / name).read_bytes())
    with pytest.raises(RunError, match="is not finished"):
        infer_environments(unfinished, dataset=data)


def test_the_command_writes_a_store_to_train_on(tmp_path: Path) -> None:
    store = save(leaning(), tmp_path / "store")
    run = train(leaning(), tmp_path / "run")
    words = ["environments", str(run.path), "--out", str(tmp_path / "guessed"), "--store", str(store)]
    found = CliRunner().invoke(app, words)
    assert found.exit_code == 0, found.exception
    assert "  i2: train " in found.output
    assert "adjusted Rand index with the declared environments: " in found.output
    assert "warning: environments inferred from a model are a guess" in found.output
    guessed = check_store(tmp_path / "guessed")
    assert len(guessed) == len(leaning())
    again = train(guessed.with_environment("inferred"), tmp_path / "again")
    assert again.environments == 2
    told = CliRunner().invoke(
        app, [*words[:3], str(tmp_path / "two"), *words[4:], "--column", "two", "--how", "cluster", "--json"]
    )
    assert json.loads(told.output)["how"] == "cluster"
    assert "two" in open_store(tmp_path / "two").columns
    assert "exists already" in str(CliRunner().invoke(app, words).exception)
