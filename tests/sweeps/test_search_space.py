"""The search space of a method: one derivation, from which sweeps draw and tunings search."""

from __future__ import annotations

from deconfound.sweeps.draws import draw_values
from deconfound.sweeps.search_space import Dimension, search_space
from deconfound.sweeps.spec import SweepSpec
from deconfound.tuning.spec import TuneSpec
from support.sweeping import small_sweep

RANGES = {
    "train": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "batch_size": {"low": 8, "high": 64}},
    "backbone": {"dropout": {"low": 0.0, "high": 0.5}},
}
METHODS = [
    {"name": "cmir", "arguments": {"strength": 0.3}},
    {"name": "erm", "penalties": {"vrex": {"ramp": 0.0}}, "augmentations": {"mixup": {}}, "backbone": {"dropout": 0.1}},
]


def sweep() -> SweepSpec:
    return small_sweep(method=METHODS, search=RANGES)


def test_a_space_holds_the_annotated_arguments_and_then_the_ranges_of_the_search_table():
    spec = sweep()
    space = search_space(spec.method[1], spec.base, spec.search)
    assert [dimension.key for dimension in space] == [
        "penalties.vrex.weight",
        "augmentations.mixup.alpha",
        "train.learning_rate",
        "train.batch_size",
    ]
    assert space[2] == Dimension("train", "learning_rate", 1e-4, 1e-2, log=True, integer=False, default=1e-3)
    assert space[3] == Dimension("train", "batch_size", 8.0, 64.0, log=False, integer=True, default=16)


def test_an_argument_that_the_method_table_sets_is_not_searched():
    spec = sweep()
    keys = {dimension.key for dimension in search_space(spec.method[0], spec.base, spec.search)}
    assert "method.strength" not in keys
    assert {"method.invariance", "backbone.dropout"} <= keys


def test_a_sweep_draws_in_the_space_that_a_tuning_searches():
    tuning = TuneSpec.of({"data": {"synthetic": {"rows": 64}}, "method": METHODS, "search": RANGES})
    spec = sweep()
    for ours, theirs in zip(spec.method, tuning.method, strict=True):
        drawn = draw_values(spec, ours, 1)
        keys = [f"{table}.{name}" for table, values in drawn.items() for name in values]
        assert keys == [dimension.key for dimension in tuning.space(theirs)]
        for dimension in tuning.space(theirs):
            value = drawn[dimension.table][dimension.name]
            assert dimension.low <= value <= dimension.high
            assert isinstance(value, int) == dimension.integer


def test_the_draws_of_a_published_sweep_stay_as_they_were():
    spec = small_sweep(method=[{"name": "erm", "penalties": {"vrex": {}}}], search=RANGES, draw_seed=3)
    assert draw_values(spec, spec.method[0], 2) == {
        "method": {},
        "penalties.vrex": {"weight": 38.6366},
        "backbone": {"dropout": 0.0389334},
        "train": {"learning_rate": 0.000725557, "batch_size": 43},
    }
    assert draw_values(spec, spec.method[0], 0) == {
        "method": {},
        "penalties.vrex": {},
        "backbone": {},
        "train": {},
    }
