"""`Run`: a directory that holds everything about one training run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deconfound.data.dataset import DEVELOPMENT, Dataset
from deconfound.data.task import Modality, Task
from deconfound.datasets.repair import Repair
from deconfound.errors import RunError
from deconfound.io.lock import exclusive_lock
from deconfound.method import Method
from deconfound.nn.own_encoders import OwnEncoder
from deconfound.runs.build import apply_data_spec, build_method, load_data
from deconfound.runs.own_code import NO_CODE, OwnCode, OwnMethod, check_code
from deconfound.runs.spec import Spec
from deconfound.runs.test_access import log_test_access

if TYPE_CHECKING:
    import pandas as pd

    from deconfound.evaluation.records import Record
    from deconfound.evaluation.scenario import Scenario
    from deconfound.prediction.in_memory import MemoryPredictor


@dataclass(frozen=True)
class Run:
    """An opened run directory.

    Args:
        path: the directory.
        spec: the specification, with every default filled in.
        environment: versions, git state and the modalities, splits and task of the data, captured when training began.
        code: classes and modules of the user's own that the specification can only name.
    """

    path: Path
    spec: Spec
    environment: Mapping[str, Any]
    code: OwnCode = field(default=NO_CODE, repr=False)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        method: OwnMethod | None = None,
        encoders: Mapping[str, OwnEncoder] | None = None,
    ) -> Run:
        """Open a run directory, finished or not. No code that it names is run.

        Args:
            method, encoders: those that `fit` was given as Python code.

        Raises:
            RunError: not a run directory, or a damaged one.
        """
        path = Path(path)
        if not (path / "spec.json").is_file():
            state = "is not a run (no spec.json in it)" if path.exists() else "does not exist"
            raise RunError(f"{path} {state}; make one with 'deconfound train SPEC --out RUN'")
        try:
            spec = Spec.of(json.loads((path / "spec.json").read_text(encoding="utf-8")), run_code=False)
            environment = json.loads((path / "environment.json").read_text(encoding="utf-8"))
            _ = environment["data"]["checksum"], environment["data"]["modalities"], environment["data"]["task"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"the run {path} is damaged ({error}); delete it and train again") from error
        return cls(path, spec, environment, OwnCode(method, encoders or {}))

    @property
    def done(self) -> dict[str, Any] | None:
        """Epochs, steps, the best validation risk and its epoch, seconds; None while training is not finished.

        Raises:
            RunError: the file is damaged.
        """
        file = self.path / "done.json"
        try:
            return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
        except (OSError, ValueError) as error:
            raise RunError(f"{file} is damaged ({error}); delete it and run 'deconfound train' again") from error

    @property
    def task(self) -> Task:
        task = self.environment["data"]["task"]
        return Task(task["kind"], tuple(task["classes"]), task["loss"], task["protocol"])

    @property
    def modalities(self) -> dict[str, Modality]:
        """The modalities that the run was trained on."""
        shapes = self.environment["data"]["modalities"]
        return {name: Modality(name, sizes["steps"], tuple(sizes["shape"])) for name, sizes in shapes.items()}

    @property
    def repairs(self) -> dict[str, Repair]:
        """Modality → what became of its values that are not finite; empty where the data say nothing."""
        noted = self.environment["data"].get("repairs", {})
        return {name: Repair.of(repair) for name, repair in noted.items() if repair is not None}

    @property
    def preparations(self) -> dict[str, dict[str, Any]]:
        """Modality → how its raw samples were read; only modalities that came from raw samples."""
        return self.environment["data"].get("preparations", {})

    @property
    def environments(self) -> int:
        """E of the training and validation rows."""
        return self.environment["data"].get("environments", 1)

    def dataset(self, replacement: Dataset | None = None) -> Dataset:
        """The data of the run, all splits.

        Args:
            replacement: the same rows, if the specification does not name them or their store moved.

        Raises:
            RunError: the data are not those of the training.
        """
        dataset = replacement if replacement is not None else load_data(self.spec.data)
        if dataset.checksum != self.environment["data"]["checksum"]:
            raise RunError(f"{dataset.name} is not the data that {self.path} was trained on (the checksums differ)")
        return apply_data_spec(dataset, self.spec.data)

    def validate(self, method: Method, development: Dataset) -> None:
        """Predict and measure the validation rows at the end of training; no test row is touched."""
        from deconfound.evaluation.scenario import Scenario

        self._evaluate(method, development, [Scenario("valid", "valid")])

    def method(self, encoders: Mapping[str, OwnEncoder] | None = None) -> Method:
        """The trained method in eval mode, with the weights of the best validation epoch, or as `train.keep` says.

        Args:
            encoders: as for `fit`; by default those that the run was trained or opened with.

        Raises:
            RunError: training is not finished, the checkpoint is damaged or belongs to other modalities, or Python code of
                the run is not there, has changed or lies in the run itself.
        """
        if self.done is None:
            raise RunError(f"the run {self.path} is not finished; run its 'deconfound train' command again to resume")
        check_code(self.spec, self.environment.get("code", {}), self.path)
        code = self.code if encoders is None else replace(self.code, encoders=encoders)
        return self.load_weights(build_method(self.spec, self.modalities, self.task, code, self.environments))

    def load_weights(self, method: Method) -> Method:
        """The method in eval mode with the weights of the epoch that `train.keep` selects among those trained so far."""
        from deconfound.runs.checkpoint import read_weights

        weights = read_weights(self.path / "checkpoints" / f"{self.spec.train.keep}.safetensors", "method.")
        try:
            method.load_state_dict(weights)
        except RuntimeError as error:
            raise self.misfit() from error
        return method.eval()

    def misfit(self) -> RunError:
        """The error that a checkpoint does not hold the weights of this run's method."""
        return RunError(
            f"the checkpoint of {self.path} does not fit its specification (modalities {', '.join(self.modalities)}, method "
            f"{self.spec.method['name']}); it belongs to another run, or to a version that did not scale the targets of a "
            "regression; delete the run and train again"
        )

    def predict(
        self, data: object, *, ids: object = None, lengths: Mapping[str, object] | None = None, device: str = "cpu"
    ) -> pd.DataFrame:
        """Predict rows in memory; labels are not needed.

        Args:
            data: a dataset; a frame whose columns have the names of training, or those of the modalities; or a dict of
                modalities to arrays. A modality that is left out is absent in all rows.
            ids: column of ids, or N of them; by default the column "id", the index of pandas, or the row number.
            lengths: modality → column or (N,) numbers of steps.
            device: where to compute, such as "cuda".

        Returns:
            N rows in the order given, by id: "prediction", a number in target units or a class; of a classification also
            "p_CLASS" for every class.

        Raises:
            DataError: rows that do not fit what the run was trained on.
            RunError: as `Run.method`.
        """
        return self._predictor(device).predict(data, ids, lengths)

    def predict_proba(
        self, data: object, *, ids: object = None, lengths: Mapping[str, object] | None = None, device: str = "cpu"
    ) -> pd.DataFrame:
        """The probability of every class, one column per class; arguments, rows and errors as for `predict`.

        Raises:
            DataError: the task is a regression.
        """
        return self._predictor(device).probabilities(data, ids, lengths)

    def embed(
        self, data: object, *, ids: object = None, lengths: Mapping[str, object] | None = None, device: str = "cpu"
    ) -> pd.DataFrame:
        """The features that predict, as columns "MODALITY.NUMBER", 0 where a modality is absent; else as `predict`."""
        return self._predictor(device).features(data, ids, lengths)

    def _predictor(self, device: str) -> MemoryPredictor:
        from deconfound.prediction.in_memory import MemoryPredictor

        columns = self.environment["data"].get("columns", {})
        known = (self.modalities, self.task, columns, self.repairs, self.preparations)
        return MemoryPredictor(self.method(), *known, device)

    def evaluate(
        self,
        scenarios: Sequence[Scenario] | None = None,
        *,
        dataset: Dataset | None = None,
        encoders: Mapping[str, OwnEncoder] | None = None,
        device: str = "cpu",
        progress: bool = False,
    ) -> list[Record]:
        """Predict the rows of every scenario, keep the predictions and write `records.jsonl`.

        A scenario is predicted once; a later call computes its metrics from what was kept. Each time test rows are
        predicted, a line in `test_access.jsonl` says when, by which command and for which scenarios.

        Args:
            scenarios: `default_scenarios` of the dataset if left out.
            dataset: the training data, if the specification does not name them or they moved.
            device: where to compute, such as "cuda".
            progress: print on standard error which scenario is being predicted.

        Returns:
            the records of these scenarios.
        """
        from deconfound.evaluation.scenario import default_scenarios

        data = self.dataset(dataset)
        method = self.method(encoders)
        requested = default_scenarios(data) if scenarios is None else scenarios
        with exclusive_lock(self.path):
            self._log_test_access(requested)
            return self._evaluate(method, data, requested, device, progress)

    def _evaluate(
        self,
        method: Method,
        data: Dataset,
        scenarios: Sequence[Scenario],
        device: str = "cpu",
        progress: bool = False,
    ) -> list[Record]:
        from deconfound.evaluation.evaluate import evaluate_method

        return evaluate_method(
            method,
            data,
            scenarios,
            out=self.path,
            run=self.path.name,
            method_name=self.spec.title,
            seed=self.spec.seed,
            device=device,
            progress=progress,
        )

    def _log_test_access(self, scenarios: Sequence[Scenario]) -> None:
        from deconfound.evaluation.evaluate import kept_predictions

        names = [s.name for s in scenarios if s.split not in DEVELOPMENT and kept_predictions(self.path, s) is None]
        log_test_access(self.path, names)

    def records(self) -> pd.DataFrame:
        """Everything in `records.jsonl` as a table.

        Raises:
            RunError: the run was not evaluated yet.
        """
        from deconfound.evaluation.records import frame, read_records

        if not (self.path / "records.jsonl").is_file():
            raise RunError(f"the run {self.path} has no records; run 'deconfound evaluate {self.path}' first")
        return frame(read_records(self.path / "records.jsonl"))
