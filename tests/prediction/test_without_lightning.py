"""Only training loads the training engine: predictions and evaluations start without it."""

import subprocess
import sys
from pathlib import Path

from support.small import small_run


def test_a_run_is_evaluated_and_predicted_without_the_training_engine(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run")
    script = (
        "import sys\n"
        "from deconfound.datasets.synthetic import synthetic\n"
        "from deconfound.prediction.predict import predict_rows\n"
        "from deconfound.runs.run import Run\n"
        f"run = Run.open({str(run.path)!r})\n"
        "data = synthetic(rows=64)\n"
        "assert run.evaluate(dataset=data)\n"
        "batch = data.batch('valid')\n"
        "ids = [str(row) for row in range(len(batch))]\n"
        "predict_rows(run.method(), run.modalities, run.task, batch.signals, ids)\n"
        "assert not any(name.split('.')[0] == 'lightning' for name in sys.modules), 'the training engine was loaded'\n"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
