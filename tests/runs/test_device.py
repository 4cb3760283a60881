"""A device that this machine lacks is refused in one line, also where all predictions are kept."""

import pytest
import torch

from deconfound.cli.app import main
from deconfound.errors import SpecError
from deconfound.evaluation.scenario import Scenario
from deconfound.nn.inference import usable_device
from deconfound.runs import run_evaluation
from deconfound.runs.run import Run
from deconfound.runs.run_evaluation import KeptPredictionsWarning
from support.small import small_data, small_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return small_run(tmp_path_factory.mktemp("device") / "run")


@pytest.mark.parametrize("name", ["nosuch", "cuda:99", "meta", "", 3.5])
def test_a_device_that_does_not_compute_here_is_refused(name: object) -> None:
    with pytest.raises(SpecError, match=r"is not available here \(.*; use 'cpu'"):
        usable_device(name)
    assert usable_device("cpu") == torch.device("cpu")


def test_every_command_that_computes_refuses_it(run: Run) -> None:
    with pytest.raises(SpecError, match="'nosuch' is not available"):
        run.predict(small_data(), device="nosuch")
    with pytest.raises(SpecError, match="'nosuch' is not available"):
        run.evaluate([Scenario("test-iid", "test-iid")], device="nosuch")
    assert not (run.path / "test_access.jsonl").exists()


def test_the_command_line_refuses_it_where_the_numbers_are_kept(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.evaluate([Scenario("valid", "valid")])
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(run.path), "--split", "valid", "--device", "nosuch"])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "'nosuch' is not available here" in error


def test_kept_numbers_are_said_to_be_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = run.evaluate([Scenario("valid", "valid")])
    monkeypatch.setattr(run_evaluation, "usable_device", torch.device)  # as if there were one
    with pytest.warns(KeptPredictionsWarning, match="are kept, and nothing is computed on cuda; to predict again"):
        assert run.evaluate([Scenario("valid", "valid")], device="cuda") == before
