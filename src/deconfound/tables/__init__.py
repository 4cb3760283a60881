"""Tables of results, one per dataset and protocol, from run directories to Markdown, LaTeX and CSV."""

from deconfound.tables.build import ComparisonLine, ComparisonTable, build_tables
from deconfound.tables.compare_methods import ComparisonCell, TableSettings
from deconfound.tables.render import Show, to_csv, to_latex, to_markdown

__all__ = [
    "ComparisonCell",
    "ComparisonLine",
    "ComparisonTable",
    "Show",
    "TableSettings",
    "build_tables",
    "to_csv",
    "to_latex",
    "to_markdown",
]
