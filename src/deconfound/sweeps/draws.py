"""Hyper-parameter draws of a sweep: random values in the search space of a method."""

from __future__ import annotations

import math
from typing import Any

import torch

from deconfound.corruption import seeded
from deconfound.sweeps.search_space import Dimension, search_space
from deconfound.sweeps.spec import MethodEntry, SweepSpec


def draw_values(spec: SweepSpec, method: MethodEntry, draw: int) -> dict[str, dict[str, Any]]:
    """The values of one draw; draw 0 is the default and draws nothing.

    A value follows from the seed of the draws, the label of the method, the number of the draw and the argument's name.
    More draws, methods or arguments leave it as it is. What a [[method]] table sets is not drawn.

    Returns:
        Table → argument → value. The tables are the keys of `MethodEntry.parts`, "backbone" and "train"; those without a
        drawn value are empty.

    Raises:
        SpecError: a search range that does not fit, see `search_space`.
    """
    values: dict[str, dict[str, Any]] = {table: {} for table in (*method.parts, "backbone", "train")}
    dimensions = search_space(method, spec.base, spec.search)
    if draw > 0:
        for dimension in dimensions:
            table, name = dimension.table, dimension.name
            generator = seeded("sweep", spec.draw_seed, method.title, draw, table, name)
            values[table][name] = draw_value(dimension, generator)
    return values


def draw_value(dimension: Dimension, generator: torch.Generator) -> float | int:
    """A random number in [low, high], uniform or uniform in the logarithm.

    A whole number is as likely as its share of the range. Other numbers are rounded to six significant digits.
    """
    share = float(torch.rand((), generator=generator, dtype=torch.float64))
    low, high = dimension.low, dimension.high
    if dimension.integer:  # half a step wider at both ends, so that the ends are as likely as the numbers between them
        low, high = max(low - 0.5, low / 2), high + 0.5
    value = math.exp(math.log(low) + share * math.log(high / low)) if dimension.log else low + share * (high - low)
    if dimension.integer:
        return min(max(round(value), math.ceil(dimension.low)), math.floor(dimension.high))
    return float(f"{min(max(value, dimension.low), dimension.high):.6g}")
