"""What is wrong with a checkpoint that does not fit the method it should be loaded into."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from deconfound.errors import RunError
from deconfound.method import Method
from deconfound.nn.layers import module_key
from deconfound.runs.spec import Spec


def first_difference(stored: Mapping[str, Tensor], built: Mapping[str, Tensor]) -> str | None:
    """The first parameter or buffer that differs, as "backbone.encoders.text.layer.weight is 8×4 there and 16×4 here".

    Args:
        stored: name → tensor of the checkpoint.
        built: the same of the method.

    Returns:
        None where names and shapes agree.
    """
    for name in [*built, *(name for name in stored if name not in built)]:
        if name not in stored:
            return f"{name} is not in the checkpoint"
        if name not in built:
            return f"{name} is in the checkpoint only"
        if stored[name].shape != built[name].shape:
            return f"{name} is {_size(stored[name])} in the checkpoint and {_size(built[name])} here"
    return None


def _size(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "one number"


def put_weights(method: Method, weights: Mapping[str, Tensor], run: Path, spec: Spec) -> None:
    """Load weights of a checkpoint of a run into its method.

    Args:
        weights: name → tensor.
        run: the run directory.
        spec: its specification.

    Raises:
        RunError: a name or shape differs; the error names it and, where it is in an encoder of the user, that encoder.
    """
    try:
        method.load_state_dict(weights)
    except RuntimeError as error:
        raise _misfit(run, spec, first_difference(weights, method.state_dict()) or str(error)) from error


def _misfit(run: Path, spec: Spec, difference: str) -> RunError:
    own = [name for name, choice in spec.backbone.encoders.items() if isinstance(choice, dict) and "python" in choice]
    owner = next((name for name in own if f"encoders.{module_key(name)}." in difference), None)
    if owner is not None:
        return RunError(
            f"the encoder of {owner!r} is not the one that {run} was trained with ({difference}); pass the module, "
            "or its class, with the sizes it had then"
        )
    return RunError(
        f"the checkpoint of {run} does not fit its specification (method "
        f"{spec.method['name']}; {difference}); it belongs to another run, or to a version that did not scale the "
        "targets of a regression; delete the run and train again"
    )
