"""What a store must hold: the schema and the tensors, checked against each other without reading a signal's values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deconfound.data.splits import check_split_order
from deconfound.data.task import Task
from deconfound.data.validation import check_class_numbers, check_label_matrix
from deconfound.errors import DataError

_TEXT_DTYPES = {"codes": torch.int32, "bytes": torch.uint8, "ends": torch.int64}
_LISTS = ("modalities", "columns", "latents", "environment", "group")


def check_schema(schema: Mapping[str, Any]) -> None:
    """Check the types of all entries of a store's schema, and that they agree.

    Raises:
        DataError: an entry is missing or of another type, a name occurs twice or does not exist, or the splits do not follow
            each other in the order "train", "valid", tests.
    """
    for key, kind in {
        "name": str,
        "task": dict,
        "splits": dict,
        "provenance": dict,
        "bytes": int,
        "checksum": str,
    }.items():
        if type(schema.get(key)) is not kind:
            raise DataError(f"{key!r} is {schema.get(key)!r:.80} and should be of type {kind.__name__}")
    for key in _LISTS:
        _check_names(key, schema.get(key))
    _check_names("the classes", schema["task"].get("classes"))
    if type(schema["task"].get("protocol")) is not str:
        raise DataError(f"the protocol is {schema['task'].get('protocol')!r:.80} and should be text")
    if not schema["modalities"] or "id" not in schema["columns"]:
        raise DataError("a dataset needs at least one modality and a metadata column 'id'")
    unknown = [name for key in ("environment", "group") for name in schema[key] if name not in schema["columns"]]
    if unknown:
        raise DataError(f"there is no metadata column {unknown[0]!r}")
    for name, edges in schema["splits"].items():
        if type(edges) is not list or [type(edge) for edge in edges] != [int, int]:
            raise DataError(f"the split {name!r} is {edges!r:.80} and should be [first row, row after the last]")


def check_tensors(schema: Mapping[str, Any], task: Task, tensors: Mapping[str, Tensor]) -> None:
    """Check names, types and shapes of all tensors, and the values of those that number something.

    Values of signals and latents are not read.

    Args:
        schema: as `check_schema` accepts.
        tensors: name, as in `schema.named_tensors`, → tensor.

    Raises:
        DataError: a tensor is missing, superfluous, or of another type or shape; a class number or code is out of range; a
            text is not UTF-8; an id occurs twice; or the splits do not hold all rows.
    """
    _check_tensor_names(schema, tensors)
    target = tensors["target"]
    if target.ndim != (2 if task.kind == "multilabel" else 1) or len(target) == 0:
        raise DataError(f"the target has the shape {tuple(target.shape)} and should be one value per row")
    check_split_order({name: range(*edges) for name, edges in schema["splits"].items()}, len(target))
    _check_target(task, target)
    for name in schema["modalities"]:
        _check_signal(name, tensors[f"signal/{name}/values"], tensors[f"signal/{name}/mask"], len(target))
    for name in schema["columns"]:
        _check_column(name, _parts(name, tensors), len(target))
    for name in schema["latents"]:
        latent = tensors[f"latent/{name}"]
        if latent.ndim != 2 or len(latent) != len(target) or not latent.is_floating_point():
            raise DataError(f"the latent {name!r} is {_kind(latent)} and should be floats ({len(target)}, D)")
    ids = _parts("id", tensors)
    _check_unique(ids["codes"] if "codes" in ids else ids["values"])


def _check_target(task: Task, target: Tensor) -> None:
    if task.kind == "multilabel":
        check_label_matrix("the target", target, task.outputs)
    elif task.kind == "classification":
        check_class_numbers("the target", target, task.outputs)
    elif not target.is_floating_point():
        raise DataError(f"the targets of a regression are of type {_type(target)} and should be floats")
    elif not bool(torch.isfinite(target).all()):
        row = int(torch.nonzero(~torch.isfinite(target))[0])
        raise DataError(f"the target of row {row + 1} is {float(target[row])}; targets must be finite")


def _check_names(what: str, names: object) -> None:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise DataError(f"{what} is {names!r:.80} and should be a list of distinct names")


def _check_tensor_names(schema: Mapping[str, Any], tensors: Collection[str]) -> None:
    expected = {"target", *(f"latent/{name}" for name in schema["latents"])}
    expected |= {f"signal/{name}/{part}" for name in schema["modalities"] for part in ("values", "mask")}
    for name in schema["columns"]:
        parts = ("values",) if f"column/{name}/values" in tensors else tuple(_TEXT_DTYPES)
        expected |= {f"column/{name}/{part}" for part in parts}
    missing, superfluous = sorted(expected - set(tensors)), sorted(set(tensors) - expected)
    if missing or superfluous:
        problem = f"there is no tensor {missing[0]!r}" if missing else f"nothing names the tensor {superfluous[0]!r}"
        raise DataError(problem)


def _parts(column: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    names = {part: f"column/{column}/{part}" for part in ("values", *_TEXT_DTYPES)}
    return {part: tensors[name] for part, name in names.items() if name in tensors}


def _check_signal(name: str, values: Tensor, mask: Tensor, rows: int) -> None:
    if mask.dtype != torch.bool or mask.ndim != 2 or len(mask) != rows:
        raise DataError(f"the mask of {name!r} is {_kind(mask)} and should be booleans ({rows}, T)")
    tokens = values.ndim == 2 and values.dtype in (torch.int32, torch.int64)
    floats = values.ndim > 2 and values.is_floating_point()
    if values.shape[:2] != mask.shape or not values.numel() or not (tokens or floats):
        steps = mask.shape[1]
        raise DataError(
            f"the values of {name!r} are {_kind(values)} and should be floats ({rows}, {steps}, features) or integer tokens "
            f"({rows}, {steps})"
        )


def _check_column(name: str, parts: Mapping[str, Tensor], rows: int) -> None:
    if "values" in parts:
        values = parts["values"]
        if values.dtype not in (torch.int64, torch.float64) or tuple(values.shape) != (rows,):
            raise DataError(f"the column {name!r} is {_kind(values)} and should be int64 or float64 ({rows},)")
        return
    for part, dtype in _TEXT_DTYPES.items():
        if parts[part].dtype != dtype or parts[part].ndim != 1:
            raise DataError(
                f"{part!r} of the column {name!r} is {_kind(parts[part])} and should be one axis of {dtype}"
            )
    codes, ends = parts["codes"], parts["ends"].numpy()
    if len(codes) != rows or int(codes.min()) < 0 or int(codes.max()) >= len(ends):
        raise DataError(f"the column {name!r} should hold {rows} codes in [0, {len(ends)})")
    joined = parts["bytes"].numpy()
    edges = np.concatenate([[0], ends])
    if (edges[1:] < edges[:-1]).any() or edges[-1] != len(joined):
        raise DataError(f"the texts of the column {name!r} do not end where the next ones begin")
    inside = edges[edges < len(joined)]
    try:
        joined.tobytes().decode()
    except UnicodeDecodeError as error:
        raise DataError(f"the texts of the column {name!r} are not UTF-8") from error
    if ((joined[inside] & 0xC0) == 0x80).any():  # a text that begins inside a character
        raise DataError(f"the texts of the column {name!r} are not UTF-8")


def _check_unique(ids: Tensor) -> None:
    ordered = ids.sort().values
    if bool((ordered[1:] == ordered[:-1]).any()):
        raise DataError("an id occurs twice; ids must be unique")


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _kind(tensor: Tensor) -> str:
    return f"{_type(tensor)} {tuple(tensor.shape)}"
