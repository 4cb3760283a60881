"""The README and the guide: every example runs as written, every page builds, every component is told of."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from deconfound import registry
from deconfound.cli import app as cli
from deconfound.protocol import get_protocol
from support.fences import Fence, fences

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = {page: fences(page, ROOT) for page in PAGES}
CODE = {"python", "toml", "json", "bash"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder, and one thread."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(threads)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_example_says_how_it_is_checked(page: Path) -> None:
    silent = [f"{b.page}:{b.line}" for b in BLOCKS[page] if b.language in CODE and not b.mark]
    assert silent == []
    assert {block.language for block in BLOCKS[page]} <= CODE | {"text"}


@pytest.mark.parametrize("page", [p for p in PAGES if any(b.mark == "run" for b in BLOCKS[p])], ids=name_of)
def test_examples_run_in_the_order_of_the_page(page: Path, folder: Path) -> None:
    names: dict[str, Any] = {}
    printed = ""
    for block in BLOCKS[page]:
        if block.mark == "file":
            path = folder / block.detail
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.mark == "run" and block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(block.text, f"{block.page}:{block.line}", "exec"), names)
        elif block.mark == "run":
            printed = run_commands(block)
        elif block.mark == "output":
            assert block.text in printed, f"{block.page}:{block.line}: the command above prints\n{printed}"


def run_commands(block: Fence) -> str:
    """Run each line of a block in this process, `deconfound ...` or `python examples/...`; return what all print."""
    printed = ""
    for line in block.text.splitlines():
        words = shlex.split(line, comments=True)
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            code = python(words[1:]) if words[0] == "python" else deconfound(words[1:])
        assert code == 0, f"{block.page}:{block.line}: {line}\n{output.getvalue()}"
        printed += output.getvalue()
    return printed


def deconfound(words: list[str]) -> object:
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    return end.value.code


def python(words: list[str]) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words)
        runpy.run_path(str(ROOT / words[0]), run_name="__main__")
    return 0


def test_code_shown_is_code_in_the_examples() -> None:
    shown = [block for page in PAGES for block in BLOCKS[page]]
    for block in shown:
        if block.mark == "example":
            included = re.findall(r"--8<--\n(.+)\n--8<--", block.text)
            assert included, f"{block.page}:{block.line} includes nothing"
            assert all((ROOT / path).is_file() for path in included)
        elif block.mark == "same as":
            assert (ROOT / block.detail).read_text(encoding="utf-8").endswith(block.text)


def test_links_of_the_readme_lead_somewhere() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md"):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text(encoding="utf-8")):
            assert (ROOT / link).exists(), f"{page} links to {link}"


def test_every_method_has_its_page() -> None:
    assert sorted(path.stem for path in (ROOT / "docs" / "methods").glob("*.md")) == own("methods")


def own(kind: str) -> list[str]:
    """Names of the components of this repository."""
    parent = {"encoders": "nn", "fusions": "nn", "readers": "datasets", "extractors": "extraction"}.get(kind, "")
    folder = ROOT / "src" / "deconfound" / parent / kind
    return sorted(path.stem.replace("_", "-") for path in folder.glob("[a-z]*.py"))


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        ("scenarios", "corruptions"),
        ("specification", "encoders"),
        ("specification", "fusions"),
        ("penalties", "penalties"),
        ("penalties", "augmentations"),
        ("own-data", "readers"),
        ("raw-data", "extractors"),
        ("metrics", "metrics"),
        ("metrics", "protocols"),
    ],
)
def test_every_component_is_in_its_table(page: str, kind: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert set(own(kind)) <= set(registry.names(kind))
    assert [name for name in own(kind) if f"\n| `{name}` |" not in text] == []


def test_every_metric_is_defined() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    known = {name for protocol in own("protocols") for name in get_protocol(protocol).metrics}
    assert [name for name in sorted(known) if f"`{name}`" not in text] == []


def test_every_command_is_told_of() -> None:
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    groups = {"": cli.app, "data ": cli.cli_data.app}
    known = [
        f"{group}{command.name or getattr(command.callback, '__name__', '')}"
        for group, app in groups.items()
        for command in app.registered_commands
    ]
    assert [name for name in known if f"`deconfound {name}" not in text] == []


def test_every_public_name_has_a_place_in_the_reference() -> None:
    import deconfound as package

    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    found = set(re.findall(r"^::: [\w.]+\.(\w+)$", text, re.MULTILINE)) | set(re.findall(r"members: \[(\w+)", text))
    assert set(package.__all__) <= found


def test_pages_build_without_a_warning_and_fetch_nothing(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the extra 'docs' is not installed; 'make check' builds the pages")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    loaded = re.compile(r"""<(?:script|link|img)[^>]*(?:src|href)="?(https?://[^" >]+)""")
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 10
    assert {url for page in pages for url in loaded.findall(page.read_text(encoding="utf-8"))} == set()
