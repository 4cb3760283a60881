"""A method inside another one: `inner` names the method that predicts from the parts that the outer one makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from deconfound.data.signal import Batch, EncodedBatch, Signal
from deconfound.errors import SpecError
from deconfound.method import Method
from deconfound.method_names import PLAIN, inner_name
from deconfound.nn.backbone import Backbone
from deconfound.nn.cmir_arguments import PredictOn
from deconfound.registry import build, validate_arguments


def _arguments(choice: str | Mapping[str, Any]) -> dict[str, Any]:
    return {} if isinstance(choice, str) else {key: value for key, value in choice.items() if key != "name"}


def _complete(choice: str | dict[str, Any]) -> str | dict[str, Any]:
    """A table with all arguments of the method."""
    name = inner_name(choice)
    return choice if choice == PLAIN else {"name": name, **validate_arguments("methods", name, _arguments(choice))}


Inner = Annotated[
    str | dict[str, Any],
    AfterValidator(_complete),
    Field(description="method that predicts from the invariant parts: a name, or a table with name and arguments"),
]


def make_inner(choice: str | Mapping[str, Any], backbone: Backbone) -> Method:
    """Build the chosen method on this backbone.

    Args:
        choice: a name, or a table with name and arguments.

    Raises:
        SpecError: an unknown name or argument, or a method that this backbone does not suit.
    """
    method = build("methods", inner_name(choice), backbone, **_arguments(choice))
    if method.hooks.fit is not None:
        raise SpecError(
            f"inner = {inner_name(choice)!r} is fitted at once, and an inner method is trained in steps; choose another"
        )
    return method


def encoded_views(batch: Batch, signals: Mapping[str, Signal], parts: Mapping[str, Tensor]) -> list[EncodedBatch]:
    """One encoded batch per view of the same rows.

    Args:
        signals: standardised signals of B rows, or of all V·B rows, one view after the other.
        parts: {(V, B, D)} features of the views.
    """
    kept = {name: views.masked_fill(~batch.present[name][:, None], 0) for name, views in parts.items()}
    count, made = len(batch), []
    for view in range(len(next(iter(kept.values())))):
        standardised = {}
        for name, signal in signals.items():
            start = view * count if len(signal) > count else 0
            standardised[name] = signal.select(torch.arange(start, start + count, device=batch.ids.device))
        features = {name: views[view] for name, views in kept.items()}
        about = (batch.target, batch.ids, batch.env, standardised, features)
        made.append(EncodedBatch(batch.signals, *about, weight=batch.weight, view=batch.view, own=batch.own))
    return made


def weighted(views: Sequence[EncodedBatch], predict_on: PredictOn) -> list[tuple[float, Batch]]:
    """The views to predict, with weights that sum to 1. The first view is the clean one; "both" gives it a half."""
    clean, noisy = views[:1], views[1:]
    if predict_on == "clean":
        return [(1.0, view) for view in clean]
    share = 1.0 if predict_on == "noisy" else 0.5
    predicted: list[tuple[float, Batch]] = [(share / len(noisy), view) for view in noisy]
    return predicted if predict_on == "noisy" else [(0.5, clean[0]), *predicted]
