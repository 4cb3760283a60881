"""The module graph: no cycles, few modules at the top, and the counts behind the contracts in pyproject.toml."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from pathlib import Path

import networkx as nx
import pytest

import deconfound

SOURCE = Path(deconfound.__file__).parent
MOST_TOP_MODULES = 15
MOST_LINES = 300


def module_graph(files: Mapping[str, str]) -> nx.DiGraph:
    """Module → imported modules of the same set; imports inside of functions and under TYPE_CHECKING count.

    Args:
        files: dotted name of a module, without `__init__` → its source.
    """
    graph = nx.DiGraph()
    graph.add_nodes_from(files)
    for module, source in files.items():
        for node in ast.walk(ast.parse(source)):
            graph.add_edges_from((module, target) for target in _targets(node, files) if target != module)
    return graph


def _targets(node: ast.AST, modules: Mapping[str, str]) -> set[str]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        submodules = [f"{node.module}.{alias.name}" for alias in node.names]
        names = [name if name in modules else str(node.module) for name in submodules]
    else:
        return set()
    return {name for name in names if name in modules}


def package_graph(modules: nx.DiGraph) -> nx.DiGraph:
    """Imports between the packages and modules at the top level; the face `deconfound` itself is left out."""
    edges = {(_top(a), _top(b)) for a, b in modules.edges if "." in a and "." in b}
    return nx.DiGraph([(a, b) for a, b in edges if a != b])


def cycles(graph: nx.DiGraph) -> list[list[str]]:
    """Groups of modules that reach each other."""
    return [sorted(group) for group in nx.strongly_connected_components(graph) if len(group) > 1]


def _top(module: str) -> str:
    return module.split(".")[1]


@pytest.fixture(scope="module")
def modules() -> nx.DiGraph:
    files = {}
    for path in SOURCE.rglob("*.py"):
        parts = ("deconfound", *path.relative_to(SOURCE).with_suffix("").parts)
        files[".".join(parts).removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return module_graph(files)


def test_no_modules_import_each_other_in_a_circle(modules: nx.DiGraph) -> None:
    assert cycles(modules) == []


def test_no_packages_import_each_other_in_a_circle(modules: nx.DiGraph) -> None:
    assert cycles(package_graph(modules)) == []


def test_few_modules_are_at_the_top_level_and_files_are_short(
    modules: nx.DiGraph, record_property: Callable[[str, object], None]
) -> None:
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    top = sorted(path.stem for path in SOURCE.glob("*.py") if path.stem != "__init__")
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCE.rglob("*.py")}
    counts = {
        "modules": modules.number_of_nodes(),
        "modules_at_the_top": len(top),
        "packages_at_the_top": len(packages),
        "imports_between_packages": package_graph(modules).number_of_edges(),
        "files_over_250_lines": sum(count > 250 for count in lines.values()),
    }
    for name, count in counts.items():
        record_property(name, count)
    print(counts)
    assert len(top) <= MOST_TOP_MODULES, top
    assert [str(path.relative_to(SOURCE)) for path, count in lines.items() if count > MOST_LINES] == []


@pytest.mark.parametrize(
    "source",
    [
        "from p.b import thing",
        "import p.b",
        "from p import b",
        "def later():\n    from p.b import thing",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.b import Thing",
    ],
)
def test_a_circle_is_found_however_it_is_written(source: str) -> None:
    circle = module_graph({"p": "", "p.a": source, "p.b": "from p.c import x", "p.c": "import p.a"})
    assert cycles(circle) == [["p.a", "p.b", "p.c"]]
    assert cycles(module_graph({"p": "", "p.a": source, "p.b": "", "p.c": "import p.a"})) == []


def test_two_packages_form_a_circle_without_one_of_files() -> None:
    files = {"p": "", "p.a.one": "import p.b.one", "p.b.one": "", "p.b.two": "import p.a.two", "p.a.two": ""}
    graph = module_graph(files)
    assert cycles(graph) == []
    assert cycles(package_graph(graph)) == [["a", "b"]]
