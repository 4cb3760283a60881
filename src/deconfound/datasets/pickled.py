"""Objects that a pickle may name, each rebuilt by hand: NumPy arrays, scalars, dtypes, and bytes.

A name in a pickle never becomes the Python object of that name. It becomes an inert `AdmittedName`, and `call_admitted`
performs the calls that the picklers of NumPy 1 and 2 write for arrays, in every protocol. All else is refused.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from deconfound.errors import DataError

Buffer = bytes | memoryview

_ARRAYS = ("numpy.core.multiarray", "numpy._core.multiarray")
_BUFFERS = ("numpy.core.numeric", "numpy._core.numeric")
_ADMITTED = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
    ("builtins", "bytes"): "bytes",
    ("__builtin__", "bytes"): "bytes",
    **{(module, name): name for module in _ARRAYS for name in ("_reconstruct", "scalar")},
    **{(module, "_frombuffer"): "_frombuffer" for module in _BUFFERS},
}
NOT_RUN = "nothing in the file was executed: save the data as arrays, numbers, text, lists and dicts"
OTHER_FILES = {
    b"PK\x03\x04": "a zip archive, such as torch.save or numpy.savez writes",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"x\x9c": "compressed with zlib; unpack it first, or write it without compression",
    b"x^": "compressed with zlib; unpack it first, or write it without compression",
    b"\x89HDF": "an HDF5 file",
    b"PAR1": "a Parquet file",
    b"\x93NUMPY": "a single .npy array",
}
"""First bytes → what such a file is."""
_DTYPE = re.compile(r"f[248]|i[1248]|u[1248]|b1|[US][1-9][0-9]{0,8}|O8?")
_MOST_AXES, _LONGEST_AXIS = 8, 2**40
_PLAIN = (str, bytes, int, float, bool, type(None))


@dataclass(frozen=True)
class AdmittedName:
    """A name on the list of admitted names; its only use is in `call_admitted`."""

    name: str


@dataclass(eq=False)
class Unfinished:
    """An array or dtype between its creation and the state that completes it; references to it resolve to `value`."""

    kind: str
    code: str = ""
    value: Any = None


@dataclass(eq=False)
class LongText:
    """UTF-8 text still in the file. Protocols 0 to 2 write arrays as text; it is decoded when used, and not kept.

    The second use keeps the decoded text, so that repeating it costs nothing.
    """

    data: memoryview
    kept: str | None = None

    def text(self) -> str:
        return self.kept if self.kept is not None else str(self.data, "utf-8", "surrogatepass")

    def keep(self) -> str:
        self.kept = self.text()
        return self.kept


def admit_name(module: object, name: object) -> AdmittedName:
    """The inert stand-in of an admitted name.

    Raises:
        DataError: any other name.
    """
    known = _ADMITTED.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
    if known is None:
        raise DataError(
            f"it names {f'{module}.{name}'[:80]!r}; only NumPy arrays and plain Python values are read, and "
            "nothing in the file was executed; save the data as arrays, numbers, text, lists and dicts"
        )
    return AdmittedName(known)


def call_admitted(function: object, arguments: object) -> object:
    """The result of an admitted call, or an `Unfinished` that `set_state` completes.

    Raises:
        DataError: a call or an argument that no pickler of NumPy writes.
    """
    if isinstance(function, AdmittedName) and isinstance(arguments, tuple):
        match function.name, arguments:
            case "bytes", ():
                return b""
            case "encode", (str(text), "latin1" | "latin-1"):
                return text.encode("latin-1")
            case "dtype", (str(code), *rest) if all(type(flag) in (bool, int) for flag in rest):
                return Unfinished("dtype", _known_code(code))
            case "_reconstruct", (AdmittedName("ndarray"), (0,), b"b"):
                return Unfinished("ndarray")
            case "scalar", (np.dtype() as dtype, bytes() | memoryview() as data):
                return _from_bytes(data, dtype, ()).item()
            case "_frombuffer", (
                bytes() | memoryview() as data,
                np.dtype() as dtype,
                tuple() as shape,
                "C" | "F" as order,
            ):
                return _from_bytes(data, dtype, shape, order)
            case "_frombuffer", (
                bytes() | memoryview() as data,
                np.dtype() as dtype,
                tuple() as shape,
                "K",
                tuple() as axes,
            ):
                return _from_bytes(data, dtype, shape).transpose(axes)
    raise DataError(f"it calls something that no pickle of NumPy arrays calls; {NOT_RUN}")


def set_state(unfinished: object, state: object) -> object:
    """The array or dtype that `state` completes.

    Raises:
        DataError: any other object or state.
    """
    if isinstance(unfinished, Unfinished) and unfinished.value is None:
        match unfinished.kind, state:
            case "dtype", (3, "<" | ">" | "|" | "=" as order, None, None, None, int(), int(), int()):
                unfinished.value = np.dtype(order + unfinished.code)
                return unfinished.value
            case "ndarray", (1, tuple() as shape, np.dtype() as dtype, int() as columns_first, data):
                unfinished.value = _array(shape, dtype, "F" if columns_first else "C", data)
                return unfinished.value
    raise DataError(f"it sets a state that no pickle of NumPy arrays sets; {NOT_RUN}")


def resolve(value: object) -> object:
    """The finished array or dtype of an `Unfinished`, the text of a `LongText`, or the value itself."""
    if isinstance(value, LongText):
        return value.text()
    return value.value if isinstance(value, Unfinished) and value.value is not None else value


def plain(values: list[object]) -> list[object]:
    """The values, refused if one is a placeholder, which stands for nothing inside a list, a dict or the whole content.

    Raises:
        DataError: a name or an unfinished array.
    """
    if any(type(value) in (AdmittedName, Unfinished) for value in values):
        raise DataError(f"it holds a callable or an unfinished array among its data; {NOT_RUN}")
    return values


def text_pairs(items: list[object]) -> dict[str, object]:
    """The dict of keys and values in turn.

    Raises:
        DataError: a placeholder, or a key that is not text.
    """
    plain(items)
    keys = [str(key, "utf-8") if isinstance(key, bytes) else key for key in items[::2]]
    if any(type(key) is not str for key in keys):
        raise DataError(
            "it holds a dict whose keys are not text; save such parts as arrays, numbers, text, lists and "
            "dicts with keys of text"
        )
    return dict(zip(keys, items[1::2], strict=True))  # type: ignore[arg-type]


def _known_code(code: str) -> str:
    if not _DTYPE.fullmatch(code):
        raise DataError(f"it holds an array of dtype {code[:40]!r}; numbers, booleans and text are read")
    return code


def _array(shape: tuple[object, ...], dtype: np.dtype, order: Any, data: object) -> np.ndarray | list[object]:
    """An array over `data`; a one-axis object array becomes the list of its plain values."""
    if dtype.kind == "O" and isinstance(data, list):
        if shape != (len(data),) or any(type(value) not in _PLAIN for value in data):
            raise DataError(
                "it holds an object array that is not one axis of text and numbers; pad arrays of unequal "
                "length to one array of numbers"
            )
        return data
    if not isinstance(data, bytes | memoryview):
        raise DataError("it holds an array without its bytes; save it again")
    return _from_bytes(data, dtype, shape, order)


def _from_bytes(data: Buffer, dtype: np.dtype, shape: tuple[Any, ...], order: Any = "C") -> np.ndarray:
    """A read-only view of `data`, whose length must be exactly that of the array."""
    if dtype.kind == "O":
        raise DataError(
            "it holds an object array given as bytes, which would be addresses of memory; save it again as "
            "numbers or text"
        )
    if len(shape) > _MOST_AXES or not all(type(n) is int and 0 <= n <= _LONGEST_AXIS for n in shape):
        raise DataError(f"it holds an array of an impossible shape with {len(shape)} axes; save it again")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise DataError(
            f"it holds an array of shape {shape} and dtype {dtype} with {len(data)} bytes, which do not "
            "fit; save it again"
        )
    if not len(data):
        return np.empty(shape, dtype)
    return np.frombuffer(data, dtype).reshape(shape, order=order)
