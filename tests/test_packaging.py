"""What is published: the source distribution is complete, and its description works on a package index."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOT_PUBLISHED = {".gitignore"}


def build_sdist(folder: Path) -> Path:
    """Build from a copy of the tracked files, so that nothing is written into the checkout."""
    pytest.importorskip("setuptools", minversion="77", reason="setuptools is not installed beside the package")
    source = folder / "source"
    for name in tracked_files():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    code = f"from setuptools.build_meta import build_sdist; build_sdist({str(folder)!r})"
    built = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (archive,) = folder.glob("*.tar.gz")
    return archive


def tracked_files() -> set[str]:
    """Files under version control that are still there."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {name for name in listed.split("\0") if name and (ROOT / name).is_file()}


def test_the_source_distribution_holds_every_tracked_file(tmp_path: Path) -> None:
    with tarfile.open(build_sdist(tmp_path)) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert tracked_files() - packed - NOT_PUBLISHED == set()
    assert [name for name in packed if name.endswith((".pyc", "__pycache__"))] == []


def test_the_long_description_has_no_relative_link() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    text = runpy.run_path(str(ROOT / "setup.py"))["long_description"](readme)
    assert re.findall(r"\]\((?!https?://|#)", text) == []
    assert "[Apache-2.0]" not in text
    assert "Licence: Apache-2.0." in text


def test_files_state_the_same_version_and_licence() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {project['version']}\n" in citation
    assert f"\nlicense: {project['license']}\n" in citation


def test_minimum_versions_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = dict(re.fullmatch(r"([\w-]+)>=([\d.]+).*", need).groups() for need in project["dependencies"])  # type: ignore[union-attr]
    lines = (ROOT / "constraints-min.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    unstated = {name for name, bound in bounds.items() if not pins.get(name, "").startswith(bound)}
    assert unstated <= {"torch"}
