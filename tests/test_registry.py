import importlib.metadata

import pytest

from deconfound import registry
from deconfound.errors import SpecError
from deconfound.methods.erm import ERM


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
