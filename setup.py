"""What pyproject.toml cannot express: the README as the long description, without links to files of the repository."""

import re
from pathlib import Path

from setuptools import setup

RELATIVE_LINK = re.compile(r"\[([^\]]*)\]\((?!https?://|#)[^)]*\)")
"""Such as [text](docs/index.md). A package index has no such file, so only the text stays."""


def long_description(readme: str) -> str:
    """The README with the text of its relative links in their place."""
    return RELATIVE_LINK.sub(r"\1", readme)


if __name__ == "__main__":
    setup(
        long_description=long_description(Path(__file__).with_name("README.md").read_text(encoding="utf-8")),
        long_description_content_type="text/markdown",
    )
