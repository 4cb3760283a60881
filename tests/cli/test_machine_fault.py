from __future__ import annotations

import pytest

from deconfound.cli.machine_fault import machine_fault


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            PermissionError(13, "Permission denied", "/no/rights"),
            "cannot use /no/rights: Permission denied; name a path",
        ),
        (OSError(36, "File name too long", b"a" * 999), "cannot use aaa"),
        (MemoryError(), "not enough memory; use fewer rows"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
            "not enough memory",
        ),
        (RuntimeError("Symlink loop from 'a'"), "these links point at each other"),
    ],
)
def test_a_fault_of_the_machine_is_one_line(error: Exception, message: str) -> None:
    text = machine_fault(error)
    assert text is not None
    assert message in text
    assert len(text) < 500


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("x"), OSError("no file in it")])
def test_a_fault_of_the_program_is_none(error: Exception) -> None:
    assert machine_fault(error) is None
