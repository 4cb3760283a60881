"""Names of methods as specifications and reports give them: what predicts inside of a method, and what joins it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from deconfound.errors import SpecError

ADDED = ("penalties", "augmentations")
"""Keys of the table [method] that hold components which join the method: name → arguments."""


PLAIN = "erm"
"""The method inside of another one that has no other: a plain head."""


def inner_name(given: str | Mapping[str, Any]) -> str:
    """The name in a name, or in a table with name.

    Raises:
        SpecError: the table has none.
    """
    name = given if isinstance(given, str) else given.get("name")
    if not isinstance(name, str):
        raise SpecError(f'inner = {given!r}: give the name of a method, or a table such as {{name = "imml"}}')
    return name


def method_title(name: str, given: Mapping[str, Any], *added: Iterable[str]) -> str:
    """A method with what predicts inside it and what joins it, as "erm + vrex + mixup" or "cmir (imml)"."""
    inner = given.get("inner", PLAIN)
    own = name if inner == PLAIN else f"{name} ({inner_name(inner)})"
    return " + ".join([own, *(each for names in added for each in names)])
