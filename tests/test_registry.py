import importlib
import importlib.metadata
import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest
from pydantic import Field

from deconfound import registry
from deconfound.errors import SpecError
from deconfound.methods.erm import ERM
from deconfound.search import Search


def publish(monkeypatch, name: str, target: str) -> None:
    """Let a package publish an entry point of the kind "methods"."""
    point = importlib.metadata.EntryPoint(name, target, "deconfound.methods")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == "deconfound.methods" else [])


def test_components_of_other_packages_are_found_by_name(monkeypatch):
    publish(monkeypatch, "theirs", "deconfound.methods.cmir:CmIR")
    assert "theirs" in registry.names("methods")
    assert registry.get_class("methods", "theirs").__name__ == "CmIR"


def test_another_package_cannot_replace_a_component(monkeypatch):
    publish(monkeypatch, "erm", "deconfound.methods.cmir:CmIR")
    assert registry.get_class("methods", "erm") is ERM


def test_unknown_kinds_and_names_are_refused():
    with pytest.raises(SpecError, match="did you mean 'methods'"):
        registry.names("method")
    with pytest.raises(SpecError, match="there is no encoder 'gur'; did you mean 'gru'"):
        registry.get_class("encoders", "gur")


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_component_has_a_schema(kind):
    for name in registry.names(kind):
        model = registry.arguments(registry.get_class(kind, name))
        assert all(field.description for field in model.model_fields.values()), name
        assert registry.validate_arguments(kind, name, {}).keys() == model.model_fields.keys()


@dataclass(frozen=True)
class Shape:
    width: Annotated[int, Field(ge=1, description="width"), Search(1, 8)] = 4
    depth: Annotated[int, Field(ge=1, description="depth")] = 2


class Grouped:
    def __init__(
        self,
        size: int,
        *,
        rate: Annotated[float, Field(ge=0, description="rate")],
        shape: Annotated[Shape, registry.Flat()] = Shape(depth=3),
    ) -> None:
        self.size, self.rate, self.shape = size, rate, shape


def test_a_group_of_arguments_is_flat_for_users_and_whole_for_the_constructor(monkeypatch):
    publish(monkeypatch, "grouped", "unused:Grouped")
    monkeypatch.setattr(registry, "get_class", lambda kind, name: Grouped)
    fields = registry.arguments(Grouped).model_fields
    assert list(fields) == ["rate", "width", "depth"]
    assert (fields["width"].default, fields["depth"].default) == (4, 3), "the component may change a default"
    assert fields["width"].description == "width"
    assert Search(1, 8) in fields["width"].metadata
    assert registry.validate_arguments("methods", "grouped", {"rate": 1.0, "width": 5}) == {
        "rate": 1.0,
        "width": 5,
        "depth": 3,
    }
    component = registry.build("methods", "grouped", 7, rate=1.0, width=5)
    assert (component.size, component.rate, component.shape) == (7, 1.0, Shape(5, 3))
    with pytest.raises(SpecError, match="grouped: width = 0: input should be greater"):
        registry.build("methods", "grouped", 7, rate=1.0, width=0)
    with pytest.raises(SpecError, match="there is no argument 'shape'"):
        registry.build("methods", "grouped", 7, rate=1.0, shape={"width": 5})


@pytest.mark.parametrize("kind", ["methods", "penalties", "augmentations", "encoders", "fusions"])
def test_no_component_overrides_an_implemented_method(kind):
    home, base_name = registry.KINDS[kind]
    base = getattr(importlib.import_module(home), base_name)
    for name in registry.names(kind):
        component = registry.get_class(kind, name)
        line = [parent for parent in inspect.getmro(component) if issubclass(parent, base)]
        for number, child in enumerate(line):
            for attribute, value in vars(child).items():
                inherited = next(
                    (vars(parent)[attribute] for parent in line[number + 1 :] if attribute in vars(parent)), None
                )
                implemented = inherited is not None and not getattr(inherited, "__isabstractmethod__", False)
                if inspect.isfunction(value) or isinstance(value, property):
                    assert not implemented or attribute.startswith("__"), f"{child.__name__}.{attribute} overrides"
