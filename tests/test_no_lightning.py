"""Only training needs the training engine: a run is opened, evaluated and used for predictions without `lightning`."""

import subprocess
import sys

import pytest

from support.small import small_data, small_run

ENGINE = ("lightning", "pytorch_lightning")
SLOW = (*ENGINE, "pandas", "scipy", "sklearn", "altair", "optuna")
"""Packages that take longer to load than a small evaluation."""


def modules_after(script: str, packages: tuple[str, ...]) -> list[str]:
    """Modules of these packages that a fresh process has loaded after the script."""
    report = f"\nimport sys\nprint(*[name for name in sys.modules if name.split('.')[0] in {packages}])"
    process = subprocess.run([sys.executable, "-c", script + report], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout.splitlines()[-1].split()


@pytest.mark.parametrize(
    "module",
    [
        "deconfound.api",
        "deconfound.evaluation.evaluate",
        "deconfound.prediction.predict",
        "deconfound.runs.run",
        "deconfound.runs.build",
        "deconfound.runs.checkpoint",
        "deconfound.runs.infer_environments",
        "deconfound.attribution.contributions",
        "deconfound.attribution.masking",
    ],
)
def test_these_modules_load_without_the_training_engine(module):
    assert modules_after(f"import {module}", ENGINE) == []


def test_a_run_is_evaluated_and_predicts_with_pytorch_alone(tmp_path):
    run = small_run(tmp_path / "run")
    script = (
        "from pathlib import Path\n"
        "from deconfound.prediction.predict import predict_file\n"
        "from deconfound.datasets.synthetic import synthetic\n"
        "from deconfound.data.store import save\n"
        "from deconfound.runs.run import Run\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "run = Run.open(folder / 'run')\n"
        "assert run.evaluate()\n"
        "save(run.dataset(), folder / 'store')\n"
        "method = run.method()\n"
        "predict_file(method, run.modalities, run.task, folder / 'store', folder / 'predictions.csv')\n"
    )
    assert modules_after(script, SLOW) == []
    assert set(run.records()["split"]) > {"valid"}
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 1 + len(small_data())
