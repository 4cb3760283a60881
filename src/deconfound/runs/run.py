"""`Run`: a directory that holds everything about one training run.

The module loads no PyTorch, so that what is not a run, or not finished, is refused at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deconfound.datasets.repair import Repair
from deconfound.errors import RunError
from deconfound.io.lock import exclusive_lock
from deconfound.io.reading import read_json, reading
from deconfound.runs.code import NO_CODE, OwnCode
from deconfound.runs.run_files import RUN, check_run, read_done, read_environment, unfinished
from deconfound.runs.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from deconfound.data.dataset import Dataset
    from deconfound.data.task import Modality, Task
    from deconfound.evaluation.records import Record
    from deconfound.evaluation.scenario import Scenario
    from deconfound.method import Method
    from deconfound.nn.own_encoders import OwnEncoder
    from deconfound.prediction.in_memory import MemoryPredictor
    from deconfound.runs.other_corpus import Corpus
    from deconfound.runs.own_code import OwnMethod


@dataclass(frozen=True)
class Run:
    """An opened run directory; a path wherever one is expected.

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
        check_run(path)
        with reading(path, RUN):
            spec = Spec.of(read_json(path / "spec.json", RUN), run_code=False)
            run = cls(path, spec, read_environment(path), OwnCode(method, encoders or {}))
            _ = run.task, run.repairs
            return run

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def done(self) -> dict[str, Any] | None:
        """Epochs, steps, the best validation risk and its epoch, seconds; None while training is not finished.

        Raises:
            RunError: the file is damaged.
        """
        return read_done(self.path)

    @property
    def task(self) -> Task:
        from deconfound.data.task import Task

        task = self.environment["data"]["task"]
        return Task(task["kind"], tuple(task["classes"]), task["loss"], task["protocol"])

    @property
    def modalities(self) -> dict[str, Modality]:
        """The modalities that the run was trained on."""
        from deconfound.data.task import Modality

        shapes = self.environment["data"]["modalities"]
        return {name: Modality(name, sizes["steps"], tuple(sizes["shape"])) for name, sizes in shapes.items()}

    @property
    def repairs(self) -> dict[str, Repair]:
        """Modality → what became of its values that are not finite; empty where the data say nothing."""
        noted = self.environment["data"].get("repairs", {})
        return {name: Repair.of(repair) for name, repair in noted.items() if repair is not None}

    @property
    def checksum(self) -> str:
        """Of the data that the run was trained on."""
        return self.environment["data"]["checksum"]

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
            StoreError: a byte of their store differs from what was written.
            RunError: the data are not those of the training, or the specification does not name them.
        """
        from deconfound.runs.build import apply_data_spec, load_run_data

        dataset = load_run_data(self.spec.data, self.path, replacement)
        if dataset.checksum != self.checksum:
            raise RunError(
                f"{dataset.name} is not the data that {self.path} was trained on (the checksums differ); give the "
                "training data; an evaluation takes other data as another corpus where dataset= or --store names them"
            )
        return apply_data_spec(dataset, self.spec.data)

    def corpus(self, dataset: Dataset | None = None) -> Corpus:
        """The rows to evaluate the run on: its own data, or another corpus of the same form.

        Args:
            dataset: recognised as the run's own data by its checksum; what the specification names if left out.

        Raises:
            RunError: `dataset` is left out, and the specification names none or one that has changed.
            DataError: the corpus differs from the run's data in a modality, width, class, task or protocol.
        """
        from deconfound.runs.build import load_run_data
        from deconfound.runs.other_corpus import Corpus, other_corpus

        whole = load_run_data(self.spec.data, self.path, dataset)
        if whole.checksum == self.checksum or dataset is None:
            return Corpus(self.dataset(whole), self.checksum, self.path, tuple(whole.signals), own=True)
        how = {"repairs": self.repairs, "preparations": self.preparations}
        return other_corpus(self.path, whole, self.modalities, self.task, self.spec.data, **how)

    def method(self, encoders: Mapping[str, OwnEncoder] | None = None) -> Method:
        """The trained method in eval mode, with the weights of the best validation epoch, or as `train.keep` says.

        Args:
            encoders: as for `fit`; by default those that the run was trained or opened with.

        Raises:
            RunError: training is not finished, the checkpoint is damaged or belongs to other modalities, or Python code of
                the run is not there, has changed or lies in the run itself.
        """
        from deconfound.runs.trained import Form, trained_method

        if self.done is None:
            raise unfinished(self.path)
        code = self.code if encoders is None else replace(self.code, encoders=encoders)
        form = Form(self.modalities, self.task, self.environments)
        return trained_method(self.path, self.spec, self.environment, form, code)

    def load_weights(self, method: Method) -> Method:
        """The method in eval mode with the weights of the epoch that `train.keep` selects among those trained so far."""
        from deconfound.runs.trained import load_weights

        return load_weights(method, self.path, self.spec)

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

        data = self.environment["data"]
        known = (self.modalities, self.task, data.get("columns", {}), self.repairs, self.preparations)
        return MemoryPredictor(self.method(), *known, device, data.get("target"), self.spec.data.scale_by)

    def evaluate(
        self,
        scenarios: Sequence[Scenario] | None = None,
        *,
        dataset: Dataset | None = None,
        splits: Sequence[str] | None = None,
        encoders: Mapping[str, OwnEncoder] | None = None,
        device: str = "cpu",
        progress: bool = False,
    ) -> list[Record]:
        """Predict the rows of every scenario, keep the predictions and write `records.jsonl`.

        A scenario is predicted once; a later call measures what was kept. Each time test rows are predicted, a line in
        `test_access.jsonl` says when, by which command, for which scenarios and of which data. Another corpus has a folder
        of its own, `corpora/NAME-CHECKSUM`, and all of its splits are tests.

        Args:
            scenarios: `default_scenarios` of the dataset if left out; those that need a modality which the run does not
                use are skipped with a `SkippedScenarioWarning`.
            dataset: the training data, if the specification does not name them or they moved; or another corpus with the
                run's modalities, classes, task and protocol.
            splits: those of the default scenarios: by default all but "train", and all of another corpus.
            device: where to compute, such as "cuda".
            progress: print on standard error which scenario is being predicted.

        Returns:
            the records of these scenarios.

        Raises:
            SpecError: `scenarios` and `splits` together, no such device, or as `evaluate_method`.
            RunError, DataError: as `corpus` and `evaluate_method`.
        """
        from deconfound.runs.other_corpus import describe_corpus, warn_of_overlap
        from deconfound.runs.run_evaluation import evaluate_run, log_new_accesses, prepare_device, requested_scenarios

        corpus = self.corpus(dataset)
        method = self.method(encoders)
        requested = requested_scenarios(self.path, self.modalities, corpus, scenarios, splits)
        prepare_device(device, corpus, requested)
        if not corpus.own:
            warn_of_overlap(self.path, self.dataset, corpus)
        with exclusive_lock(self.path):
            if not corpus.own:
                describe_corpus(corpus)
            log_new_accesses(self.path, corpus, requested)
            return evaluate_run(self.path, self.spec, method, corpus, requested, device, progress)

    def records(self) -> pd.DataFrame:
        """Everything in `records.jsonl` as a table.

        Raises:
            RunError: the run was not evaluated yet.
        """
        from deconfound.evaluation.records import frame, read_records

        if not (self.path / "records.jsonl").is_file():
            raise RunError(f"the run {self.path} has no records; run 'deconfound evaluate {self.path}' first")
        return frame(read_records(self.path / "records.jsonl"))
