"""`Protocol`: a named set of metrics, with the rows and classes that enter each of them.

A value belongs to its protocol: two protocols may use one word ("acc-2") for different things. Values are shares and
target units, never percent, never rounded. `None` is the value of a metric that the rows do not define:

- no row at all (for instance no non-zero label): every metric;
- `corr`: constant predictions, constant labels, or fewer than two rows;
- `r2`: constant labels or fewer than two rows;
- `auroc`: labels of one class only;
- of several labels a row: F1 where no label occurs in labels or predictions, `map` where none occurs in the labels.

Everything else is defined: a class that never occurs in the labels has no weight in a weighted F1 and no recall;
macro F1 runs over the classes that occur in labels or predictions; a .5 tie rounds to the even neighbour; two equal
logits mean the lower class number. Outputs that are not finite are an error, never a value.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any, ClassVar, Literal, final

import numpy as np

from deconfound.errors import DataError, SpecError
from deconfound.io.python_file import load_class, names_file
from deconfound.metric import Measure, Metric, Score, all_rows, unchanged
from deconfound.registry import get_class, names
from deconfound.scoring.weights import Array

TaskKind = Literal["regression", "classification", "multilabel"]
_INPUTS: Mapping[TaskKind, tuple[str, ...]] = {
    "regression": ("values",),
    "classification": ("classes", "logits"),
    "multilabel": ("label-logits",),
}
_SHAPES = {
    "regression": "(N, 1) outputs against (N,) labels",
    "classification": "(N, C) outputs against (N,) labels",
    "multilabel": "(N, L) outputs against (N, L) labels",
}


class Protocol(ABC):
    """A named set of metrics: one module of `deconfound.protocols`, found by its name.

    Args:
        name: under which it is registered, and which records carry.
    """

    kind: ClassVar[TaskKind]
    """Which tasks it judges."""
    metrics: ClassVar[Mapping[str, Measure]]
    """Name → measure of each metric that an evaluation records."""
    primary: ClassVar[str]
    """The metric that a table shows first."""
    source: ClassVar[str]
    """Where the definition comes from."""
    label_range: ClassVar[tuple[float, float] | None] = None
    """The least and greatest label that its metrics are made for; None for any."""
    transform: ClassVar[Callable[[Array], Array]] = staticmethod(unchanged)
    """What the other registered metrics are computed on, see `Measure.transform`."""
    rows: ClassVar[Callable[[Array], Array]] = staticmethod(all_rows)
    """The rows that enter the other registered metrics, see `Measure.rows`."""

    @final
    def __init__(self, name: str) -> None:
        self.name = name

    @final
    @cached_property
    def measurable(self) -> Mapping[str, Measure]:
        """Name → measure of each metric that kept predictions give: the recorded ones, then the other registered ones."""
        registered: dict[str, Metric] = {name: get_class("metrics", name)() for name in names("metrics")}
        others = {
            name: Measure(metric, type(self).transform, type(self).rows)
            for name, metric in registered.items()
            if name not in self.metrics and metric.inputs in _INPUTS[self.kind]
        }
        return {**self.metrics, **others}

    @final
    def measures(self, chosen: Sequence[str] = ()) -> Mapping[str, Measure]:
        """The measurable metrics, and those among the `chosen` ones that are named "file.py:Class".

        Raises:
            SpecError: a file or a class is refused, or the metric is for the other kind of task.
        """
        own: dict[str, Measure] = {}
        for reference in filter(names_file, chosen):
            component: type[Any] = load_class(reference, Metric)
            metric: Metric = component()
            if metric.inputs not in _INPUTS[self.kind]:
                raise SpecError(
                    f"{reference} takes {metric.inputs}, which a {self.kind} does not have; name another metric"
                )
            own[reference] = Measure(metric, type(self).transform, type(self).rows)
        return {**self.measurable, **own}

    @final
    def score(self, output: Array, target: Array) -> dict[str, Score]:
        """All recorded metrics of N rows.

        Args:
            output: (N, 1) predictions or (N, C) logits.
            target: (N,) labels or class numbers in [0, C), or (N, L) labels of 0 and 1.

        Returns:
            metric → `Score`; a metric for another number of classes is left out.

        Raises:
            DataError: shapes that do not fit, or an output or label that is not finite.
        """
        output, target = np.asarray(output), np.asarray(target)
        shape = output.shape if self.kind == "multilabel" else output.shape[:1]
        if output.ndim != 2 or target.shape != shape or (self.kind == "regression" and output.shape[1] != 1):
            raise DataError(f"{self.name} judges {_SHAPES[self.kind]}; got {output.shape} and {target.shape}")
        wrong = np.asarray(~np.isfinite(np.column_stack([output, target])).all(axis=1))
        if wrong.any():
            raise DataError(
                f"{self.name}: {int(wrong.sum())} of {len(wrong)} rows hold NaN or infinity (the first is row "
                f"{int(wrong.argmax())}); a metric needs finite predictions and labels"
            )
        return {
            name: measure.score(output, target)
            for name, measure in self.metrics.items()
            if measure.is_defined_for(output.shape[1])
        }


@cache
def get_protocol(name: str) -> Protocol:
    """The protocol of a name.

    Raises:
        DataError: no protocol has the name.
    """
    try:
        return get_class("protocols", name)(name)
    except SpecError as error:
        raise DataError(str(error)) from error


def protocol_of(name: str, kind: str) -> Protocol:
    """The protocol of a task.

    Raises:
        DataError: no protocol has the name, or it judges the other kind of task.
    """
    protocol = get_protocol(name)
    if protocol.kind != kind:
        fitting = ", ".join(other for other in names("protocols") if get_protocol(other).kind == kind)
        raise DataError(f"the protocol {name!r} judges {protocol.kind}, the task is {kind}; use one of: {fitting}")
    return protocol


def label_range_warning(name: str, target: Array) -> str | None:
    """One line if labels leave the range of a protocol, or fill less than half of it; None otherwise.

    Args:
        name: of the protocol.
        target: (N,) labels.

    Raises:
        DataError: no protocol has the name.
    """
    limits = get_protocol(name).label_range
    if limits is None or not len(target):
        return None
    low, high = float(np.min(target)), float(np.max(target))
    beyond = int(((target < limits[0]) | (target > limits[1])).sum())
    if not beyond and (low == high or max(-low, high) * 2 > max(-limits[0], limits[1])):
        return None
    fault = f"{beyond} of {len(target)} labels are beyond it" if beyond else "they fill less than half of it"
    return (
        f"labels lie in [{low:.4g}, {high:.4g}], the protocol {name!r} is for [{limits[0]:g}, {limits[1]:g}]: {fault}; "
        "import with the --protocol of this corpus, or correct the labels"
    )
