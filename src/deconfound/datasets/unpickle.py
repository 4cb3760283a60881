"""Read a pickle of plain Python values and NumPy arrays without executing anything in it.

This is not a subclass of `pickle.Unpickler`. It is a small machine that knows the opcodes of lists, dicts, tuples,
text, numbers and arrays, and refuses all others before they have any effect. Names are never imported
(`datasets.pickled`).

The memory and time that a file can cost are bounded:

- lengths are compared with the rest of the file before anything is allocated;
- a value used twice is one object, so nested lists never expand here, and readers must not expand them either;
- nesting costs no call depth, because the machine is a loop;
- at most `MOST_OPERATIONS` operations, about 1 GB of the largest objects;
- arrays of protocols 3 to 5 are read-only views of the mapped file and use no memory until they are read.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from deconfound.datasets.pickled import (
    NOT_RUN,
    OTHER_FILES,
    LongText,
    admit_name,
    call_admitted,
    plain,
    resolve,
    set_state,
    text_pairs,
)
from deconfound.errors import DataError
from deconfound.io.reading import FileKind, check_regular, reading

_FILE = FileKind("pickle", DataError, "name a regular file that you may read", math.inf)
MOST_OPERATIONS = 5_000_000
_LONGEST_INTEGER = 16  # bytes; no array needs more digits, and they cost quadratic time
_SMALL = 256  # bytes up to here are copied, longer ones are views of the file
_LONG = 1 << 16  # longer text, in bytes, is decoded when used


Actions: TypeAlias = "Mapping[int, Callable[[Machine], None]]"


@dataclass(frozen=True)
class Unpickled:
    """The content of a pickle.

    Args:
        content: dicts with text keys, lists, tuples, text, bytes, numbers, None, and read-only NumPy arrays. Long bytes
            are a `memoryview`.
        size: bytes of the file.
        release: frees the pages of the file that reading arrays has loaded; the arrays stay usable.
    """

    content: object
    size: int
    release: Callable[[], None]


def read_pickle(path: str | Path, extra: Actions = MappingProxyType({})) -> Unpickled:
    """Read a file of one pickle: protocols 0 to 5 of Python 3, or 2 of Python 2.

    Args:
        extra: opcode → what it does, in place of its usual meaning.

    Raises:
        DataError: a file that cannot be read, is not a pickle, is damaged, or holds anything but data.
    """
    path = Path(path)
    if check_regular(path, _FILE) == 0:  # mmap cannot map an empty file
        raise DataError(f"{path} is empty; a pickle was expected: copy or save it again")
    with reading(path, _FILE), open(path, "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    for magic, what in OTHER_FILES.items():
        if mapped[: len(magic)] == magic:
            raise DataError(f"{path} is not a pickle but {what}; name its own format with --format")
    machine = Machine(mapped, extra)
    try:
        content = machine.run()
    except DataError as error:
        raise DataError(f"{path} is refused: {error}") from None
    except Exception as error:  # NumPy raises errors of any type on damaged arrays
        place = f"at byte {machine.at} of {len(mapped)}"
        raise DataError(f"{path} is not a pickle, or a damaged one ({place}); save it again") from error
    return Unpickled(content, len(mapped), machine.release)


class Machine:
    """The stack, marks and memo of the pickle language, and the bytes of a file."""

    def __init__(self, data: mmap.mmap, extra: Actions) -> None:
        self.data, self.extra = data, extra
        self.view = memoryview(data)
        self.at = 0
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}
        self.outer: list[tuple[list[object], list[int], dict[int, object]]] = []  # of pickles that hold this one

    def run(self) -> object:
        for _ in range(MOST_OPERATIONS):
            code = self.take(1)[0]
            if code == STOP and not self.outer:
                return self.end()
            if code in self.extra:
                self.extra[code](self)
            elif code in _VALUES:
                self.stack.append(_VALUES[code](self))
            elif code in _ACTIONS:
                _ACTIONS[code](self)
            else:
                self.refuse(code)
        raise DataError(f"it has more than {MOST_OPERATIONS} operations; save large parts as arrays, not as lists")

    def release(self) -> None:
        """Free the loaded pages of the file; they are loaded again when they are used."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self.data.madvise(mmap.MADV_DONTNEED)

    def end(self) -> object:
        content = self.pop()
        self.memo.clear()  # `release` keeps this machine alive, which should not keep the memo
        plain([content])
        if self.stack or self.marks or self.at != len(self.view):
            raise DataError(f"it continues after its content ends at byte {self.at}; a file holds one pickle")
        return content

    def refuse(self, code: int) -> None:
        from pickletools import opcodes

        name = next((opcode.name for opcode in opcodes if opcode.code == chr(code)), None)
        if self.at == 1 or name is None:
            raise ValueError("not a pickle")
        raise DataError(f"the operation {name} at byte {self.at - 1} is not for plain data; {NOT_RUN}")

    def take(self, count: int) -> memoryview:
        """The next bytes, as a view."""
        left = len(self.view) - self.at
        if not 0 <= count <= left:
            raise DataError(
                f"it ends early: {count} bytes are announced at byte {self.at}, {left} are left; copy it again"
            )
        self.at += count
        return self.view[self.at - count : self.at]

    def number(self, width: int, signed: bool = False) -> int:
        return int.from_bytes(self.take(width), "little", signed=signed)

    def line(self) -> bytes:
        """Up to the next line end, which is skipped."""
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise DataError(f"it ends early, within the line at byte {self.at}; copy it again")
        line = bytes(self.take(end - self.at))
        self.at += 1
        return line

    def raw(self, width: int) -> bytes | memoryview:
        data = self.take(self.number(width))
        return bytes(data) if len(data) <= _SMALL else data

    def text(self, width: int) -> str | LongText:
        data = self.take(self.number(width))
        if len(data) <= _LONG:
            return str(data, "utf-8", "surrogatepass")
        self.release()  # the pages of the previous long text
        return LongText(data)

    def integer(self, digits: bytes) -> int:
        if len(digits) > 3 * _LONGEST_INTEGER:
            raise DataError(f"it holds an integer of {len(digits)} digits; save numbers of 64 bits")
        return int(digits)

    def long(self) -> int:
        width = self.number(1)
        if width > _LONGEST_INTEGER:
            raise DataError(f"it holds an integer of {width} bytes; save numbers of 64 bits")
        return self.number(width, signed=True)

    def pop(self) -> object:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise IndexError("nothing to pop")
        return resolve(self.stack.pop())

    def pops(self, count: int) -> list[object]:
        return [self.pop() for _ in range(count)][::-1]

    def since_mark(self) -> list[object]:
        start = self.marks.pop()
        items = [resolve(item) for item in self.stack[start:]]
        del self.stack[start:]
        return items

    def extend(self, items: list[object]) -> None:
        plain(items)
        target = self.stack[-1]
        if type(target) is not list:
            raise TypeError("appends to something other than a list")
        target.extend(items)

    def fill(self, items: list[object]) -> None:
        target = self.stack[-1]
        if type(target) is not dict:
            raise TypeError("sets items of something other than a dict")
        target.update(text_pairs(items))

    def remember(self, key: int) -> None:
        self.memo[key] = self.stack[-1]

    def recall(self, key: int) -> object:
        value = self.memo[key]
        return value.keep() if isinstance(value, LongText) else resolve(value)

    def build(self) -> None:
        state = self.pop()
        self.stack[-1] = set_state(self.stack[-1], state)

    def begin(self) -> None:
        if self.number(1) > 5:
            raise DataError("it is of a later pickle protocol than 5; save it with protocol 5")

    def frame(self) -> None:
        size = self.number(8)
        self.take(size)
        self.at -= size


def _line_number(machine: Machine) -> object:
    line = machine.line()
    return {b"00": False, b"01": True}.get(line) if line in (b"00", b"01") else machine.integer(line)


def _named(machine: Machine) -> object:
    return admit_name(machine.line().decode(), machine.line().decode())


STOP = ord(".")
_VALUES: dict[int, Callable[[Machine], object]] = {
    ord("N"): lambda m: None,
    0x88: lambda m: True,
    0x89: lambda m: False,
    ord("K"): lambda m: m.number(1),
    ord("M"): lambda m: m.number(2),
    ord("J"): lambda m: m.number(4, signed=True),
    ord("I"): _line_number,
    ord("L"): lambda m: m.integer(m.line().removesuffix(b"L")),
    0x8A: Machine.long,
    ord("G"): lambda m: struct.unpack(">d", m.take(8))[0],
    ord("F"): lambda m: float(m.line()[:64]),
    ord("V"): lambda m: str(m.line(), "raw-unicode-escape"),
    0x8C: lambda m: m.text(1),
    ord("X"): lambda m: m.text(4),
    0x8D: lambda m: m.text(8),
    ord("U"): lambda m: m.raw(1),
    ord("C"): lambda m: m.raw(1),
    ord("T"): lambda m: m.raw(4),
    ord("B"): lambda m: m.raw(4),
    0x8E: lambda m: m.raw(8),
    0x96: lambda m: m.raw(8),
    ord("]"): lambda m: [],
    ord(")"): lambda m: (),
    ord("}"): lambda m: {},
    ord("l"): lambda m: plain(m.since_mark()),
    ord("d"): lambda m: text_pairs(m.since_mark()),
    ord("t"): lambda m: tuple(m.since_mark()),
    0x85: lambda m: tuple(m.pops(1)),
    0x86: lambda m: tuple(m.pops(2)),
    0x87: lambda m: tuple(m.pops(3)),
    ord("g"): lambda m: m.recall(m.integer(m.line())),
    ord("h"): lambda m: m.recall(m.number(1)),
    ord("j"): lambda m: m.recall(m.number(4)),
    ord("c"): _named,
    0x93: lambda m: admit_name(*m.pops(2)),
    ord("R"): lambda m: call_admitted(*m.pops(2)),
}
_ACTIONS: dict[int, Callable[[Machine], None]] = {
    0x80: Machine.begin,
    0x95: Machine.frame,
    ord("("): lambda m: m.marks.append(len(m.stack)),
    ord("0"): lambda m: (m.pop(), None)[1],
    ord("1"): lambda m: (m.since_mark(), None)[1],
    ord("a"): lambda m: m.extend(m.pops(1)),
    ord("e"): lambda m: m.extend(m.since_mark()),
    ord("s"): lambda m: m.fill(m.pops(2)),
    ord("u"): lambda m: m.fill(m.since_mark()),
    ord("p"): lambda m: m.remember(m.integer(m.line())),
    ord("q"): lambda m: m.remember(m.number(1)),
    ord("r"): lambda m: m.remember(m.number(4)),
    0x94: lambda m: m.remember(len(m.memo)),
    ord("b"): Machine.build,
}
