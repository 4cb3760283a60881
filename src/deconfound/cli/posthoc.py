"""Options that `predict` and `evaluate` share: what is changed of a run's predictions afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from deconfound.errors import SpecError

if TYPE_CHECKING:
    from deconfound.runs.posthoc import Calibration, Prior
    from deconfound.runs.run import Run


class Calibrate(StrEnum):
    """How probabilities are calibrated."""

    temperature = "temperature"
    isotonic = "isotonic"


CalibrateOption = Annotated[
    Calibrate | None, typer.Option(help="Fit the probabilities to the validation rows: temperature or isotonic.")
]
PriorOption = Annotated[
    str | None, typer.Option(help="Shares of the classes among the rows: train, uniform, or 'CLASS=SHARE,...'.")
]
IntervalOption = Annotated[
    float | None, typer.Option(help="Of a regression: intervals that hold this share of labels, such as 0.9.")
]
SetOption = Annotated[
    float | None, typer.Option("--set", help="Of a classification: sets of classes that hold this share of labels.")
]
ByOption = Annotated[
    list[str] | None, typer.Option(help="Metadata column whose values have intervals or sets of their own; repeatable.")
]


@dataclass(frozen=True)
class PosthocChoices:
    """The values of the options.

    Args:
        calibrate: "temperature", "isotonic" or None.
        prior: as `parse_prior` gives it.
        interval, set_level: levels; None for no intervals or sets.
        by: metadata columns.
    """

    calibrate: Calibration | None = None
    prior: Prior | None = None
    interval: float | None = None
    set_level: float | None = None
    by: list[str] | None = None


NOTHING = PosthocChoices()


def parse_prior(text: str | None) -> Prior | None:
    """The prior in an option.

    Raises:
        SpecError: it is neither a name nor a list of classes with their shares.
    """
    if text is None or text == "train" or text == "uniform":
        return text
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, equals, number = part.rpartition("=")
        try:
            shares[name.strip()] = float(number)
        except ValueError:
            equals = ""
        if not equals:
            raise SpecError(
                f"--prior {text!r}: give train, uniform, or a share for each class, such as 'no=0.9,yes=0.1'"
            )
    return shares


def level_of(run: Run, interval: float | None, set_level: float | None, by: list[str] | None) -> float | None:
    """The level that was asked for, of the kind that fits the run.

    Raises:
        SpecError: an interval of a classification, a set of a regression, or columns without either.
    """
    regression = run.task.kind == "regression"
    asked, other = (interval, set_level) if regression else (set_level, interval)
    if other is not None:
        mine, theirs = ("--interval", "--set") if regression else ("--set", "--interval")
        raise SpecError(f"{theirs} is not for a {run.task.kind}, which {run.path} is; give {mine} {other:g}")
    if by and asked is None:
        raise SpecError(f"--by {by[0]} goes with {'--interval' if regression else '--set'}; give one, such as 0.9")
    return asked
