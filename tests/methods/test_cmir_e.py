"""`cmir-e`: what it refuses, what it finds, and that random environments leave the noise of `cmir`."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from deconfound.cli.app import app
from deconfound.compose import RegularizedMethod
from deconfound.data.dataset import Dataset
from deconfound.datasets.synthetic import synthetic
from deconfound.errors import DataError, SpecError
from deconfound.methods.cmir import CmIR
from deconfound.methods.cmir_e import CmIRE
from deconfound.nn.backbone import Backbone
from deconfound.nn.standardise import training_scale
from deconfound.registry import build
from deconfound.runs.csv_log import read_log
from deconfound.runs.run import Run
from deconfound.runs.spec import Spec
from deconfound.target_scaled import TargetScaled
from deconfound.training.train import train_run
from support.cmir_small import generator
from support.killing import killed_and_resumed

TINY = {"rows": 160, "modalities": 2, "features": 4, "noise": 0.1, "nonlinearity": 0.0}
TRAIN = {"epochs": 2, "batch_size": 40, "accelerator": "cpu", "threads": 1, "keep": "last"}


def spec(method: str | dict[str, Any] = "cmir-e", train: dict[str, Any] | None = None, **hyperparameters: Any) -> Spec:
    data = {"synthetic": {**TINY, "rho": [0.95, -0.95], **hyperparameters}}
    return Spec.of({"method": method, "data": data, "backbone": {"hidden": 4}, "train": {**TRAIN, **(train or {})}})


def built(data: Dataset, method: str, **arguments: Any) -> CmIR | CmIRE:
    torch.manual_seed(0)
    backbone = Backbone.build(data.modalities, data.task, hidden=4, dropout=0.0)
    backbone.set_scale(training_scale(data))
    return build("methods", method, backbone, **arguments)


def inner(method: CmIR | CmIRE) -> CmIR:
    assert isinstance(method, CmIRE)
    assert isinstance(method.inner, RegularizedMethod)
    assert isinstance(method.inner.inner, CmIR)
    return method.inner.inner


@pytest.mark.parametrize("noise_at", ["raw", "features"])
@pytest.mark.parametrize("movement", ["means", "slopes"])
def test_noise_follows_the_shortcut_and_not_the_causes(noise_at: str, movement: str) -> None:
    """Linear mixing: the strongest direction of the first modality is a column of the mixing that carries S."""
    data = synthetic(**TINY, rho=(0.95, -0.95), spurious=1, causal=1).development()
    whole = synthetic(**TINY, rho=(0.95, -0.95), spurious=1, causal=1)
    method = built(data, "cmir-e", noise_at=noise_at, movement=movement, strength=0.0)
    method.hooks.on_epoch_start(0, data, generator())
    assert "at a fixed label" in method.hooks.summary_lines()[0]
    if noise_at == "features":
        return
    raw = inner(method).raw
    assert raw is not None
    rows = data.rows("train")
    latents = torch.cat([whole.latents[f"{kind}/m1"][: rows.stop] for kind in "CS"], 1)
    x = data.batch("train").signals["m1"].values[:, 0]
    columns = torch.linalg.lstsq(latents - latents.mean(0), x - x.mean(0)).solution  # (C and S, D): the mixing
    scale = method.backbone.scales["m1"].std
    found = dict(raw.directed())["m1"].factor[0, :, 0]
    cosine = torch.nn.functional.cosine_similarity(columns / scale, found.unsqueeze(0), dim=1).abs()
    assert cosine[1] > 0.95
    assert cosine[1] > cosine[0]


def test_one_environment_or_too_few_rows_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    given = {"name": "cmir", "source": "given"}
    for method in ("cmir-e", given):
        with pytest.raises(DataError, match="the training rows of synthetic are of one environment") as one:
            train_run(spec(method, rho=[0.9]), tmp_path / "one")
        assert "\n" not in str(one.value)
    many = spec(rho=[0.9] * 50, rows=60)
    with pytest.raises(DataError, match="no label of synthetic has 3 training rows in two environments"):
        train_run(many, tmp_path / "few")
    assert list(tmp_path.iterdir()) == []


def test_the_hidden_layer_has_no_directions() -> None:
    data = synthetic(**TINY).development()
    with pytest.raises(SpecError, match="directions of features and of inputs"):
        built(data, "cmir", source="directed", noise_at="hidden")


@pytest.mark.parametrize("noise_at", ["raw", "features"])
def test_where_nothing_moves_the_noise_is_that_of_virtual_environments(noise_at: str) -> None:
    data = synthetic(**{**TINY, "modalities": 1}).development()
    batch = data.batch("train")
    directed = built(data, "cmir-e", noise_at=noise_at, vrex=0.0)
    chosen = {"dim": 64, "environments": 2, "strength": 0.1, "predict_on": "noisy", "noise_at": noise_at}
    chosen |= {"hidden": 64, "splitter": "small", "predictor": "backbone", "clean_view": False, "noise_scale": "std"}
    chosen |= {"rebuild": "standardised", "decorrelate": "orth", "ramp": 0.2}
    chosen |= {"invariance": 0.67, "decorrelation": 0.08, "reconstruction": 0.3}
    virtual = built(data, "cmir", **chosen)
    inner(directed).load_state_dict(virtual.state_dict(), strict=False)
    assert "the noise is that of plain cmir" in directed.hooks.summary_lines()[0]
    ours, plain = (method.loss(batch, 0.5, generator()) for method in (directed, virtual))
    for name, value in plain.terms.items():
        torch.testing.assert_close(ours.terms[name], value)
    torch.testing.assert_close(ours.total, plain.total)


def test_random_environments_are_told_in_the_notes_and_by_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(
        'method = "cmir-e"\n[data]\nsynthetic = { rows = 160, wrong = 1.0, modalities = 1 }\n'
        "[backbone]\nhidden = 4\n[train]\nepochs = 1\nthreads = 1\n"
    )
    found = CliRunner().invoke(app, ["train", str(tmp_path / "spec.toml"), "--out", str(tmp_path / "run")])
    assert found.exit_code == 0, found.output
    notes = json.loads((tmp_path / "run" / "done.json").read_text())["notes"]
    assert notes[0] == "no direction moves with the environment beyond chance (m1 0): the noise is that of plain cmir"
    assert f"  {notes[0]}" in found.output


@pytest.mark.parametrize("method", ["cmir-e", {"name": "cmir-e", "noise_at": "features"}])
def test_a_run_killed_in_its_second_epoch_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str | dict[str, Any]
) -> None:
    asked = spec(method, {"epochs": 2})
    again, ours = killed_and_resumed(asked, CmIRE, tmp_path, monkeypatch)
    factors = [name for name in ours if name.endswith("factor")]
    assert factors
    assert any(bool(ours[name].any()) for name in factors)
    assert again.done is not None
    assert "at a fixed label" in again.done["notes"][0]


def test_given_environments_train_with_several_in_every_batch(tmp_path: Path) -> None:
    asked = spec({"name": "cmir", "source": "given", "ramp": 0.0}, rho=[0.9, 0.3, -0.6])
    run = train_run(asked, tmp_path / "run", progress=False)
    log = [row for row in read_log(run.path / "log.csv") if row["term"] == "invariance"]
    assert len(log) == 2
    assert all(row["value"] > 0 for row in log)
    method = run.method()
    assert isinstance(method, TargetScaled)
    assert isinstance(method.inner, CmIR)
    assert method.needs_environments


def test_the_learner_gives_given_environments_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    loss = CmIR.loss

    def spy(self: CmIR, batch: Any, *given: Any) -> Any:
        seen.append(len(batch.env.unique()))
        return loss(self, batch, *given)

    monkeypatch.setattr(CmIR, "loss", spy)
    asked = spec({"name": "cmir", "source": "given"}, {"batch_size": 8, "epochs": 1}, rho=[0.9] * 8)
    train_run(asked, tmp_path / "run", progress=False)
    assert set(seen) == {2}  # 8 rows each would not fit; never one alone
    assert Run.open(tmp_path / "run").done is not None
