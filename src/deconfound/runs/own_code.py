"""Methods and encoders that are the user's own code: classes and modules in memory, or classes in files."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from deconfound.data.task import Modality
from deconfound.errors import RunError, SpecError
from deconfound.io.python_file import checksum, file_of, load_class, names_file
from deconfound.method import Method
from deconfound.nn.backbone import Backbone
from deconfound.nn.encoder import Encoder
from deconfound.nn.own_encoders import OwnEncoder, fresh_modules
from deconfound.registry import arguments, construct, validate_for
from deconfound.runs.spec import BackboneSpec, Spec

OwnMethod = type[Method] | Method
"""A subclass of `Method`, or a method on a backbone of its own."""


def method_table(choice: str | Mapping[str, Any] | OwnMethod) -> tuple[dict[str, Any], OwnMethod | None]:
    """The table [method] of a choice, and the class or method that it holds.

    Args:
        choice: a name, a table with "name" or "python", a subclass of `Method`, or a method.

    Raises:
        SpecError: "python" is neither a method nor the name of a file, or an argument that the class refuses.
    """
    if isinstance(choice, str):
        return {"name": choice}, None
    table = dict(choice) if isinstance(choice, Mapping) else {"python": choice}
    own = table.get("python")
    if own is None or names_file(own):
        return table, None
    made = isinstance(own, Method)
    component = type(own) if made else own
    if not isinstance(component, type) or not issubclass(component, Method):
        raise SpecError(f"a method is a name, a subclass of Method or 'file.py:Class'; got {own!r:.80}")
    values = {key: value for key, value in table.items() if key not in ("python", "name", "penalties", "augmentations")}
    if made and values:
        raise SpecError(f"{component.__name__} is made already; pass its class to give arguments ({', '.join(values)})")
    checked = {} if made else validate_for(component, component.__name__, values)
    reference = f"{component.__module__}.{component.__qualname__}"
    return {**table, "name": component.__name__, "python": reference, **checked}, own


def make_method(spec: Spec, modalities: Mapping[str, Modality], backbone: Backbone, own: OwnMethod | None) -> Method:
    """The method of a specification that names Python code, on a backbone; one that is made already keeps its own.

    Raises:
        RunError: the code lives in memory and is not there.
        SpecError: the file or the arguments are refused, or a method is for other modalities or another task.
    """
    reference = str(spec.method["python"])
    name = spec.method["name"]
    if names_file(reference):
        own = load_class(reference, Method)
    if own is None:
        raise RunError(f"the method {name} is Python code ({reference}); pass it: Run.open(PATH, method={name})")
    if isinstance(own, Method):
        if dict(own.backbone.modalities) != dict(modalities) or own.backbone.task != backbone.task:
            expected = ", ".join(map(str, modalities.values()))
            raise SpecError(f"the method {name} was made for other modalities or another task; expected {expected}")
        return copy.deepcopy(own)
    known = ("name", "python", "penalties", "augmentations")
    values = {key: value for key, value in spec.method.items() if key not in known}
    return construct(own, validate_for(own, name, values), backbone)


def own_encoders(
    spec: BackboneSpec, modalities: Mapping[str, Modality], encoders: Mapping[str, OwnEncoder]
) -> dict[str, nn.Module]:
    """Modality → fresh module of each encoder that the specification calls Python code.

    Raises:
        RunError: code that lives in memory is not there.
        SpecError: a file, a class or its arguments are refused.
    """
    in_memory: dict[str, OwnEncoder] = {}
    for name, choice in spec.encoders.items():
        if not isinstance(choice, dict) or "python" not in choice:
            continue
        if names_file(choice["python"]):
            if name in modalities:
                in_memory[name] = _from_file(choice, modalities[name], spec)
        elif name in encoders:
            in_memory[name] = encoders[name]
        else:
            raise RunError(
                f"the encoder of {name!r} is Python code ({choice['python']}); pass encoders={{{name!r}: module}}"
            )
    return fresh_modules(in_memory)


def _from_file(choice: Mapping[str, Any], modality: Modality, spec: BackboneSpec) -> OwnEncoder:
    """What makes the module: an `Encoder` takes the modality and the width first, another module its arguments alone."""
    component = load_class(choice["python"], nn.Module)
    values = {key: value for key, value in choice.items() if key != "python"}
    if not issubclass(component, Encoder):
        return partial(component, **values)
    accepted = arguments(component).model_fields
    shared = {"depth": spec.depth, "dropout": spec.dropout}
    inherited = {key: value for key, value in shared.items() if key in accepted}
    checked = validate_for(component, component.__name__, {**inherited, **values})
    return partial(construct, component, checked, modality, spec.hidden)


def code_files(spec: Spec) -> dict[str, str]:
    """File → SHA-256 of the Python code that a specification names.

    Raises:
        SpecError: a file cannot be read.
    """
    tables = [spec.method, *(choice for choice in spec.backbone.encoders.values() if isinstance(choice, dict))]
    references = [str(table["python"]) for table in tables if names_file(table.get("python"))]
    return {str(file_of(reference)): checksum(reference) for reference in references}


def check_code(spec: Spec, noted: Mapping[str, str], folder: Path) -> None:
    """Refuse to run code that is not the user's own file of the training: a run may come from somebody else.

    Args:
        noted: file → SHA-256 when training began.
        folder: of the run.

    Raises:
        RunError: a file lies in the run, has changed or was not noted.
        SpecError: it cannot be read.
    """
    for file, digest in code_files(spec).items():
        if Path(file).resolve().is_relative_to(folder.resolve()):
            raise RunError(f"the run {folder} brings its code along ({file}); code is run from your own files only")
        if noted.get(file) != digest:
            raise RunError(f"{file} is not the file that {folder} was trained with; restore it, or train again")
