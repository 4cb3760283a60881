"""Write the notebooks of this folder from the pages in docs/notebooks, whose code the tests execute.

Run it with: python examples/notebooks/from_pages.py
"""

import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGES = HERE.parents[1] / "docs" / "notebooks"
_BLOCK = re.compile(r"<!-- run -->\n```python\n(.*?)```\n", re.DOTALL)


def notebook(page: str) -> dict[str, Any]:
    """A notebook of format 4.5: a cell of text or code for each part of a page."""
    cells: list[dict[str, Any]] = []
    for number, part in enumerate(_BLOCK.split(page)):
        source = part.strip().splitlines(keepends=True)
        if not source:
            continue
        cell = {"id": f"cell-{number}", "metadata": {}, "source": source}
        code = {"cell_type": "code", "execution_count": None, "outputs": []}
        cells.append({**(code if number % 2 else {"cell_type": "markdown"}), **cell})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def main() -> None:
    for page in sorted(PAGES.glob("*.md")):
        content = json.dumps(notebook(page.read_text(encoding="utf-8")), indent=1, ensure_ascii=False)
        (HERE / f"{page.stem}.ipynb").write_text(content + "\n", encoding="utf-8")
        print(f"wrote {page.stem}.ipynb")


if __name__ == "__main__":
    main()
