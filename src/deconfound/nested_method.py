"""The method that predicts from what another method makes of the features: `inner` among the latter's arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from deconfound.data.signal import Batch, EncodedBatch, Signal
from deconfound.method import Method
from deconfound.method_names import PLAIN, inner_name
from deconfound.nn.backbone import Backbone
from deconfound.registry import build, validate_arguments


def _arguments(given: str | Mapping[str, Any]) -> dict[str, Any]:
    return {} if isinstance(given, str) else {key: value for key, value in given.items() if key != "name"}


def _filled(given: str | dict[str, Any]) -> str | dict[str, Any]:
    """A table with all arguments of the method."""
    name = inner_name(given)
    return given if given == PLAIN else {"name": name, **validate_arguments("methods", name, _arguments(given))}


PredictOn = Literal["clean", "noisy", "both"]
Inner = Annotated[
    str | dict[str, Any],
    AfterValidator(_filled),
    Field(description="method that predicts from the invariant parts: a name, or a table with name and arguments"),
]


def make_inner(given: str | Mapping[str, Any], backbone: Backbone) -> Method:
    """The method on this backbone.

    Raises:
        SpecError: an unknown name or argument, or a method that this backbone does not suit.
    """
    return build("methods", inner_name(given), backbone, **_arguments(given))


def encoded_views(
    batch: Batch, names: Sequence[str], signals: Mapping[str, Signal], parts: Tensor, present: Tensor
) -> list[EncodedBatch]:
    """The rows once per view, with what the views make of them.

    Args:
        names: of the M modalities.
        signals: standardised, of B rows, or of all V·B rows of the views one after the other.
        parts: (M, V, B, D).
        present: (M, B) bool.
    """
    kept, count = parts.masked_fill(~present[:, None, :, None], 0), len(batch)
    views = []
    for view in range(parts.shape[1]):
        seen = {}
        for name, signal in signals.items():
            start = view * count if len(signal) > count else 0
            seen[name] = signal.select(torch.arange(start, start + count, device=batch.ids.device))
        features = dict(zip(names, kept[:, view], strict=True))
        views.append(EncodedBatch(batch.signals, batch.target, batch.ids, batch.env, seen, features))
    return views


def weighted(views: Sequence[EncodedBatch], predict_on: PredictOn) -> list[tuple[float, Batch]]:
    """The views that are predicted, the clean one being the first, with weights that sum to 1; "both" gives it a half."""
    clean, noisy = views[:1], views[1:]
    if predict_on == "clean":
        return [(1.0, view) for view in clean]
    share = 1.0 if predict_on == "noisy" else 0.5
    found: list[tuple[float, Batch]] = [(share / len(noisy), view) for view in noisy]
    return found if predict_on == "noisy" else [(0.5, clean[0]), *found]
