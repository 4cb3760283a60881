"""The walk from `deconfound train spec.toml` to a finished run: control goes down through the packages and never back up."""

import sys
from graphlib import TopologicalSorter
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import deconfound
from deconfound.cli.app import app

ROOT = Path(deconfound.__file__).parent
SPEC = """
method = "erm"
data.synthetic = { rows = 64 }
backbone.hidden = 8
train = { epochs = 1, batch_size = 16, accelerator = "cpu", threads = 1 }
"""


class Walk:
    """A profiler that keeps the files in the order of their first call, and which package called which.

    Functions defined inside of functions do not count as entered: they are handed down and belong to whoever made them. A
    call by the registry counts for whoever asked it to build something.
    """

    def __init__(self) -> None:
        self.files: list[str] = []
        self.calls: dict[tuple[str, str], str] = {}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        file = source(frame)
        if event != "call" or file is None or "<" in frame.f_code.co_qualname:
            return
        if file not in self.files:
            self.files.append(file)
        caller = frame.f_back
        while caller is not None and source(caller) in (None, "registry.py"):
            caller = caller.f_back
        if caller is not None and package(source(caller)) != package(file):
            example = f"{source(caller)} calls {frame.f_code.co_qualname} of {file}"
            self.calls.setdefault((package(source(caller)), package(file)), example)


def source(frame: FrameType) -> str | None:
    """The file of a running function relative to the package; None for other code, and for bodies of modules and classes."""
    path = Path(frame.f_code.co_filename)
    is_function = bool(frame.f_code.co_flags & 1)  # CO_OPTIMIZED: has fast locals
    return path.relative_to(ROOT).as_posix() if is_function and path.is_relative_to(ROOT) else None


def package(file: str | None) -> str:
    """The top-level package of a file; a module of the top level stands for itself."""
    assert file is not None
    return file.split("/")[0]


@pytest.fixture(scope="module")
def walk(tmp_path_factory) -> Walk:
    folder = tmp_path_factory.mktemp("walk")
    (folder / "spec.toml").write_text(SPEC)
    recorded = Walk()
    for name, profiler in (("warm", None), ("run", recorded)):  # the first one imports what is loaded late
        sys.setprofile(profiler)
        try:
            app(["train", str(folder / "spec.toml"), "--out", str(folder / name)], standalone_mode=False)
        finally:
            sys.setprofile(None)
        assert (folder / name / "done.json").is_file()
    return recorded


def test_no_package_is_called_by_one_that_it_calls(walk):
    below: dict[str, set[str]] = {}
    for caller, callee in walk.calls:
        below.setdefault(caller, set()).add(callee)
    order = list(TopologicalSorter(below).static_order())  # a CycleError names the packages that call each other
    assert order.index("data") < order.index("evaluation") < order.index("runs") < order.index("training")
    assert order[-1] == "cli"


def test_the_walk_begins_at_the_command_line_and_stays_short(walk):
    packages = {package(file) for file in walk.files if "/" in file}
    assert walk.files[0] == "cli/app.py"
    assert packages == {"cli", "runs", "training", "evaluation", "methods", "metrics", "nn", "datasets", "data", "io"}
    assert len(walk.files) <= 66, walk.files
    assert len(walk.calls) <= 39, walk.calls
