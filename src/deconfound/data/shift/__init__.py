"""Splits that are out of distribution on purpose: rows are exchanged until attributes tell the label differently in test."""

from deconfound.data.shift.build import Shift, shift_split

__all__ = ["Shift", "shift_split"]
