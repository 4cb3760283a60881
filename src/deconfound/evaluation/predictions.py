"""`Predictions`: the outputs of a method for every row of a scenario, kept so that any metric can be recomputed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from deconfound.errors import RunError
from deconfound.io.archives import open_archive
from deconfound.io.files import atomic_write
from deconfound.io.limits import ARRAYS
from deconfound.io.reading import FileKind, check_regular, reading


@dataclass(frozen=True, eq=False)
class Predictions:
    """V severities × R repeats × N rows of outputs.

    Args:
        scenario: name of the scenario.
        definition: the whole scenario as text; equal texts mean equal scenarios.
        split: split that the rows are from.
        clean: True if the rows were not corrupted and kept all their modalities.
        seed: seed of the corruption.
        severities: (V,) float64.
        rows: (N,) int64 row numbers in the dataset.
        ids: (N,) text.
        target: (N,) float32 labels or int64 class numbers.
        output: (V, R, N, outputs) float32 predictions or logits, all finite.
        variants: name → other predictions of the same model for the same rows, each like `output`.

    Raises:
        RunError: shapes that do not fit together.
    """

    scenario: str
    definition: str
    split: str
    clean: bool
    seed: int
    severities: np.ndarray
    rows: np.ndarray
    ids: np.ndarray
    target: np.ndarray
    output: np.ndarray
    variants: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count, shape = len(self.rows), self.output.shape
        if len(shape) != 4 or (shape[0], shape[2]) != (len(self.severities), count):
            raise RunError(
                f"outputs (V, R, N, outputs) do not fit {len(self.severities)} severities and {count} rows; "
                "evaluate again"
            )
        if not len(self.ids) == len(self.target) == count:
            raise RunError(f"{count} rows have {len(self.ids)} ids and {len(self.target)} labels; evaluate again")
        wrong = [name for name, output in self.variants.items() if output.shape != shape]
        if wrong:
            raise RunError(
                f"the outputs of the variant {wrong[0]!r} are {self.variants[wrong[0]].shape}, not {shape}; "
                "evaluate again"
            )

    def of(self, variant: str) -> Predictions:
        """The predictions of a variant for the same rows; "" for the method's own.

        Raises:
            RunError: there is no such variant.
        """
        if not variant:
            return self
        if variant not in self.variants:
            known = ", ".join(self.variants) or "none"
            raise RunError(
                f"scenario {self.scenario!r} keeps no predictions of the variant {variant!r}; known: {known}"
            )
        return replace(self, output=self.variants[variant], variants={})


_FILE = FileKind("predictions", RunError, "delete the file and evaluate again", ARRAYS)
_TEXT = ("scenario", "definition", "split")
_ARRAYS = tuple(f.name for f in fields(Predictions) if f.name != "variants")
_VARIANT = "variant "


def save_predictions(path: str | Path, predictions: Predictions) -> None:
    """Write one `.npz` of plain arrays, whole or not at all.

    Raises:
        RunError: the file cannot be written.
    """
    arrays = {name: np.asarray(getattr(predictions, name)) for name in _ARRAYS}
    arrays |= {f"{_VARIANT}{name}": output for name, output in predictions.variants.items()}
    with atomic_write(path, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays | {"ids": predictions.ids.astype(str)})


def _check_types(arrays: Mapping[str, np.ndarray], variants: Mapping[str, np.ndarray]) -> None:
    kinds = {"severities": "f", "rows": "i", "ids": "U", "target": "fi", "output": "f", "clean": "b", "seed": "iu"}
    kinds |= dict.fromkeys(_TEXT, "U")
    for name, array in [*arrays.items(), *(("output", output) for output in variants.values())]:
        if array.dtype.kind not in kinds[name]:
            raise ValueError(f"{name} holds {array.dtype}")
    for name in ("severities", "output"):
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} is not finite")


def load_predictions(path: str | Path) -> Predictions:
    """Read what `save_predictions` wrote; executes nothing.

    Raises:
        RunError: the file is missing or damaged.
    """
    with reading(path, _FILE):
        if not Path(path).exists():
            raise RunError(f"{path} does not exist; evaluate the run first")
        check_regular(path, _FILE)
        with open_archive(path, _FILE) as file:
            arrays: dict[str, Any] = {name: file[name] for name in _ARRAYS}
            variants = {n.removeprefix(_VARIANT): file[n] for n in file.files if n.startswith(_VARIANT)}
        _check_types(arrays, variants)
        plain = {name: str(arrays[name][()]) for name in _TEXT}
        arrays |= plain | {"clean": bool(arrays["clean"]), "seed": int(arrays["seed"])}
        return Predictions(**arrays, variants=variants)
