"""The reader of pickles: reads what picklers write, runs nothing, and costs no more than the file is worth."""

import builtins
import io
import os
import pickle
import pickletools
import struct
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deconfound.datasets import unpickle
from deconfound.datasets.unpickle import read_pickle
from deconfound.errors import DataError


def write(tmp_path, data, protocol=4):
    path = tmp_path / "made.pkl"
    path.write_bytes(data if isinstance(data, bytes) else pickle.dumps(data, protocol=protocol))
    return path


def refuse(tmp_path, data, match):
    with pytest.raises(DataError, match=match) as caught:
        read_pickle(write(tmp_path, data))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def same(read, written):
    if isinstance(written, np.ndarray):
        assert np.array_equal(np.asarray(read, dtype=written.dtype), written)
        assert written.dtype.kind == "O" or read.dtype == written.dtype
    elif isinstance(written, dict):
        assert list(read) == list(written)
        for key in written:
            same(read[key], written[key])
    else:
        assert read == written
        assert type(read) is type(written) or isinstance(written, np.generic)


CONTENT = {
    "plain": [1, 0, 255, 256, 65536, -1, 2**40, -(2**70), 1.5, float("inf"), "é\n\\u0041", "", None, True, False],
    "bytes": [b"", b"\x00\xff", b"x" * 200],
    "nested": ("a", (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], {}, {"k": [{"j": ()}]}),
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "columns first": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "strided": np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1)[::2],
    "big endian": np.arange(3, dtype=">i4"),
    "bool": np.array([True, False]),
    "half": np.array([0.5, -2], dtype=np.float16),
    "texts": np.array(["ab", "cdé"]),
    "bytes array": np.array([b"ab", b"c"]),
    "objects": np.array(["a", None, 3, 2.5], dtype=object),
    "scalar": np.float32(3),
    "text scalar": np.str_("hé"),
    "no axis": np.array(3.0),
    "no rows": np.zeros((0, 3)),
}


@pytest.mark.parametrize("protocol", range(6))
def test_reads_what_every_protocol_writes(tmp_path, protocol):
    read = read_pickle(write(tmp_path, CONTENT, protocol)).content
    assert isinstance(read, dict)
    same(read, CONTENT)


def test_reads_names_of_numpy_1_too(tmp_path):
    data = pickle.dumps({"a": np.arange(3.0)}, protocol=2)
    assert b"numpy._core.multiarray" in data
    same(read_pickle(write(tmp_path, data.replace(b"numpy._core", b"numpy.core"))).content, {"a": np.arange(3.0)})


def test_reads_texts_of_python_2(tmp_path):
    array = b"\x80\x02}q\x00U\x01aU\x03xyzs."
    assert read_pickle(write(tmp_path, array)).content == {"a": b"xyz"}


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**100), 2**100) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(values, st.integers(0, 5))
def test_reads_any_plain_value_as_pickle_does(tmp_path_factory, value, protocol):
    path = write(tmp_path_factory.mktemp("p"), {"value": value}, protocol)
    read = read_pickle(path).content
    assert read == {"value": value}


def test_arrays_are_read_only_views_of_the_file(tmp_path):
    array = np.arange(500_000, dtype=np.float64)
    path = write(tmp_path, {"a": array, "again": array})
    tracemalloc.start()
    read = read_pickle(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000
    assert isinstance(read.content, dict)
    assert read.content["a"] is read.content["again"]
    assert not read.content["a"].flags.writeable
    read.release()
    assert np.array_equal(read.content["a"], array)


RAN: list[object] = []


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
def test_refuses_payloads_and_runs_nothing(tmp_path, monkeypatch, payload, protocol):
    try:
        data = pickle.dumps({"train": PAYLOADS[payload]}, protocol=protocol)
    except TypeError:
        pytest.skip("this protocol cannot write it")
    if protocol == 5 and payload == "a bytearray":
        same(read_pickle(write(tmp_path, data)).content, {"train": b"x"})  # plain data in protocol 5
        return
    monkeypatch.chdir(tmp_path)
    modules = set(sys.modules)
    refuse(tmp_path, data, "is refused")
    assert not (tmp_path / "ran").exists()
    assert RAN == []
    assert "antigravity" not in set(sys.modules) - modules


def test_refuses_a_torch_file(tmp_path):
    file = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, file)
    refuse(tmp_path, file.getvalue(), "zip archive")


GLOBAL_SYSTEM = b"cposix\nsystem\n"

HAND_MADE = {
    "reduce": (GLOBAL_SYSTEM + b"(S'touch ran'\ntR.", "asks for 'posix.system'"),
    "inst": (b"(S'touch ran'\niposix\nsystem\n.", "STRING|INST"),
    "obj": (b"\x80\x02(" + GLOBAL_SYSTEM + b"X\x01\x00\x00\x00ao.", "posix.system"),
    "stack global": (b"\x80\x04\x8c\x05posix\x8c\x06system\x93.", "posix.system"),
    "stack global of no text": (b"\x80\x04K\x01K\x02\x93.", "asks for '1.2'"),
    "newobj": (b"\x80\x02cnumpy\nndarray\n)\x81.", "NEWOBJ"),
    "persistent id": (b"\x80\x02K\x01Q.", "BINPERSID"),
    "extension": (b"\x80\x02\x82\x01.", "EXT1"),
    "out of band buffer": (b"\x80\x05\x97.", "NEXT_BUFFER"),
    "build on a dict": (b"\x80\x02}}b.", "sets the state"),
    "call of a text": (b"\x80\x02X\x01\x00\x00\x00a)R.", "calls something"),
    "dtype of pointers": (b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00O8\x85R.", "unfinished"),
    "strange dtype": (b"\x80\x02cnumpy\ndtype\nX\x05\x00\x00\x00f4,f4\x85R.", "dtype 'f4,f4'"),
    "an unfinished array": (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R.",
        "unfinished",
    ),
    "a name alone": (b"\x80\x02cnumpy\nndarray\n.", "callable"),
    "two pickles": (b"\x80\x02}.\x80\x02}.", "goes on"),
    "left on the stack": (b"\x80\x02}}.", "goes on"),
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
def test_refuses_hand_made_streams(tmp_path, monkeypatch, case):
    data, match = HAND_MADE[case]
    monkeypatch.chdir(tmp_path)
    refuse(tmp_path, data, match)
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
def test_refuses_damage(tmp_path, data):
    refuse(tmp_path, data, "damaged|not text")


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
def test_refuses_arrays_that_lie(tmp_path, shape, dtype, data, match):
    refuse(tmp_path, array_stream(shape, dtype, data), match)


def test_the_array_stream_itself_is_sound(tmp_path):
    same(
        read_pickle(write(tmp_path, array_stream(b"K\x03\x85", b"u1", b"C\x03abc"))).content,
        np.frombuffer(b"abc", "u1"),
    )


def test_billion_laughs_stay_small(tmp_path):
    """200 lists, each holding the one before it twice: 2^200 items for whoever follows the references."""
    data = b"\x80\x02(]q\x00"
    for level in range(200):
        before = b"h" + bytes([level])
        data += b"(" + before + before + b"lq" + bytes([level + 1])
    path = write(tmp_path, data + b"1h\xc8.")  # drops all of them but the last
    tracemalloc.start()
    start = time.perf_counter()
    content = read_pickle(path).content
    assert time.perf_counter() - start < 2
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()
    assert isinstance(content, list)
    assert content[0] is content[1]


@pytest.mark.parametrize("kind", ["lists", "tuples", "dicts", "unclosed marks"])
def test_deep_nesting_neither_crashes_nor_recurses(tmp_path, kind):
    depth = 100_000
    data = {
        "lists": b"]" * depth + b"a" * (depth - 1),
        "tuples": b")" + b"\x85" * depth,
        "dicts": b"}" + b"X\x01\x00\x00\x00a}" * depth + b"s" * depth,
        "unclosed marks": b"(" * depth,
    }[kind]
    path = write(tmp_path, b"\x80\x02" + data + b".")
    program = (
        "import sys\nfrom deconfound.datasets.unpickle import read_pickle\nfrom deconfound.errors import DataError\n"
        "try:\n    value = read_pickle(sys.argv[1])\n    del value\nexcept DataError: print('refused')\nprint('alive')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-300:]
    assert done.stdout.split()[-1] == "alive"
    assert ("refused" in done.stdout) == (kind == "unclosed marks")


def test_too_many_operations_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpickle, "MOST_OPERATIONS", 1000)
    refuse(tmp_path, {"a": list(range(2000))}, "more than 1000 operations")


def test_every_truncation_is_refused(tmp_path):
    data = pickle.dumps({"a": np.arange(4.0), "b": ["x", "y"], "c": 1.5}, protocol=4)
    path = tmp_path / "cut.pkl"
    for stop in range(1, len(data)):
        path.write_bytes(data[:stop])
        with pytest.raises(DataError, match=r"cut\.pkl"):
            read_pickle(path)


@pytest.mark.parametrize("seed", range(3))
def test_flipped_bytes_give_data_or_one_error(tmp_path, seed):
    generator = np.random.default_rng(seed)
    data = pickle.dumps({"a": np.arange(4.0), "b": ["x", np.array(["q", None], object)], "c": 1.5}, protocol=seed + 2)
    path = tmp_path / "flipped.pkl"
    for _ in range(300):
        changed = bytearray(data)
        for place in generator.integers(0, len(data), 2):
            changed[place] = generator.integers(256)
        path.write_bytes(bytes(changed))
        try:
            read_pickle(path)
        except DataError as error:
            assert "\n" not in str(error)  # noqa: PT017 (either outcome is right)


def test_every_opcode_is_either_known_or_refused(tmp_path):
    for opcode in pickletools.opcodes:
        code = ord(opcode.code)
        if code not in unpickle._VALUES and code not in unpickle._ACTIONS and opcode.code != ".":
            refuse(tmp_path, b"\x80\x02" + opcode.code.encode("latin-1") + b"\x00" * 20, f"operation {opcode.name} ")


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "is empty"),
        (b"id,target\na,1\n", "no pickle"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"\x1f\x8bxx", "gzip"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"\x93NUMPY\x01", "npy"),
        (b"{}", "no pickle"),
    ],
)
def test_other_files_are_named(tmp_path, data, match):
    refuse(tmp_path, data, match)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_pickle(tmp_path / "none.pkl")
    with pytest.raises(DataError, match="Is a directory"):
        read_pickle(tmp_path)
