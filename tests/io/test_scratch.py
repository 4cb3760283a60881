import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deconfound.io.files import atomic_write, scratch_file, scratch_folder

KILLED = """
import os, signal, sys
from pathlib import Path
from deconfound.io.files import {kind}
with {kind}(Path(sys.argv[1])) as scratch:
    if scratch.is_dir():
        (scratch / "inner").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("kind", ["scratch_file", "scratch_folder"])
def test_what_a_kill_left_is_swept_up_by_the_next_call_for_the_same_goal(tmp_path: Path, kind: str) -> None:
    for goal in ("goal", "goal", "other"):
        ended = subprocess.run([sys.executable, "-c", KILLED.format(kind=kind), str(tmp_path / goal)], check=False)
        assert ended.returncode == -signal.SIGKILL
    assert [path.name[:-8] for path in sorted(tmp_path.iterdir())] == [".goal.partial-", ".other.partial-"]
    with {"scratch_file": scratch_file, "scratch_folder": scratch_folder}[kind](tmp_path / "goal"):
        assert len(list(tmp_path.iterdir())) == 2
    assert [path.name[:-8] for path in tmp_path.iterdir()] == [".other.partial-"]


def test_a_scratch_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / "goal") as first, scratch_folder(tmp_path / "goal") as second:
        assert first != second
        assert first.is_dir()
    with atomic_write(tmp_path / "file") as first_file, atomic_write(tmp_path / "file") as second_file:
        first_file.write("one")
        second_file.write("two")
    assert (tmp_path / "file").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_files_of_the_user_are_never_swept(tmp_path: Path) -> None:
    names = ["goal.partial-12345678", ".goal.partial-", ".goal.partial-mine", ".goal2.partial-12345678"]
    for name in names:
        (tmp_path / name).write_text("mine")
    with scratch_file(tmp_path / "goal"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
