"""The reader of pickles: reads what picklers write, runs nothing, and costs no more than the file is worth."""

import pickle
import pickletools
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deconfound.datasets import unpickle
from deconfound.datasets.unpickle import read_pickle
from deconfound.errors import DataError
from support.data_making import refuse_pickle, same, write_pickle

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
    read = read_pickle(write_pickle(tmp_path, CONTENT, protocol)).content
    assert isinstance(read, dict)
    same(read, CONTENT)


def test_reads_names_of_numpy_1_too(tmp_path):
    data = pickle.dumps({"a": np.arange(3.0)}, protocol=2)
    assert b"numpy._core.multiarray" in data
    same(
        read_pickle(write_pickle(tmp_path, data.replace(b"numpy._core", b"numpy.core"))).content, {"a": np.arange(3.0)}
    )


def test_reads_texts_of_python_2(tmp_path):
    array = b"\x80\x02}q\x00U\x01aU\x03xyzs."
    assert read_pickle(write_pickle(tmp_path, array)).content == {"a": b"xyz"}


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**100), 2**100) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(values, st.integers(0, 5))
def test_reads_any_plain_value_as_pickle_does(tmp_path_factory, value, protocol):
    path = write_pickle(tmp_path_factory.mktemp("p"), {"value": value}, protocol)
    read = read_pickle(path).content
    assert read == {"value": value}


def test_arrays_are_read_only_views_of_the_file(tmp_path):
    array = np.arange(500_000, dtype=np.float64)
    path = write_pickle(tmp_path, {"a": array, "again": array})
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


def test_billion_laughs_stay_small(tmp_path):
    """200 lists, each holding the one before it twice: 2^200 items for whoever follows the references."""
    data = b"\x80\x02(]q\x00"
    for level in range(200):
        before = b"h" + bytes([level])
        data += b"(" + before + before + b"lq" + bytes([level + 1])
    path = write_pickle(tmp_path, data + b"1h\xc8.")  # drops all of them but the last
    tracemalloc.start()
    start = time.perf_counter()
    content = read_pickle(path).content
    assert time.perf_counter() - start < 2
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()
    assert isinstance(content, list)
    assert content[0] is content[1]


@pytest.mark.parametrize("protocol", [0, 2])
def test_arrays_written_as_text_are_held_once(tmp_path, protocol):
    array = np.frombuffer(np.random.default_rng(0).integers(0, 128, 10**6, dtype=np.uint8).tobytes(), np.float32)
    path = write_pickle(tmp_path, {"a": array, "text": "x" * 10**6}, protocol)
    tracemalloc.start()
    content = read_pickle(path).content
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    same(content, {"a": array, "text": "x" * 10**6})
    assert held < (2.2 if protocol else 3.2) * 10**6


def test_a_long_text_used_often_is_one_object(tmp_path):
    text = "é" * 10**6
    tracemalloc.start()
    content = read_pickle(write_pickle(tmp_path, [text] * 1000)).content
    assert tracemalloc.get_traced_memory()[1] < 20 * 10**6
    tracemalloc.stop()
    assert content == [text] * 1000


@pytest.mark.parametrize("kind", ["lists", "tuples", "dicts", "unclosed marks"])
def test_deep_nesting_neither_crashes_nor_recurses(tmp_path, kind):
    depth = 100_000
    data = {
        "lists": b"]" * depth + b"a" * (depth - 1),
        "tuples": b")" + b"\x85" * depth,
        "dicts": b"}" + b"X\x01\x00\x00\x00a}" * depth + b"s" * depth,
        "unclosed marks": b"(" * depth,
    }[kind]
    path = write_pickle(tmp_path, b"\x80\x02" + data + b".")
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
    refuse_pickle(tmp_path, {"a": list(range(2000))}, "more than 1000 operations")


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
            refuse_pickle(
                tmp_path, b"\x80\x02" + opcode.code.encode("latin-1") + b"\x00" * 20, f"operation {opcode.name} "
            )


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "is empty"),
        (b"id,target\na,1\n", "not a pickle"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"\x1f\x8bxx", "gzip"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"\x93NUMPY\x01", "npy"),
        (b"{}", "not a pickle"),
    ],
)
def test_other_files_are_named(tmp_path, data, match):
    refuse_pickle(tmp_path, data, match)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_pickle(tmp_path / "none.pkl")
    with pytest.raises(DataError, match="is a folder, not a file"):
        read_pickle(tmp_path)
