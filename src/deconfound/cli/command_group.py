"""The order in which the help lists the commands."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

COMMANDS = (
    "demo",
    "data",
    "train",
    "ensemble",
    "retrain",
    "evaluate",
    "report",
    "predict",
    "sweep",
    "tune",
    "table",
    "diagnose",
    "predominance",
    "causal",
    "references",
    "list",
    "show",
)
"""All commands in the order of work, as the help lists them."""


class CommandGroup(TyperGroup):
    """The commands in the order of `COMMANDS`; typer would list commands before groups."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name in COMMANDS if name in self.commands]
