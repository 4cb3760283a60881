"""Swaps: partners, and decoders whose answer is known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from deconfound.data.task import Modality, Task
from deconfound.diagnostics.swap import decoded, partners
from deconfound.method import Method, MethodHooks, Representations
from deconfound.methods.cmir import CmIR
from deconfound.methods.erm import ERM
from deconfound.nn.backbone import Backbone
from deconfound.nn.cmir_arguments import Shape

FORMS = {"a": Modality("a", 1, (4,)), "b": Modality("b", 1, (3,))}


@given(env=st.lists(st.integers(0, 3), min_size=1, max_size=25), same=st.booleans(), seed=st.integers(0, 50))
def test_partners_are_others_of_the_right_environment(env: list[int], same: bool, seed: int) -> None:
    numbers = np.array(env)
    rows, partner = partners(numbers, same, np.random.default_rng(seed))
    assert len(set(rows)) == len(rows)
    assert ((numbers[rows] == numbers[partner]) == same).all()
    assert (rows != partner).all()
    alone = {i for i, e in enumerate(env) if (env.count(e) == 1 if same else len(set(env)) == 1)}
    assert set(rows) == set(range(len(env))) - alone


class Sum(ERM):
    """Decodes 2 · predictive + 0.5 · spurious."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone)
        self.hooks = MethodHooks(reconstruct=self._decode)

    def _decode(self, parts: Representations) -> Mapping[str, Tensor]:
        return {name: 2 * parts.predictive[name] + 0.5 * parts.spurious[name] for name in parts.predictive}


def test_decoded_movement_is_that_of_the_decoder() -> None:
    generator = torch.Generator().manual_seed(0)
    parts = Representations(*({name: torch.randn(40, 3, generator=generator) for name in FORMS} for _ in range(2)))
    present = {"a": np.ones(40, dtype=bool), "b": np.arange(40) < 5}
    rows = np.arange(40)
    partner = np.roll(rows, 1)
    method = Sum(Backbone.build(FORMS, Task.regression(), hidden=4))
    (found,) = decoded(method, present, parts, rows, partner, "other")  # of b there are too few pairs
    inv, spu = (side["a"].numpy() - side["a"].numpy()[partner] for side in (parts.predictive, parts.spurious))
    assert found.modality == "a"
    assert found.predictive == pytest.approx(2 * np.sqrt((inv**2).mean()), rel=1e-5)
    assert found.spurious == pytest.approx(0.5 * np.sqrt((spu**2).mean()), rel=1e-5)
    assert found.both == pytest.approx(np.sqrt(((2 * inv + 0.5 * spu) ** 2).mean()), rel=1e-5)
    plain: Method = ERM(Backbone.build(FORMS, Task.regression(), hidden=4))
    assert decoded(plain, present, parts, rows, partner, "other") == []


def test_cmir_rebuilds_what_its_loss_rebuilds() -> None:
    backbone = Backbone.build({"a": FORMS["a"], "b": FORMS["b"]}, Task.regression(), hidden=6)
    method = CmIR(backbone, shape=Shape(dim=3)).eval()
    parts = Representations(*({name: torch.randn(5, 3) for name in FORMS} for _ in range(2)))
    rebuilt = method.reconstruct(parts)
    assert rebuilt is not None
    assert {name: tuple(values.shape) for name, values in rebuilt.items()} == {"a": (5, 6), "b": (5, 6)}
    group = method.splitter.members()[0]
    stacked = group.split.decode(group.stack(parts.predictive), group.stack(parts.spurious))
    for number, name in enumerate(group.names):
        assert torch.equal(rebuilt[name], stacked[number])
