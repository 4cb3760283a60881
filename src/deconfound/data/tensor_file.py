"""Writing a `.safetensors` file piece by piece; the library would hold the tensors in memory while it writes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from deconfound.data.mapped import byte_chunks

_DTYPES = {
    torch.int64: "I64",
    torch.float64: "F64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""Type → its name in the format, in the order in which the library writes them."""


def write_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write what `safetensors.torch.save_file` writes, byte for byte, and wait until it is on the disk.

    Raises:
        OSError: the file cannot be written.
    """
    rank = {dtype: position for position, dtype in enumerate(_DTYPES)}
    ordered = sorted(tensors.items(), key=lambda item: (rank[item[1].dtype], item[0]))
    header, end = {}, 0
    for name, tensor in ordered:
        start, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, tensor in ordered:
            for part in byte_chunks(tensor):
                file.write(part)
        file.flush()
        os.fsync(file.fileno())
