from pathlib import Path

import pytest

from deconfound.errors import RunError
from deconfound.io.files import check_folder, claim_folder


def test_a_new_an_empty_and_an_own_folder_are_taken(tmp_path: Path) -> None:
    claim_folder(tmp_path / "a" / "b", "sweep", "sweep.json")
    (tmp_path / "a" / "b" / ".lock").touch()
    claim_folder(tmp_path / "a" / "b", "sweep", "sweep.json")
    (tmp_path / "a" / "b" / "sweep.json").touch()
    (tmp_path / "a" / "b" / "notes.txt").touch()
    claim_folder(tmp_path / "a" / "b", "sweep", "sweep.json")


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RunError, match=r"is not empty and not a run \(it holds 'thesis.tex'\); choose another folder"):
        claim_folder(tmp_path, "run", "spec.json")
    claim_folder(tmp_path, "run", "spec.json", ignored=("thesis.tex",))


def test_a_check_writes_nothing(tmp_path: Path) -> None:
    check_folder(tmp_path / "new", "run", "spec.json")
    assert not (tmp_path / "new").exists()


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="choose a folder you may write to"):
        claim_folder(tmp_path / "file", "run", "spec.json")
