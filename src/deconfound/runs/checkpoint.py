"""A checkpoint is one safetensors file: tensors as tensors, all else as JSON. No pickle anywhere.

A checkpoint that does not fit the method that it should be loaded into is refused with the first difference.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from deconfound.errors import RunError
from deconfound.io.files import atomic_write
from deconfound.io.limits import ARRAYS
from deconfound.io.reading import FileKind, check_regular, object_of, reading
from deconfound.method import Method
from deconfound.nn.layers import module_key
from deconfound.runs.spec import Spec

_FILE = FileKind("checkpoint", RunError, "delete the run and train again", ARRAYS)


def write_checkpoint(tree: Mapping[str, Any], path: Path) -> Path:
    """Write a tree of dicts, lists, tuples, numbers, strings, None and tensors; whole or not at all.

    Raises:
        RunError: the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_encode(tree, "", tensors))
    content = save(tensors, metadata={"tree": text, "digest": _digest(text, tensors)})
    header, start = _ordered_header(content)
    with atomic_write(path, "wb") as file:
        file.write(header)
        file.write(memoryview(content)[start:])
    return path


def _ordered_header(content: bytes) -> tuple[bytes, int]:
    """The header of a safetensors file with its metadata in order, and where the tensors begin in the content.

    The library writes metadata in an order that changes by chance; equal trees make equal files.
    """
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text, start


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The tree that `write_checkpoint` wrote, tensors on the CPU.

    Raises:
        RunError: the file does not exist, is damaged or is not a checkpoint.
    """
    with reading(path, _FILE):
        if not path.exists():
            raise RunError(f"there is no checkpoint {path}; train the run first")
        check_regular(path, _FILE)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (not a mapping)
        text, digest = metadata["tree"], metadata["digest"]
        if _digest(text, tensors) != digest:
            raise ValueError("its checksum differs")
        return object_of(_decode(json.loads(text), tensors))


def read_weights(path: Path, prefix: str) -> dict[str, Tensor]:
    """The model weights of a checkpoint whose names begin with `prefix`, without it."""
    tree = read_checkpoint(path)
    with reading(path, _FILE):
        return stored_weights(tree, prefix)


def stored_weights(checkpoint: Mapping[str, Any], prefix: str) -> dict[str, Tensor]:
    """The model weights of a tree that `read_checkpoint` read whose names begin with `prefix`, without it."""
    weights = object_of(checkpoint["state_dict"])
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().reshape(-1).contiguous().view(torch.uint8).cpu().numpy().data)
    return digest.hexdigest()


def _encode(value: Any, path_in_tree: str, tensors: dict[str, Tensor]) -> Any:
    """JSON for a tree: containers as [kind, items] so that tuples and keys that are not text survive."""
    if isinstance(value, Tensor):
        tensors[path_in_tree] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return ["tensor", path_in_tree]
    if isinstance(value, Mapping):
        return ["dict", [[_key(k), _encode(v, f"{path_in_tree}/{k}", tensors)] for k, v in value.items()]]
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return [kind, [_encode(item, f"{path_in_tree}/{i}", tensors) for i, item in enumerate(value)]]
    if value is None or isinstance(value, bool | int | float | str):
        return ["plain", value]
    raise RunError(
        f"a checkpoint cannot hold {path_in_tree[1:]} of type {type(value).__name__}; use tensors and plain values"
    )


def _key(key: Any) -> Any:
    assert isinstance(key, str | int), f"checkpoint keys are text or numbers, not {key!r}"
    return key


def _decode(node: Any, tensors: Mapping[str, Tensor]) -> Any:
    kind, value = node
    if kind == "tensor":
        return tensors[value]
    if kind == "dict":
        return {key: _decode(item, tensors) for key, item in value}
    if kind in ("list", "tuple"):
        items = [_decode(item, tensors) for item in value]
        return items if kind == "list" else tuple(items)
    return value


def first_difference(stored: Mapping[str, Tensor], built: Mapping[str, Tensor]) -> str | None:
    """The first parameter or buffer that differs, as "backbone.encoders.text.layer.weight is 8×4 there and 16×4 here".

    Args:
        stored: name → tensor of the checkpoint.
        built: the same of the method.

    Returns:
        None where names and shapes agree.
    """
    for name in [*built, *(name for name in stored if name not in built)]:
        if name not in stored:
            return f"{name} is not in the checkpoint"
        if name not in built:
            return f"{name} is in the checkpoint only"
        if stored[name].shape != built[name].shape:
            return f"{name} is {_size(stored[name])} in the checkpoint and {_size(built[name])} here"
    return None


def _size(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "one number"


def put_weights(method: Method, weights: Mapping[str, Tensor], run: Path, spec: Spec) -> None:
    """Load weights of a checkpoint of a run into its method.

    Args:
        weights: name → tensor.
        run: the run directory.
        spec: its specification.

    Raises:
        RunError: a name or shape differs; the error names it and, where it is in an encoder of the user, that encoder.
    """
    try:
        method.load_state_dict(weights)
    except RuntimeError as error:
        raise _misfit(run, spec, first_difference(weights, method.state_dict()) or str(error)) from error


def _misfit(run: Path, spec: Spec, difference: str) -> RunError:
    own = [name for name, choice in spec.backbone.encoders.items() if isinstance(choice, dict) and "python" in choice]
    owner = next((name for name in own if f"encoders.{module_key(name)}." in difference), None)
    if owner is not None:
        return RunError(
            f"the encoder of {owner!r} is not the one that {run} was trained with ({difference}); pass the module, "
            "or its class, with the sizes it had then"
        )
    return RunError(
        f"the checkpoint of {run} does not fit its specification (method "
        f"{spec.method['name']}; {difference}); it belongs to another run, or to a version that did not scale the "
        "targets of a regression; delete the run and train again"
    )
