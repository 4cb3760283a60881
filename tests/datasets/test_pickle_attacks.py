"""Malicious and damaged pickles: each is refused in one line and nothing in it runs, by every reader of pickles."""

import builtins
import io
import os
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch

from deconfound.datasets.unpickle import read_pickle
from support.data_making import PICKLE_READERS, refuse_pickle, same, write_pickle

RAN: list[object] = []


@pytest.fixture(params=[None, *PICKLE_READERS], ids=str)
def reader(request):
    """A reader of pickles; None for the pickle alone."""
    return request.param


def mark(*arguments):
    RAN.append(arguments)
    return {}


class Calls:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


class SetsState:
    def __reduce__(self):
        return (np.ndarray, (0,), {"a": Calls(os.system, "touch ran")})


class Plain:
    pass


def objects_with(value):
    array = np.empty(1, dtype=object)
    array[0] = value
    return array


PAYLOADS = {
    "os.system": Calls(os.system, "touch ran"),
    "subprocess": Calls(subprocess.Popen, ("touch", "ran")),
    "eval": Calls(builtins.eval, "open('ran', 'w')"),
    "exec": Calls(builtins.exec, "open('ran', 'w')"),
    "getattr chain": Calls(getattr, Calls(__import__, "os"), "system"),
    "import": Calls(__import__, "antigravity"),
    "open": Calls(open, "ran", "w"),
    "own function": Calls(mark, 1),
    "nested pickle": Calls(pickle.loads, pickle.dumps(Calls(os.system, "touch ran"))),
    "numpy load": Calls(np.load, "x.npy", None, True),
    "numpy frombuffer by another door": Calls(np.frombuffer, b"1234"),
    "a class in a list": [np.ndarray],
    "a class in a dict": {"a": np.dtype},
    "a class in a tuple in a list": Calls(np.dtype, ("f4", np.ndarray)),
    "state of an array": SetsState(),
    "objects holding a callable": objects_with(os.system),
    "objects holding a list": objects_with([1]),
    "objects holding an array": objects_with(np.zeros(2)),
    "an instance": Plain(),
    "a set": {1, 2},
    "a frozenset": frozenset({1}),
    "a bytearray": bytearray(b"x"),
    "a complex number": 1j,
    "a range": range(3),
    "a record array": np.zeros(2, dtype=[("a", "f4")]),
    "dates": np.zeros(2, dtype="datetime64[s]"),
    "a masked array": np.ma.array([1.0], mask=[True]),
    "a tensor": torch.zeros(3),
    "a parameter": torch.nn.Parameter(torch.zeros(3)),
    "keys that are numbers": {"a": {1: 2}},
}


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("payload", PAYLOADS)
def test_refuses_payloads_and_runs_nothing(tmp_path, monkeypatch, payload, protocol, reader):
    try:
        data = pickle.dumps({"train": PAYLOADS[payload]}, protocol=protocol)
    except TypeError:
        pytest.skip("this protocol cannot write it")
    if protocol == 5 and payload == "a bytearray":
        same(read_pickle(write_pickle(tmp_path, data)).content, {"train": b"x"})
        pytest.skip("plain data in protocol 5")
    monkeypatch.chdir(tmp_path)
    modules = set(sys.modules)
    refuse_pickle(tmp_path, data, "is refused", reader)
    assert not (tmp_path / "ran").exists()
    assert RAN == []
    assert "antigravity" not in set(sys.modules) - modules


def test_refuses_a_torch_file(tmp_path, reader):
    file = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, file)
    refuse_pickle(tmp_path, file.getvalue(), "zip archive", reader)


GLOBAL_SYSTEM = b"cposix\nsystem\n"

HAND_MADE = {
    "reduce": (GLOBAL_SYSTEM + b"(S'touch ran'\ntR.", "names 'posix.system'"),
    "inst": (b"(S'touch ran'\niposix\nsystem\n.", "STRING|INST"),
    "obj": (b"\x80\x02(" + GLOBAL_SYSTEM + b"X\x01\x00\x00\x00ao.", "posix.system"),
    "stack global": (b"\x80\x04\x8c\x05posix\x8c\x06system\x93.", "posix.system"),
    "stack global of no text": (b"\x80\x04K\x01K\x02\x93.", "names '1.2'"),
    "newobj": (b"\x80\x02cnumpy\nndarray\n)\x81.", "NEWOBJ"),
    "persistent id": (b"\x80\x02K\x01Q.", "BINPERSID"),
    "extension": (b"\x80\x02\x82\x01.", "EXT1"),
    "out of band buffer": (b"\x80\x05\x97.", "NEXT_BUFFER"),
    "build on a dict": (b"\x80\x02}}b.", "sets a state"),
    "call of a text": (b"\x80\x02X\x01\x00\x00\x00a)R.", "calls something"),
    "dtype of pointers": (b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00O8\x85R.", "unfinished"),
    "strange dtype": (b"\x80\x02cnumpy\ndtype\nX\x05\x00\x00\x00f4,f4\x85R.", "dtype 'f4,f4'"),
    "an unfinished array": (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R.",
        "unfinished",
    ),
    "a name alone": (b"\x80\x02cnumpy\nndarray\n.", "callable"),
    "two pickles": (b"\x80\x02}.\x80\x02}.", "continues after"),
    "left on the stack": (b"\x80\x02}}.", "continues after"),
    "later protocol": (b"\x80\x06}.", "later pickle protocol"),
    "long integer": (b"\x80\x02\x8a\xff" + b"\x01" * 255 + b".", "integer of 255 bytes"),
    "long decimal": (b"I" + b"9" * 100_000 + b"\n.", "integer of 100000 digits"),
    "10 GB of bytes": (b"\x80\x04\x8e" + struct.pack("<Q", 10 * 2**30) + b"x.", "10737418240 bytes are announced"),
    "10 GB of text": (b"\x80\x04\x8d" + struct.pack("<Q", 10 * 2**30) + b"x.", "ends early"),
    "10 GB of a byte array": (b"\x80\x05\x96" + struct.pack("<Q", 10 * 2**30) + b"x.", "ends early"),
    "10 GB of a frame": (b"\x80\x04\x95" + struct.pack("<Q", 10 * 2**30) + b"}.", "ends early"),
    "2 GB of an integer": (b"\x80\x02\x8b\xff\xff\xff\x7f.", "LONG4"),
    "negative length": (b"\x80\x02T\xff\xff\xff\xff.", "ends early"),
    "no line end": (b"\x80\x02cposix", "ends early"),
}


@pytest.mark.parametrize("case", HAND_MADE)
def test_refuses_hand_made_streams(tmp_path, monkeypatch, case, reader):
    data, match = HAND_MADE[case]
    monkeypatch.chdir(tmp_path)
    refuse_pickle(tmp_path, data, match, reader)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02h\x07.",
        b"\x80\x02j\xff\xff\xff\xff.",
        b"\x80\x020.",
        b"\x80\x02.",
        b"\x80\x02t.",
        b"\x80\x02}a.",
        b"\x80\x02](K\x01u.",
        b"\x80\x02X\x01\x00\x00\x00\xff.",
        b"Fx\n.",
        b"Ix\n.",
        b"\x80\x02}(K\x01u.",
        b"\x80\x02N\x94\x93.",
        b"\x80\x02](0.",
    ],
)
def test_refuses_damage(tmp_path, data, reader):
    refuse_pickle(tmp_path, data, "damaged|not text", reader)


def array_stream(shape: bytes, dtype: bytes, data: bytes) -> bytes:
    state = b"(K\x01" + shape + b"cnumpy\ndtype\nX" + struct.pack("<I", len(dtype)) + dtype + b"\x85R"
    state += b"(K\x03X\x01\x00\x00\x00|NNNK\x00K\x00K\x00tb\x89" + data + b"t"
    return b"\x80\x03cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R" + state + b"b."


@pytest.mark.parametrize(
    ("shape", "dtype", "data", "match"),
    [
        (b"K\x02\x85", b"u1", b"C\x03abc", "do not fit"),
        (b"\x8a\x06\x00\x00\x00\x00\x00\x01\x85", b"u1", b"C\x01a", "do not fit"),
        (b"J\xff\xff\xff\xff\x85", b"u1", b"C\x01a", "impossible shape"),
        (b"(" + b"K\x01" * 70 + b"t", b"u1", b"C\x01a", "impossible shape"),
        (b"\x8a\x09" + b"\x00" * 8 + b"\x01K\x00\x86", b"u1", b"C\x00", "impossible shape"),
        (b"G" + struct.pack(">d", 1.0) + b"\x85", b"u1", b"C\x01a", "impossible shape"),
        (b"K\x01\x85", b"O8", b"C\x08abcdefgh", "addresses of memory"),
        (b"K\x01\x85", b"u1", b"N", "without its bytes"),
        (b"K\x02\x85", b"O8", b"]", "object array"),
        (b"K\x01\x85", b"V9", b"C\x09abcdefghi", "dtype 'V9'"),
        (b"K\x00\x85", b"U0", b"C\x00", "dtype 'U0'"),
    ],
)
def test_refuses_arrays_that_lie(tmp_path, shape, dtype, data, match, reader):
    refuse_pickle(tmp_path, array_stream(shape, dtype, data), match, reader)


def test_the_array_stream_itself_is_sound(tmp_path):
    same(
        read_pickle(write_pickle(tmp_path, array_stream(b"K\x03\x85", b"u1", b"C\x03abc"))).content,
        np.frombuffer(b"abc", "u1"),
    )
