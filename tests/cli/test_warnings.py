"""What the command line shows of warnings: those of the project, none of NumPy about numbers that overflow."""

import warnings

import numpy as np
import pytest
import typer

from deconfound.cli import app as command_line
from deconfound.nn.collapse import CollapseWarning


def command() -> None:
    np.float32(1e38) * np.float32(1e38)
    np.float32(0) / np.float32(0)
    np.mean(np.array([]))
    warnings.warn("audio fell below 1% of its early spread", CollapseWarning, stacklevel=1)


def test_only_the_warnings_of_the_project_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()
    app.command()(command)
    monkeypatch.setattr(command_line, "app", app)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with pytest.raises(SystemExit):
            command_line.main([])
    assert [warning.category for warning in shown] == [CollapseWarning]
