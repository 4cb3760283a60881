"""Encoders from the words of a specification, or from a module of the user."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from deconfound.data.task import Modality
from deconfound.errors import SpecError
from deconfound.nn.layers import in_eval_mode
from deconfound.registry import arguments, build, get_class

DEFAULT_ENCODERS: Mapping[str, str] = MappingProxyType(
    {"vector": "mlp", "sequence": "gru", "image": "cnn", "tokens": "pretrained-text"}
)
"""Kind of modality → encoder where none is named."""

EncoderChoice = str | Mapping[str, Any] | nn.Module


def make_component(kind: str, choice: Mapping[str, Any], shared: Mapping[str, Any], *positional: Any) -> Any:
    """A component of the registry with the chosen arguments and the `shared` ones that it accepts."""
    if "name" not in choice:
        raise SpecError(f"{kind}: a table needs a 'name'; got {dict(choice)}")
    accepted = arguments(get_class(kind, choice["name"])).model_fields
    inherited = {key: value for key, value in shared.items() if key in accepted}
    own = {key: value for key, value in choice.items() if key != "name"}
    return build(kind, choice["name"], *positional, **{**inherited, **own})


def chosen_encoders(modalities: Mapping[str, Modality], choices: Mapping[str, Any]) -> dict[str, str]:
    """Modality → name of its encoder, the default of its kind where a specification chooses none."""
    chosen = {name: choices.get(name, DEFAULT_ENCODERS[modality.kind]) for name, modality in modalities.items()}
    return {
        name: str(choice.get("name", choice.get("python"))) if isinstance(choice, Mapping) else str(choice)
        for name, choice in chosen.items()
    }


def make_encoder(
    modality: Modality, choice: EncoderChoice | None, hidden: int, shared: Mapping[str, Any]
) -> tuple[nn.Module, int]:
    """The chosen encoder of a modality, by default that of its kind, and its width H."""
    if isinstance(choice, nn.Module):
        return choice, _width_of(choice, modality)
    if choice is None:
        choice = DEFAULT_ENCODERS[modality.kind]
    table = {"name": choice} if isinstance(choice, str) else choice
    encoder = make_component("encoders", table, shared, modality, hidden)
    return encoder, encoder.width


def _width_of(module: nn.Module, modality: Modality) -> int:
    """H of a user's module, from one call in eval mode on two rows of zeros, the second without any step."""
    dtype = torch.int64 if modality.kind == "tokens" else torch.float32
    parameter = next(module.parameters(), torch.empty(0))
    values = torch.zeros(2, modality.steps, *modality.shape, dtype=dtype, device=parameter.device)
    mask = torch.tensor([[True], [False]], device=parameter.device).expand(2, modality.steps)
    try:
        with in_eval_mode(module), torch.no_grad():
            features = module(values, mask)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise SpecError(
            f"the module for {modality} failed on values {tuple(values.shape)} and mask {tuple(mask.shape)}: {reason}; it is "
            "called as module(values, mask), and returns (B, H) floats for rows of any number of steps"
        ) from error
    if not isinstance(features, Tensor) or features.ndim != 2 or len(features) != 2 or not features.is_floating_point():
        got = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise SpecError(f"the module for {modality} must return (B, H) floats; for B = 2 it returned {got}")
    return features.shape[1]
