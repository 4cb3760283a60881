"""Mutations of valid files for the fuzz tests: of bytes, of structured values, and of what a library writes them with."""

from __future__ import annotations

import copy
import io
import json
import math
import pickle
import tomllib
from collections.abc import Callable
from datetime import UTC, date, datetime
from random import Random
from typing import Any

import numpy as np

from deconfound.io.toml_writer import toml_text

Mutation = Callable[[bytes, Random], bytes]

PIECES = (
    b"\x00", b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x80", b"\n", b'"', b"[" * 3000, b"{" * 3000, b"9" * 5000, b"-1", b"1e999",
    b"NaN", b"null", b"true", b"\\ud800", b"\xed\xa0\x80", b",", b"a.b.c=", b"=", b"\r", b"{}", b"1979-05-27", b"\xef\xbb\xbf",
)  # fmt: skip


def deep(levels: int) -> Any:
    """Lists in lists."""
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 10**9, 10**12, 10**30, 2**63, 2**64, -(2**63), 0.5, -0.0, 1e308, 1e-320, math.nan,
    math.inf, "", "a", "x" * 300, "\x00", "\ud800", "../x", "/dev/zero", "nan", "\n", "é" * 200, [], {}, [[]], [None], {"": 0},
    ["a", 1], deep(70), deep(150), {"a": {"b": {"c": 1}}}, ["a"] * 100, [1e308, 1e308], {"name": "erm"}, {"name": 3},
)  # fmt: skip


def mutate_bytes(content: bytes, random: Random) -> bytes:
    """One to four changes of bytes: flipped, cut out, doubled, cut off, or a piece that readers stumble over put in."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(len(data) + 1)
        length = random.choice((1, 2, 8, 64, 1000))
        match random.randrange(6):
            case 0:
                data[at : at + 1] = bytes([random.randrange(256)])
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length]
            case 3:
                data[at:at] = random.choice(PIECES)
            case 4:
                del data[at:]
            case _:
                data[at : at + 4] = random.choice((b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"9999"))
    return bytes(data)


def mutate_value(value: Any, random: Random, values: tuple[Any, ...] = VALUES) -> Any:
    """The nested value with one or two places replaced, removed, doubled, or renamed."""
    value = copy.deepcopy(value)
    for _ in range(random.choice((1, 1, 2))):
        places = [(None, None), *_places(value)]
        parent, key = random.choice(places)
        if parent is None:
            value = copy.deepcopy(random.choice(values)) if random.random() < 0.2 else value
            continue
        match random.randrange(5):
            case 0 if isinstance(parent, dict):
                parent[str(random.choice(("", "x" * 300, "\ud800", "name", "\x00", "a/b")))] = parent.pop(key)
            case 0 | 1:
                del parent[key]
            case 2 if isinstance(parent, list):
                parent.insert(key, copy.deepcopy(parent[key]))
            case _:
                parent[key] = copy.deepcopy(random.choice(values))
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [(value, key) for key in keys] + [place for key in keys for place in _places(value[key])]


def structured(parse: Callable[[bytes], Any], write: Callable[[Any], bytes]) -> Mutation:
    """A mutation that changes values as often as bytes."""

    def mutate(content: bytes, random: Random) -> bytes:
        if random.random() < 0.35:
            return mutate_bytes(content, random)
        return write(mutate_value(parse(content), random))

    return mutate


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _lines(values: Any) -> bytes:
    return b"\n".join(map(_json, values)) + b"\n" if isinstance(values, list) else _json(values)


def _toml(values: Any) -> bytes:
    try:
        return toml_text(values).encode("utf-8", "surrogatepass")
    except (AssertionError, AttributeError, TypeError):
        return repr(values).encode("utf-8", "surrogatepass")


mutate_json = structured(json.loads, _json)
mutate_lines = structured(lambda content: [json.loads(line) for line in content.splitlines()], _lines)
mutate_toml = structured(lambda content: tomllib.loads(content.decode()), _toml)


def mutate_csv(content: bytes, random: Random) -> bytes:
    """A cell of a table replaced, or bytes changed."""
    if random.random() < 0.5:
        return mutate_bytes(content, random)
    rows = [line.split(b",") for line in content.splitlines()]
    row = random.choice(rows)
    cells = (
        b"",
        b"nan",
        b"inf",
        b"1e999",
        b"9" * 5000,
        b"-1",
        b"\xff",
        b'"',
        b"x" * 300,
        b"1_0",
        b"\x00",
        b"0x1",
        b"1e308",
    )
    row[random.randrange(len(row))] = random.choice(cells)
    return b"\n".join(map(b",".join, rows)) + b"\n"


_DTYPES = (
    "<f4",
    "<f8",
    "<f2",
    "<i8",
    "<u8",
    "|b1",
    "<U0",
    "<U3",
    "|S2",
    "|V0",
    "|V8",
    "<M8[ns]",
    "<c16",
    "|O",
    ">i4",
    "|i1",
)
_SHAPES = (
    (),
    (0,),
    (12,),
    (12, 3),
    (12, 4, 3),
    (2**40,),
    (2**62, 4),
    (10**9, 0),
    (-1,),
    (1, 1, 12, 1),
    (3, 2, 12, 1),
    (2**64,),
)


def random_npy(random: Random) -> bytes:
    """A `.npy` whose header says anything."""
    descr: Any = random.choice((*_DTYPES, [("a", "<f4"), ("b", "<U3")], "<f3", 7, [("a", "<f4")] * 2))
    shape: Any = random.choice((*_SHAPES, None, "x", (1.5,), deep(30)))
    header = repr({"descr": descr, "fortran_order": random.choice((True, False, 1, "x")), "shape": shape}).encode()
    header = (
        random.choice((header, header, b"{'descr': ", b"(" * 200, b"1+" * 400 + b"1", b"{[]: 1}", b"'" + header))
        + b"\n"
    )
    body = random.randbytes(random.choice((0, 16, 192, 4096)))
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body


def mutate_npy(content: bytes, random: Random) -> bytes:
    """Bytes changed, or another header."""
    return random_npy(random) if random.random() < 0.5 else mutate_bytes(content, random)


def mutate_npz(content: bytes, random: Random) -> bytes:
    """Bytes changed, or one array replaced by another type, shape or content."""
    if random.random() < 0.3:
        return mutate_bytes(content, random)
    import zipfile

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice([*members])
    match random.randrange(4):
        case 0:
            members[name] = random_npy(random)
        case 1:
            del members[name]
        case 2:
            members[name] = mutate_bytes(members[name], random)
        case _:
            array = np.atleast_1d(np.load(io.BytesIO(members[name])))
            file = io.BytesIO()
            np.save(file, _other_array(array, random))
            members[name] = file.getvalue()
    packed = io.BytesIO()
    method = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(packed, "w", method) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return packed.getvalue() if random.random() < 0.8 else mutate_bytes(packed.getvalue(), random)


def _other_array(array: np.ndarray, random: Random) -> np.ndarray:
    with np.errstate(all="ignore"):
        match random.randrange(5):
            case 0:
                return array.astype(random.choice(("U4", "f8", "f2", "?"))) if array.dtype.kind in "fib" else array[:0]
            case 1:
                return array[..., None]
            case 2:
                return array.ravel()[:3]
            case 3 if array.dtype.kind == "f":
                return array * math.inf
            case 3 if array.dtype.kind == "i":
                return array - 2**40
            case _:
                return np.zeros(random.choice(((), (0,), (1,), (10**6,))), random.choice(("f4", "i8", "U1")))


def mutate_safetensors(content: bytes, random: Random) -> bytes:
    """Bytes changed, or a value of the header."""
    if random.random() < 0.4:
        return mutate_bytes(content, random)
    size = int.from_bytes(content[:8], "little")
    header = _json(mutate_value(json.loads(content[8 : 8 + size]), random))
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def mutate_pickle(content: bytes, random: Random) -> bytes:
    """Bytes changed, or a part of the content replaced, also by arrays of other types."""
    if random.random() < 0.4:
        return mutate_bytes(content, random)
    arrays = (
        np.zeros(3),
        np.array(["a"]),
        np.array([None, 1], dtype=object),
        np.zeros((5, 0, 2)),
        np.float64(1),
        np.array(1j),
    )
    values = (*(value for value in VALUES if value != deep(150)), *arrays, b"x", date(2020, 1, 1), {1, 2}, (1, 2))
    return pickle.dumps(mutate_value(pickle.loads(content), random, values), protocol=random.randrange(6))  # noqa: S301 (ours)


def mutate_parquet(content: bytes, random: Random) -> bytes:
    """Bytes changed, or one column of another type."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if random.random() < 0.5:
        return mutate_bytes(content, random)
    table = pq.read_table(io.BytesIO(content))
    rows, stamp = table.num_rows, datetime(2020, 1, 1, tzinfo=UTC)
    columns = (
        pa.array([date(2020, 1, 1)] * rows), pa.array([stamp] * rows, pa.timestamp("ns", "+99:00")),
        pa.array([2**40] * rows, pa.timestamp("s", "Nowhere/Else")), pa.array([b"\xff"] * rows), pa.array([[1]] * rows),
        pa.array([{"a": 1}] * rows), pa.nulls(rows), pa.array([math.nan] * rows), pa.array([1] * rows, pa.decimal128(5)),
        pa.array(["a"] * rows).dictionary_encode(), pa.array([1.0] * rows, pa.float16()),
        pa.array([2**64 - 1] * rows, pa.uint64()), pa.array([None, *["b"] * (rows - 1)]),
        pa.array([2**62] * rows, pa.duration("s")), pa.array(["x" * 1000] * rows, pa.large_string()),
    )  # fmt: skip
    number = random.randrange(table.num_columns)
    name = random.choice((*[table.column_names[number]] * 5, table.column_names[0], "", "x" * 300))
    file = io.BytesIO()
    pq.write_table(table.set_column(number, name, random.choice(columns)), file)
    return file.getvalue()
