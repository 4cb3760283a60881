"""Names as text that Markdown and LaTeX do not act on."""

from __future__ import annotations

import re

from deconfound.io.plain_text import one_line

_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": "{`}",
    '"': r"{\char34}",
    **{letter: f"\\{letter}" for letter in "{}$&#_%"},
    "α": r"$\alpha$",
    "±": r"$\pm$",
    "−": "$-$",
    "×": r"$\times$",
    "†": r"$^{\dagger}$",
    "⁺": "$^{+}$",
    "⁻": "$^{-}$",
}


def escape_markdown(text: str) -> str:
    """Text whose characters mean nothing to Markdown or to HTML, on one line."""
    escaped = re.sub(r"([\\`*_\[\]|#~])", r"\\\1", one_line(text))
    return "".join(_HTML.get(letter, letter) for letter in escaped)


def escape_latex(text: str) -> str:
    """Text whose characters mean nothing to LaTeX, on one line, wherever it stands in a table.

    A leading [ or * would be taken for an option of the row end before it, and -- for a dash.
    """
    escaped = "".join(_LATEX.get(letter, letter) for letter in one_line(text))
    return ("{}" if escaped.startswith(("[", "*")) else "") + re.sub("-(?=-)", "-{}", escaped)
