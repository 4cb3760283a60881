"""One self-contained page about a set of runs."""

from deconfound.report.page import build_report

__all__ = ["build_report"]
