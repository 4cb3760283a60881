"""Tables of results, one per dataset and protocol, from run directories to Markdown, LaTeX and CSV."""

from deconfound.tables.build import Line, Table, build_tables
from deconfound.tables.judge import ComparisonCell, Settings
from deconfound.tables.render import Show, to_csv, to_latex, to_markdown

__all__ = ["ComparisonCell", "Line", "Settings", "Show", "Table", "build_tables", "to_csv", "to_latex", "to_markdown"]
