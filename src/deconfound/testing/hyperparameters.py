"""`check_hyperparameters`: each argument of a component changes something."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType, NoneType
from typing import Any, Literal, get_args, get_origin

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from deconfound.data.dataset import Dataset
from deconfound.data.task import Modality, Task
from deconfound.errors import DataError, SpecError
from deconfound.registry import arguments, construct, validate_for
from deconfound.search import Search
from deconfound.testing.effects import Kind, effects
from deconfound.testing.examples import MODALITIES, learnable_dataset

Values = dict[str, Any]


def check_hyperparameters(
    kind: Kind,
    component: type[Any],
    *,
    modalities: Mapping[str, Modality] = MODALITIES,
    task: Task | None = None,
    choices: Mapping[str, Sequence[Any]] = MappingProxyType({}),
    beside: Mapping[str, Values] = MappingProxyType({}),
    exempt: Sequence[str] = (),
    seed: int = 0,
) -> None:
    """Check that each hyper-parameter of a component matters. No state of the caller changes.

    The law: for each keyword-only argument there is another value, alone or beside one other choice of words, that changes
    what the component does on a small dataset. For a method that is its parameters, loss, prediction or
    variants in a few epochs; for a penalty its parameters, value or weight; for an augmentation or a corruption the rows.
    The values come from the annotations: the choices of a `Literal`, the ends of ranges, half and twice the default, and
    the names of the modalities for text.

    Args:
        kind: kind of component.
        component: its class.
        modalities: forms of the input.
        task: of the method; a regression unless given.
        choices: argument → values to try, for arguments whose annotation does not tell them.
        beside: argument → values of other arguments without which it has no use, such as the weight of the term that it
            belongs to.
        exempt: arguments that are documented to change nothing here, such as names.
        seed: of the weights and the rows.

    Raises:
        AssertionError: an argument changes nothing; the message names it.
    """
    dataset = learnable_dataset(modalities, task or Task.regression(), torch.Generator().manual_seed(seed))
    candidates = _candidates(component, list(modalities), choices)
    unknown = set(exempt) - candidates.keys()
    assert not unknown, f"exempt: {component.__name__} has no arguments {sorted(unknown)}"
    with torch.random.fork_rng(devices=[]):
        probe = _Probe(kind, component, dataset, _required(component, candidates), seed)
        idle = [
            name
            for name in candidates
            if name not in exempt and not _matters(probe, name, candidates, beside.get(name))
        ]
    assert not idle, f"idle hyper-parameters: no other value of {', '.join(idle)} changes anything"


def _required(component: type[Any], candidates: Mapping[str, Sequence[Any]]) -> Values:
    """A value for each argument without a default."""
    fields = arguments(component).model_fields
    return {name: values[0] for name, values in candidates.items() if fields[name].is_required()}


class _Probe:
    """Runs a component with some arguments and compares the effects; those of a reference are kept."""

    def __init__(self, kind: Kind, component: type[Any], dataset: Dataset, required: Values, seed: int) -> None:
        self._kind: Kind = kind
        self._component, self._dataset, self._required, self._seed = component, dataset, required, seed
        self._kept: dict[str, tuple[Tensor, ...]] = {}

    def differs(self, context: Values, changed: Values) -> bool:
        """Whether the effects differ; False where the arguments exclude each other."""
        try:
            reference = self._kept.setdefault(repr(context), tuple(self._effects(context)))
            return _differ(reference, self._effects(changed))
        except (SpecError, DataError):
            return False

    def _effects(self, values: Values) -> Iterator[Tensor]:
        torch.manual_seed(self._seed)
        checked = validate_for(self._component, self._component.__name__, {**self._required, **values})

        def make(*positional: Any) -> Any:
            return construct(self._component, checked, *positional)

        yield from effects(self._kind, make, self._dataset)


def _differ(reference: Iterable[Tensor], others: Iterable[Tensor]) -> bool:
    """Stops at the first difference, so that most arguments cost one step."""
    others = iter(others)
    for value in reference:
        other = next(others, None)
        if other is None or value.shape != other.shape or not torch.equal(value, other):
            return True
    return next(others, None) is not None


def _matters(probe: _Probe, name: str, candidates: Mapping[str, Sequence[Any]], beside: Values | None) -> bool:
    words = [(other, value) for other, values in candidates.items() for value in values if isinstance(value, str)]
    contexts = [{}, *({other: value} for other, value in words if other != name)] if beside is None else [beside]
    return any(probe.differs(context, {**context, name: value}) for context in contexts for value in candidates[name])


def _candidates(
    component: type[Any], modalities: Sequence[str], choices: Mapping[str, Sequence[Any]]
) -> dict[str, list[Any]]:
    """Argument → other values that are valid."""
    fields = arguments(component).model_fields
    candidates: dict[str, list[Any]] = {}
    for name, field in fields.items():
        default = None if field.is_required() else field.default
        proposed = choices.get(name) or _proposed(field.annotation, field.metadata, default, modalities)
        valid = TypeAdapter[Any](field.rebuild_annotation())
        candidates[name] = [value for value in proposed if value != default and _is_valid(valid, value)]
        assert candidates[name], f"{name}: its annotation tells no other value; give some under choices"
    return candidates


def _is_valid(values: TypeAdapter[Any], value: Any) -> bool:
    try:
        values.validate_python(value)
    except ValidationError:
        return False
    return True


def _proposed(annotation: Any, metadata: Sequence[Any], default: Any, modalities: Sequence[str]) -> list[Any]:
    kinds = {kind for kind in (get_args(annotation) or (annotation,)) if kind is not NoneType}
    literal = next((part for part in (annotation, *get_args(annotation)) if get_origin(part) is Literal), None)
    if literal is not None:
        return list(get_args(literal))
    if annotation is bool:
        return [not default]
    if kinds & {int, float}:
        ends = [getattr(item, end) for item in metadata for end in ("low", "high") if isinstance(item, Search)]
        ends += [
            getattr(item, end) for item in metadata for end in ("ge", "le") if getattr(item, end, None) is not None
        ]
        start = default or 1
        numbers = [*ends, 2 * start, start / 2, 0, 1]
        return [int(number) if int in kinds else float(number) for number in numbers]
    if str in kinds:
        return list(modalities)
    return [[name] for name in modalities]  # lists of modalities
