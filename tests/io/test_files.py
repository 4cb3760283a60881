from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from deconfound.errors import RunError
from deconfound.io.files import atomic_write, file_stem, write_json


def write(path: Path, text: str, fail: Exception | None = None) -> None:
    with atomic_write(path) as file:
        file.write(text)
        if fail is not None:
            raise fail


def held(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    goal = tmp_path / "new" / "file.txt"
    write(goal, "one\r\n")
    write(goal, "zwölf\n")
    assert goal.read_bytes() == "zwölf\n".encode()
    assert held(goal.parent) == ["file.txt"]
    assert goal.stat().st_mode & 0o777 == 0o644


def test_a_failed_block_leaves_what_was_there(tmp_path: Path) -> None:
    goal = tmp_path / "file.txt"
    write(goal, "before")
    with pytest.raises(KeyError):
        write(goal, "half", fail=KeyError())
    assert goal.read_text() == "before"
    assert held(tmp_path) == ["file.txt"]


def test_a_full_disk_is_one_line_and_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    goal = tmp_path / "file.txt"
    write(goal, "before")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"cannot write .*file\.txt: No space left on device"):
        write(goal, "after")
    assert goal.read_text() == "before"
    assert held(tmp_path) == ["file.txt"]


def test_a_folder_and_a_file_as_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot write .*: Is a directory"):
        write(tmp_path, "x")
    write(tmp_path / "file", "x")
    with pytest.raises(RunError, match=r"cannot write .*: .*irectory|cannot write .*exists"):
        write(tmp_path / "file" / "inner", "x")


def test_a_link_goes_on_pointing_and_a_device_stays_a_device(tmp_path: Path) -> None:
    write(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    write(Path(os.devnull), "gone")
    assert not Path(os.devnull).is_file()


def test_file_stems_are_harmless_and_distinct() -> None:
    names = ["present=text+audio", "../../etc/passwd", "..", "a/b", "a_b", "A_b", "ü", "-rf", ".hidden", "x" * 300]
    stems = [file_stem(name) for name in names]
    assert stems[0] == names[0]
    assert len(set(stems)) == len(names)
    for stem in stems:
        assert not set(stem) & set('/\\:*?"<>| \0')
        assert not stem.startswith((".", "-"))
        assert len(stem) < 100


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "values.json"
    write_json(path, {"b": 1, "a": [None, "é"]})
    assert path.read_text() == '{\n "b": 1,\n "a": [\n  null,\n  "\\u00e9"\n ]\n}'
    with pytest.raises(TypeError):
        write_json(path, {"b": object()})
    assert json.loads(path.read_text()) == {"b": 1, "a": [None, "é"]}
    assert [entry.name for entry in tmp_path.iterdir()] == ["values.json"]
