"""The command line, `deconfound`."""

from deconfound.cli.app import main

__all__ = ["main"]
