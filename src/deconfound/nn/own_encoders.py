"""Encoders of the user: modules that are copied before they are trained, or classes and functions that make them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from deconfound.errors import SpecError

OwnEncoder = nn.Module | Callable[[], nn.Module]
"""A module, or a class or function without arguments that makes one."""


def fresh_modules(encoders: Mapping[str, OwnEncoder]) -> dict[str, nn.Module]:
    """New modules to train; those of the user stay as they are.

    A module is copied with its weights; one that stands for several modalities stays one. A class or function is called,
    so its weights come from the random numbers of PyTorch at that moment.

    Args:
        encoders: modality → module, or what makes it.

    Raises:
        SpecError: a module cannot be copied, a class or function needs arguments or fails, or makes no module.
    """
    copies: dict[int, Any] = {}
    return {
        name: _copied(name, encoder, copies) if isinstance(encoder, nn.Module) else _made(name, encoder)
        for name, encoder in encoders.items()
    }


def name_of(encoder: OwnEncoder) -> str:
    """Dotted name of the class of a module, or of what makes it, for the specification of a run."""
    maker = type(encoder) if isinstance(encoder, nn.Module) else getattr(encoder, "func", encoder)
    named = maker if hasattr(maker, "__qualname__") else type(maker)
    return f"{named.__module__}.{named.__qualname__}"


def _copied(name: str, module: nn.Module, copies: dict[int, Any]) -> nn.Module:
    try:
        return copy.deepcopy(module, copies)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise SpecError(
            f"the module for {name!r} ({type(module).__name__}) cannot be copied ({reason}); pass its class, or a function "
            "that makes one"
        ) from error


def _made(name: str, maker: Callable[[], nn.Module]) -> nn.Module:
    expected = f"the encoder of {name!r} must be a module, or a class or function without arguments that makes one"
    if not callable(maker):
        raise SpecError(f"{expected}; got {maker!r}")
    try:
        module = maker()
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise SpecError(f"{expected}; {name_of(maker)} failed ({reason})") from error
    if not isinstance(module, nn.Module):
        raise SpecError(f"{expected}; {name_of(maker)} made {module!r}")
    return module
