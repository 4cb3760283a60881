"""What a pickle of joblib has beside plain data: arrays whose bytes follow their description in the file.

joblib writes an array as an instance of its class NumpyArrayWrapper, and the bytes of the array right after the operation
that completes the instance; an array of objects as a pickle of its own. Nothing of joblib is imported or called.
"""

from __future__ import annotations

import math
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from deconfound.datasets.pickled import NOT_RUN, AdmittedName, Unfinished, admit_name, call_admitted, set_state
from deconfound.datasets.unpickle import STOP, Actions, Machine, Unpickled, read_pickle
from deconfound.errors import DataError

MAGIC = b"joblib.numpy_pickle"
"""Occurs near the start of a file with arrays."""
_WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
_KIND = "joblib"


def read_joblib(path: str | Path) -> Unpickled:
    """Read a file that `joblib.dump` wrote without compression.

    Raises:
        DataError: as `read_pickle`.
    """
    return read_pickle(path, _ACTIONS)


def _admit(module: object, name: object) -> AdmittedName:
    return AdmittedName(_KIND) if (module, name) == _WRAPPER else admit_name(module, name)


def _new(machine: Machine) -> None:
    at = machine.at
    kind, arguments = machine.pops(2)
    if kind != AdmittedName(_KIND) or arguments != ():
        machine.at = at
        machine.refuse(_NEWOBJ)
    machine.stack.append(Unfinished(_KIND))


def _fill(machine: Machine, items: list[object]) -> None:
    """Set items of a dict; the class of a wrapped array, which is that of NumPy, is replaced by its name."""
    for place in range(0, len(items) - 1, 2):
        if items[place] == "subclass" and items[place + 1] == AdmittedName("ndarray"):
            items[place + 1] = "ndarray"
    machine.fill(items)


def _build(machine: Machine) -> None:
    state, unfinished = machine.pop(), machine.stack[-1]
    if not isinstance(unfinished, Unfinished) or unfinished.kind != _KIND or unfinished.value is not None:
        machine.stack[-1] = set_state(unfinished, state)
        return
    match state:
        case {
            "subclass": "ndarray",
            "shape": tuple() as shape,
            "order": "C" | "F" as order,
            "dtype": np.dtype() as dtype,
            **rest,
        }:
            if dtype.hasobject:
                machine.outer.append((machine.stack, machine.marks, machine.memo))
                machine.stack, machine.marks, machine.memo = [], [], {}
            else:
                unfinished.value = _array(machine, shape, dtype, order, "numpy_array_alignment_bytes" in rest)
                machine.stack[-1] = unfinished.value
        case _:
            raise DataError(f"it sets a state that joblib does not set; {NOT_RUN}")


def _array(machine: Machine, shape: tuple[Any, ...], dtype: np.dtype, order: str, aligned: bool) -> object:
    if aligned:
        machine.take(machine.number(1))
    if not all(type(length) is int and length >= 0 for length in shape):
        raise DataError(f"it holds an array of an impossible shape with {len(shape)} axes; save it again")
    data = machine.take(math.prod(shape) * dtype.itemsize)
    return call_admitted(AdmittedName("_frombuffer"), (data, dtype, shape, order))


def _stop(machine: Machine) -> None:
    """The end of an array of objects, which is a pickle within the pickle."""
    content = machine.pop()
    if not isinstance(content, list) or machine.stack or machine.marks:
        raise DataError(
            "it holds an object array that is not one axis of text and numbers; pad arrays of unequal "
            "length to one array of numbers"
        )
    machine.stack, machine.marks, machine.memo = machine.outer.pop()
    unfinished = machine.stack[-1]
    assert isinstance(unfinished, Unfinished)
    unfinished.value = machine.stack[-1] = content


_NEWOBJ = 0x81
_ACTIONS: Actions = MappingProxyType(
    {
        ord("c"): lambda m: m.stack.append(_admit(m.line().decode(), m.line().decode())),
        0x93: lambda m: m.stack.append(_admit(*m.pops(2))),
        _NEWOBJ: _new,
        ord("s"): lambda m: _fill(m, m.pops(2)),
        ord("u"): lambda m: _fill(m, m.since_mark()),
        ord("b"): _build,
        STOP: _stop,
    }
)
