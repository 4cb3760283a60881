"""Methods and encoders of the user's own: from a file, as a class and as an object; and what may never run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import deconfound as dc
from deconfound.errors import RunError, SpecError
from deconfound.evaluation.scenario import read_scenarios
from deconfound.runs.spec import Spec
from deconfound.training.train import train_run
from support.small import FAST, tiny

CODE = """
from pathlib import Path
import torch
import deconfound as dc
Path(__file__).with_name("ran").touch()
class Mine(dc.Method):
    def __init__(self, backbone: dc.Backbone, *, scale: float = 1.0) -> None:
        super().__init__(backbone)
        self.scale = scale
    def forward(self, batch):
        return self.backbone.predict(self.backbone.encode(batch), batch.present)
    def loss(self, batch, progress, generator):
        features = self.backbone.encode(batch)
        output = self.backbone.predict(features, batch.present)
        risks = self.backbone.task.risk(output, batch.target)
        return dc.Loss(self.scale * risks.mean(), {"prediction": risks.mean()}, risks, features, output)
class First(torch.nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, width)
    def forward(self, values, mask):
        return self.layer(values[:, 0]) * mask[:, :1]
class Add(dc.Corruption):
    def __init__(self, *, by: float = 1.0) -> None:
        self.by = by
    def __call__(self, batch, severity, generator):
        return batch
"""
SPEC = """
[method]
python = "own.py:Mine"
scale = 2.0
[backbone]
hidden = 8
encoders = { audio = { python = "own.py:First", width = 3 } }
[train]
epochs = 2
accelerator = "cpu"
threads = 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(CODE, encoding="utf-8")
    (tmp_path / "spec.toml").write_text(SPEC, encoding="utf-8")
    return tmp_path


def trained(folder: Path) -> dc.Run:
    return train_run(Spec.read(folder / "spec.toml"), folder / "run", dataset=tiny(), progress=False)


def test_a_specification_names_classes_in_a_file(folder: Path) -> None:
    run = trained(folder)
    assert run.spec.title == "Mine"
    assert run.spec.method["scale"] == 2.0
    again = dc.Run.open(run.path)
    assert again.predict(tiny()).equals(run.predict(tiny()))
    assert run.embed(tiny()).filter(like="audio").shape == (12, 3)
    assert len(run.evaluate(dataset=tiny())) > 0


def test_opening_a_run_runs_no_code_and_changed_code_is_refused(folder: Path) -> None:
    run = trained(folder)
    (folder / "ran").unlink()
    (folder / "own.py").write_text(CODE + "#", encoding="utf-8")
    opened = dc.Run.open(run.path)
    with pytest.raises(RunError, match="is not the file that"):
        opened.method()
    with pytest.raises(RunError, match="is not the file that"):
        find_again(folder)
    (folder / "own.py").unlink()
    with pytest.raises(SpecError, match="cannot read the code"):
        opened.method()
    assert not (folder / "ran").exists()


def find_again(folder: Path) -> None:
    spec = Spec.of(json.loads((folder / "run" / "spec.json").read_text(encoding="utf-8")), run_code=False)
    from deconfound.runs.begin import find_run

    find_run(folder / "run", spec, tiny())


def test_a_run_brings_no_code_along(folder: Path) -> None:
    run = trained(folder)
    shutil.copy(folder / "own.py", run.path / "own.py")
    for name in ("spec.json", "environment.json"):
        text = (run.path / name).read_text(encoding="utf-8")
        (run.path / name).write_text(text.replace(f"{folder}/own.py", f"{run.path}/own.py"), encoding="utf-8")
    (folder / "ran").unlink()
    with pytest.raises(RunError, match="from your own files only"):
        dc.Run.open(run.path).method()
    assert not (run.path / "ran").exists()


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("scale = 2.0", "scal = 2.0", "Mine: there is no argument 'scal'; did you mean 'scale'"),
        ("own.py:Mine", "own.py:First", "defines no Method 'First'"),
        ("width = 3", "size = 3", "First failed"),
        ('"own.py:First"', '"none.py:First"', "cannot read the code"),
    ],
)
def test_mistakes_leave_no_folder(old: str, new: str, match: str, folder: Path) -> None:
    (folder / "spec.toml").write_text(SPEC.replace(old, new), encoding="utf-8")
    with pytest.raises(SpecError, match=match) as caught:
        trained(folder)
    assert "\n" not in str(caught.value)
    assert not (folder / "run").exists()


def test_scenarios_name_corruptions_in_a_file(folder: Path) -> None:
    file = folder / "scenarios.toml"
    table = (
        '[[scenario]]\nname = "a"\nsplit = "test"\npython = "own.py:Add"\narguments = { by = 2.0 }\nseverities = [1]\n'
    )
    file.write_text(table, encoding="utf-8")
    (scenario,) = read_scenarios(file)
    assert repr(scenario.corruption) == "Add(by=2.0)"
    for changed, match in (("bye = 2.0", "did you mean 'by'"), ('by = "x"', "by = 'x'")):
        file.write_text(table.replace("by = 2.0", changed), encoding="utf-8")
        with pytest.raises(SpecError, match=match):
            read_scenarios(file)
    file.write_text(table + 'corruption = "gaussian"\n', encoding="utf-8")
    with pytest.raises(SpecError, match="exclude each other"):
        read_scenarios(file)


class InMemory(dc.Method):
    """ERM."""

    def __init__(self, backbone: dc.Backbone, *, scale: float = 1.0) -> None:
        super().__init__(backbone)
        self.scale = scale

    def forward(self, batch: dc.Batch) -> Tensor:
        return self.backbone.predict(self.backbone.encode(batch), batch.present)

    def loss(self, batch: dc.Batch, progress: float, generator: torch.Generator) -> dc.Loss:
        features = self.backbone.encode(batch)
        output = self.backbone.predict(features, batch.present)
        risks = self.backbone.task.risk(output, batch.target)
        return dc.Loss(self.scale * risks.mean(), {"prediction": risks.mean()}, risks, features, output)


def fit(method: Any, out: Path, **arguments: Any) -> dc.Run:
    return dc.fit(tiny(), method, out=out, train=FAST, progress=False, **arguments)


def test_a_class_trains_like_the_method_that_it_repeats(tmp_path: Path) -> None:
    run, erm = fit(InMemory, tmp_path / "a"), fit("erm", tmp_path / "b")
    assert run.predict(tiny()).equals(erm.predict(tiny()))
    scaled = fit({"python": InMemory, "scale": 3.0, "penalties": {"vrex": {}}}, tmp_path / "c")
    assert scaled.spec.title == "InMemory + vrex"
    opened = dc.Run.open(scaled.path, method=InMemory)
    assert opened.predict(tiny()).equals(scaled.predict(tiny()))
    with pytest.raises(RunError, match=r"pass it: Run.open\(PATH, method=InMemory\)"):
        dc.Run.open(scaled.path).predict(tiny())


class WithoutConstructor(dc.Method):
    """ERM, with the constructor that it inherits."""

    forward, loss = InMemory.forward, InMemory.loss
    scale = 1.0


def test_a_class_without_a_constructor_has_no_arguments(tmp_path: Path) -> None:
    run, erm = fit(WithoutConstructor, tmp_path / "a"), fit("erm", tmp_path / "b")
    assert run.spec.method == {"name": "WithoutConstructor", "python": f"{__name__}.WithoutConstructor"}
    assert run.predict(tiny()).equals(erm.predict(tiny()))
    with pytest.raises(SpecError, match="there is no argument 'hooks'"):
        fit({"python": WithoutConstructor, "hooks": None}, tmp_path / "c")


def test_a_made_method_is_copied(tmp_path: Path) -> None:
    data = tiny()
    made = InMemory(dc.Backbone.build(data.modalities, data.task, hidden=8))
    before = [parameter.clone() for parameter in made.parameters()]
    run = fit(made, tmp_path / "a")
    assert all(torch.equal(old, new) for old, new in zip(before, made.parameters(), strict=True))
    assert run.embed(data).shape == (12, 16)
    with pytest.raises(SpecError, match="made for other modalities"):
        dc.fit(data.only("text"), made, out=tmp_path / "b", train=FAST)
    with pytest.raises(SpecError, match="is made already"):
        fit({"python": made, "scale": 2.0}, tmp_path / "c")


@pytest.mark.parametrize("method", [dict, 7, {"python": torch.nn.Identity}])
def test_what_is_no_method_is_refused(method: Any, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="a method is a name"):
        fit(method, tmp_path / "a")


def test_fit_finds_a_folder_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def folder(method: Any, **arguments: Any) -> str:
        return str(dc.fit(tiny(), method, train=FAST, progress=False, **arguments).path)

    assert folder("erm") == "runs/tiny-erm-0"
    assert "the run is in runs/tiny-erm-0" in capsys.readouterr().out
    assert folder("erm") == "runs/tiny-erm-0"
    assert folder("erm", backbone={"hidden": 8}) == "runs/tiny-erm-0-2"
    assert [folder(InMemory), folder(InMemory)] == ["runs/tiny-inmemory-0", "runs/tiny-inmemory-0-2"]
