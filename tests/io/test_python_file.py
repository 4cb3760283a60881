"""Classes in files of the user: found by name, run once, refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from deconfound.corruption import Corruption
from deconfound.errors import SpecError
from deconfound.io.python_file import checksum, load_class, names_file, placed

CODE = """
from deconfound.corruption import Corruption
class Same(Corruption):
    def __call__(self, batch, severity, generator):
        return batch
class Unfinished(Corruption):
    pass
"""


def test_a_file_runs_once_until_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(CODE, encoding="utf-8")
    reference = placed("own.py:Same", tmp_path)
    first = load_class(reference, Corruption)
    assert load_class(reference, Corruption) is first
    before = checksum(reference)
    file.write_text(CODE + "# changed", encoding="utf-8")
    assert load_class(reference, Corruption) is not first
    assert checksum(reference) != before


def test_a_dotted_name_is_no_file() -> None:
    assert names_file("own.py:Same")
    assert not names_file("__main__.Same")
    assert not names_file(CODE.__class__)


@pytest.mark.parametrize(
    ("code", "name", "match"),
    [
        (CODE, "Some", "did you mean 'Same'"),
        (CODE, "Corruption", "defines no Corruption 'Corruption'"),
        (CODE, "Unfinished", "lacks __call__"),
        ("1 / 0", "Same", "ZeroDivisionError: division by zero"),
        ("class Same(:", "Same", "SyntaxError"),
        (None, "Same", "cannot read the code"),
    ],
)
def test_bad_files_are_refused_in_one_line(code: str | None, name: str, match: str, tmp_path: Path) -> None:
    if code is not None:
        (tmp_path / "own.py").write_text(code, encoding="utf-8")
    with pytest.raises(SpecError, match=match) as caught:
        load_class(f"{tmp_path}/own.py:{name}", Corruption)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("reference", ["own.py:", "own.py:a b", "own.txt:Same.py:"])
def test_references_have_a_file_and_a_class(reference: str) -> None:
    with pytest.raises(SpecError, match=r"file\.py:Class"):
        load_class(reference, Corruption)
