"""The notebooks are those of the pages, whose code `test_docs.py` executes."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "notebooks"
PAGES = sorted((ROOT / "docs" / "notebooks").glob("*.md"))


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("from_pages", FOLDER / "from_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_page_has_its_notebook() -> None:
    assert [path.stem for path in sorted(FOLDER.glob("*.ipynb"))] == [page.stem for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_notebook_is_its_page(page: Path, writer: ModuleType) -> None:
    written = json.loads((FOLDER / f"{page.stem}.ipynb").read_text(encoding="utf-8"))
    assert written == writer.notebook(page.read_text(encoding="utf-8")), "run python examples/notebooks/from_pages.py"
    code = [cell for cell in written["cells"] if cell["cell_type"] == "code"]
    assert len(code) >= 3
    for cell in code:
        compile("".join(cell["source"]), page.name, "exec")
    ids = [cell["id"] for cell in written["cells"]]
    assert len(set(ids)) == len(ids)
