"""The formulas against loops that are written as the formulas are read."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deconfound import causal
from deconfound.causal.effects import FORMULAS, conditional, evaluate
from deconfound.errors import DataError

SHAPE = (2, 3, 2, 2)


def table(seed, shape=SHAPE):
    p = np.random.default_rng(seed).dirichlet(np.ones(int(np.prod(shape)))).reshape(shape)
    return 0.9 * p + 0.1 / p.size


class Slow:
    """Probabilities of events, one sum at a time."""

    def __init__(self, p):
        self.p = p
        self.x, self.z, self.y, self.a = (range(n) for n in p.shape)

    def of(self, **event):
        chosen = tuple(event.get(letter, slice(None)) for letter in "xzya")
        return float(self.p[chosen].sum())

    def given(self, event, **condition):
        return self.of(**event, **condition) / self.of(**condition)

    def naive(self, x, y):
        return self.given({"y": y}, x=x)

    def naive_given(self, x, a, y):
        return self.given({"y": y}, x=x, a=a)

    def back_door(self, x, y):
        return sum(self.of(a=a) * self.given({"y": y}, x=x, a=a) for a in self.a)

    def front_door(self, x, y):
        return sum(
            self.given({"z": z}, x=x) * sum(self.given({"y": y}, x=w, z=z) * self.of(x=w) for w in self.x)
            for z in self.z
        )

    def beta_front_door_given(self, x, a, y):
        return sum(
            self.given({"z": z}, x=x, a=a)
            * sum(self.given({"y": y}, z=z, x=w, a=a) * self.given({"x": w}, a=a) for w in self.x)
            for z in self.z
        )

    def beta_front_door(self, x, y):
        return sum(self.of(a=a) * self.beta_front_door_given(x, a, y) for a in self.a)

    def mediator_effect(self, z, y):
        return sum(self.given({"y": y}, z=z, x=w, a=a) * self.of(x=w, a=a) for w, a in product(self.x, self.a))

    def mediator_effect_plain(self, z, y):
        return sum(self.given({"y": y}, z=z, x=w) * self.of(x=w) for w in self.x)

    def randomised_mediator_effect(self, x, y):
        return sum(self.given({"z": z}, x=x) * self.mediator_effect(z, y) for z in self.z)

    def joint_mediators(self, x, y):
        return sum(
            self.given({"z": z, "a": a}, x=x) * sum(self.given({"y": y}, z=z, a=a, x=w) * self.of(x=w) for w in self.x)
            for z, a in product(self.z, self.a)
        )


NAMES = [name for name in vars(Slow) if not name.startswith("_") and name not in ("of", "given")]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), shape=st.tuples(*[st.integers(1, 3)] * 4))
def test_every_formula_is_the_slow_one(seed, shape):
    p = table(seed, shape)
    slow = Slow(p)
    for name in NAMES:
        found = getattr(causal, name)(p)
        wanted = [getattr(slow, name)(*place) for place in np.ndindex(*found.shape)]
        np.testing.assert_allclose(found.ravel(), wanted, atol=1e-12)
        np.testing.assert_allclose(found.sum(axis=-1), 1)


def test_all_formulas_have_a_function():
    assert len(NAMES) == len(FORMULAS)


def test_a_batch_and_counts_give_the_same():
    tables = np.stack([table(seed) for seed in range(5)])
    for name in NAMES:
        function = getattr(causal, name)
        each = np.stack([function(p) for p in tables])
        np.testing.assert_allclose(function(tables), each, atol=1e-14)
        np.testing.assert_allclose(function(tables[None] * 1000.0), each[None], atol=1e-14)


def test_conditional_probabilities():
    p = table(3)
    found = conditional(p, "za|x")
    assert found.shape == (3, 2, 2)
    np.testing.assert_allclose(found.sum(axis=(0, 1)), 1)
    np.testing.assert_allclose(conditional(p, "w"), p.sum(axis=(1, 2, 3)))


def test_without_support_a_result_is_undefined_or_partial():
    p = table(1)
    p[1, 2] = 0  # z = 2 never with x = 1
    p /= p.sum()
    assert np.isnan(causal.front_door(p)[0]).all()  # z = 2 has weight under x = 0
    assert np.isfinite(causal.front_door(p)[1]).all()  # and none under x = 1
    slow, z_given_x = Slow(p), p.sum(axis=(2, 3)) / p.sum(axis=(1, 2, 3))[:, None]
    cells = [(z, w) for z in range(3) for w in range(2) if (z, w) != (2, 1)]
    weight = [z_given_x[0, z] * slow.of(x=w) for z, w in cells]
    wanted = sum(m * slow.given({"y": 1}, z=z, x=w) for m, (z, w) in zip(weight, cells, strict=True)) / sum(weight)
    found = causal.front_door(p, partial=True)
    assert found[0, 1] == pytest.approx(wanted, abs=1e-12)
    np.testing.assert_allclose(found[1], causal.front_door(p)[1])
    assert evaluate("front-door", p)[0].sum() == pytest.approx(sum(weight), abs=1e-12)


def test_a_treatment_that_never_occurs_is_undefined_however():
    p = table(1)
    p[1] = 0
    assert np.isnan(causal.naive(p, partial=True)[1]).all()


@pytest.mark.parametrize("bad", [np.zeros(SHAPE), -table(0), np.full(SHAPE, np.nan), np.ones((2, 2))])
def test_what_is_no_table_is_refused(bad):
    with pytest.raises(DataError, match="a table of probabilities is"):
        causal.front_door(bad)


def test_corollary_1_without_dependence_all_three_are_one():
    x_a = np.random.default_rng(0).dirichlet(np.ones(4)).reshape(2, 2)
    z_x = np.random.default_rng(1).dirichlet(np.ones(3), size=2)
    y_xza = np.random.default_rng(2).dirichlet(np.ones(2), size=SHAPE[:2] + SHAPE[3:])
    p = np.einsum("xa,xz,xzay->xzya", x_a, z_x, y_xza)
    for name in ("beta_front_door", "randomised_mediator_effect"):
        np.testing.assert_allclose(getattr(causal, name)(p), causal.front_door(p), atol=1e-12)
