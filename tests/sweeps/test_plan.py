import math
from collections import Counter

import pytest
import torch

from deconfound.data.store import save
from deconfound.errors import DataError, SpecError
from deconfound.sweeps.draws import draw_value, draw_values
from deconfound.sweeps.plan import config_of, make_plan, read_plan
from deconfound.sweeps.search_space import Dimension
from deconfound.sweeps.select import _key
from support.small import tiny
from support.sweeping import TOY, small_sweep


def test_every_method_gets_the_same_draws_and_seeds_and_the_first_draw_is_the_default():
    plan = make_plan(small_sweep(draws=3))
    count = Counter((job.method, job.draw) for job in plan.jobs)
    assert count == {(method, draw): 2 for method in ("erm", "cmir") for draw in range(3)}
    default = [job for job in plan.jobs if job.draw == 0]
    assert {job.spec["train"]["learning_rate"] for job in default} == {1e-3}
    assert {job.spec["method"].get("strength") for job in default} == {None, 0.1}
    assert len({job.id for job in plan.jobs}) == 12
    assert plan.budget_text() == (
        "budget: 3 configurations × 2 seeds for each method on each dataset; 12 runs; selection by 'valid'"
    )


def test_a_method_with_nothing_to_draw_is_trained_once_and_said_so():
    plan = make_plan(small_sweep(draws=5, search={}))
    assert Counter(job.method for job in plan.jobs) == {"erm": 2, "cmir": 10}
    assert "erm on toy: 1 of 5 draws differ" in plan.budget_text()


def test_draws_do_not_depend_on_how_many_there_are_nor_on_the_other_methods():
    few, many = small_sweep(draws=2), small_sweep(draws=9, method=[{"name": "cmir"}])
    assert draw_values(few, few.method[1], 1) == draw_values(many, many.method[0], 1)
    assert draw_values(few, few.method[1], 1) != draw_values(few, few.method[1], 2)
    other = small_sweep(draw_seed=1)
    assert draw_values(few, few.method[1], 1) != draw_values(other, other.method[1], 1)
    assert [job.id for job in make_plan(few).jobs] == [job.id for job in make_plan(few).jobs]


def test_what_a_method_table_sets_is_not_drawn():
    entry = {"name": "cmir", "arguments": {"strength": 0.5}, "backbone": {"dropout": 0.0}}
    ranges = {"backbone": {"dropout": {"low": 0.1, "high": 0.5}}}
    plan = make_plan(small_sweep(draws=4, method=[entry, {"name": "erm"}], search=ranges))
    ours = [job for job in plan.jobs if job.method == "cmir"]
    assert {job.spec["method"]["strength"] for job in ours} == {0.5}
    assert {job.spec["backbone"]["dropout"] for job in ours} == {0.0}
    assert len({job.spec["method"]["invariance"] for job in ours}) == 4
    assert len({job.spec["backbone"]["dropout"] for job in plan.jobs if job.method == "erm"}) == 4


@pytest.mark.parametrize(("low", "high", "log"), [(1, 5, False), (4, 64, True), (2, 5, False), (1, 1, True)])
def test_whole_numbers_are_drawn_to_both_ends(low, high, log):
    generator = torch.Generator().manual_seed(0)
    drawn = [draw_value(Dimension("train", "x", low, high, log, integer=True), generator) for _ in range(3000)]
    assert {type(value) for value in drawn} == {int}
    assert (min(drawn), max(drawn)) == (low, high)
    if not log:
        shares = [drawn.count(value) / 3000 for value in range(low, high + 1)]
        assert max(abs(share - 1 / len(shares)) for share in shares) < 0.03


def test_a_logarithmic_range_is_uniform_in_the_logarithm():
    generator = torch.Generator().manual_seed(0)
    drawn = sorted(draw_value(Dimension("train", "x", 1e-4, 1e-1, log=True), generator) for _ in range(3000))
    for share in (0.25, 0.5, 0.75):
        assert math.log10(drawn[int(3000 * share)]) == pytest.approx(-4 + 3 * share, abs=0.1)
    assert drawn[0] >= 1e-4
    assert drawn[-1] <= 1e-1


def test_leaving_environments_out_adds_a_run_for_each():
    rule = {"rule": "leave-one-environment-out"}
    plan = make_plan(small_sweep(selection=rule, method=[{"name": "erm"}]))
    extra = [job for job in plan.jobs if job.left_out]
    assert {(job.left_out, job.seed) for job in extra} == {(f"environment=e{i}", 0) for i in (1, 2, 3)}
    assert len(extra) == 3 * 2
    assert {job.spec["data"]["leave_out"] for job in extra} == {job.left_out for job in extra}
    assert len({config_of(job) for job in plan.jobs}) == 2
    more = make_plan(small_sweep(selection=rule | {"seeds": 2}, method=[{"name": "erm"}]))
    assert {job.seed for job in more.jobs if job.left_out} == {0, 1}


def test_a_method_of_fewer_modalities_keeps_the_scaling_of_those_it_has():
    scaled = {**TOY, "scale": {"m1": "robust", "m2": "none"}, "scale_by": "environment"}
    methods = [{"name": "erm"}, {"name": "linear", "label": "one", "modalities": ["m1"]}]
    jobs = make_plan(small_sweep(dataset=[scaled], method=methods, search={})).jobs
    assert jobs[0].spec["data"]["scale"] == {"m1": "robust", "m2": "none"}
    assert jobs[-1].spec["data"]["scale"] == {"m1": "robust"}
    assert jobs[-1].spec["data"]["scale_by"] == ["environment"]


def test_methods_may_use_other_modalities_and_encoders():
    base = {"train": {"epochs": 1}, "backbone": {"encoders": {"m1": "pool", "m2": "pool"}}}
    alone = {"name": "erm", "label": "one", "modalities": ["m1"], "backbone": {"fusion": "gated"}}
    jobs = make_plan(small_sweep(base=base, draws=1, method=[{"name": "erm"}, alone])).jobs
    assert jobs[0].spec["data"]["modalities"] is None
    assert jobs[-1].spec["data"]["modalities"] == ["m1"]
    assert jobs[-1].spec["backbone"]["encoders"] == {"m1": "pool"}
    assert (jobs[0].spec["backbone"]["fusion"], jobs[-1].spec["backbone"]["fusion"]) == ("concat", "gated")


def test_the_oracle_is_in_the_name_of_every_method():
    plan = make_plan(small_sweep(selection={"rule": "oracle"}))
    assert {job.method for job in plan.jobs} == {"erm [oracle]", "cmir [oracle]"}
    assert {job.spec["name"] for job in plan.jobs} == {"erm [oracle]", "cmir [oracle]"}


def test_a_plan_is_read_as_it_was_written(tmp_path):
    plan = make_plan(small_sweep())
    plan.write(tmp_path)
    assert read_plan(tmp_path) == plan


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": [{"name": "irm"}]}, "there is no method 'irm'; did you mean 'erm'"),
        ({"method": [{"name": "cmir", "arguments": {"strenth": 1}}]}, "'strenth'; did you mean 'strength'"),
        ({"method": [{"name": "cmir", "backbone": {"hiden": 1}}]}, "'backbone.hiden'; did you mean 'hidden'"),
        ({"method": [{"name": "erm", "modalities": ["m9"]}]}, "no modality 'm9'"),
        ({"search": {"train": {"learning_rat": {"low": 1, "high": 2}}}}, "did you mean 'learning_rate'"),
        (
            {"search": {"train": {"precision": {"low": 1, "high": 2}}}},
            "train.precision is not a number, so it has no range",
        ),
        ({"search": {"train": {"clip": {"low": -2, "high": -1}}}}, "train.clip"),
        ({"evaluation": {"tables": [{"name": "x", "split": "tset-flip"}]}}, "did you mean 'test-flip'"),
        ({"evaluation": {"tables": [{"name": "x", "split": "valid", "present": ["m8"]}]}}, "no modality 'm8'"),
        ({"dataset": [TOY, TOY | {"name": "again"}]}, "dataset 'again': it holds the same data as the dataset 'toy'"),
        ({"dataset": [TOY | {"synthetic": {"row": 5}}]}, "dataset 'toy': synthetic: .*did you mean 'rows'"),
        ({"dataset": [{"name": "none"}]}, "dataset 'none': data is missing"),
        ({"base": {"backbone": {"encoders": {"m1": {"python": "a.B"}}}}}, "Python code, which a sweep cannot pass"),
    ],
)
def test_mistakes_are_told_before_any_training(change, message):
    with pytest.raises((SpecError, DataError), match=message) as caught:
        make_plan(small_sweep(**change))
    assert "\n" not in str(caught.value)


def test_a_dataset_without_validation_or_environments_is_refused(tmp_path):
    save(tiny(splits=("train", "test")), tmp_path / "blind")
    with pytest.raises(DataError, match="has no split 'valid'"):
        make_plan(small_sweep(dataset=[{"name": "x", "store": str(tmp_path / "blind")}], evaluation={}))
    save(tiny(environment=()), tmp_path / "plain")
    plain = {"dataset": [{"name": "x", "store": str(tmp_path / "plain")}], "evaluation": {}}
    for rule in ("worst-group", "leave-one-environment-out"):
        with pytest.raises(DataError, match=f"the rule '{rule}' needs environments"):
            make_plan(small_sweep(**plain, selection={"rule": rule}))


JOINED = {"name": "erm", "penalties": {"vrex": {"ramp": 0.0}, "irm": {}}, "augmentations": {"mixup": {}}}


def test_what_joins_a_method_is_in_its_label_and_is_drawn_with_it():
    plan = make_plan(small_sweep(draws=3, search={}, method=[JOINED, {"name": "erm"}]))
    ours = [job for job in plan.jobs if job.method == "erm + vrex + irm + mixup"]
    assert {job.spec["name"] for job in ours} == {"erm + vrex + irm + mixup"}
    vrex, irm = ([job.spec["method"]["penalties"][name] for job in ours if job.seed == 0] for name in ("vrex", "irm"))
    assert vrex[0] == {"weight": 10.0, "ramp": 0.0, "estimate": "all"}
    assert {arguments["ramp"] for arguments in vrex} == {0.0}
    assert [len({arguments["weight"] for arguments in own}) for own in (vrex, irm)] == [3, 3]
    assert len({job.spec["method"]["augmentations"]["mixup"]["alpha"] for job in ours}) == 3
    assert all("penalties" not in job.spec["method"] for job in plan.jobs if job.method == "erm")
    weights = draw_values(plan.spec, plan.spec.method[0], 2)["penalties.vrex"]
    assert weights == {"weight": vrex[2]["weight"]}


def test_the_key_of_a_draw_names_what_was_drawn_for_a_penalty():
    entry = {"name": "erm", "label": "ours", "penalties": {"vrex": {}}}
    first, second = (j for j in make_plan(small_sweep(search={}, method=[entry])).jobs if j.seed == 0)
    weight = second.spec["method"]["penalties"]["vrex"]["weight"]
    assert _key(second, first) == f"ours: penalties.vrex.weight={weight:g}"
    assert _key(first, first) == "ours: default"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"penalties": {"vrx": {}}}, "there is no penalty 'vrx'; did you mean 'vrex'"),
        ({"penalties": {"vrex": {"wait": 1}}}, "vrex: there is no argument 'wait'"),
        ({"penalties": {"vrex": 3}}, "penalties.vrex = 3: input should be a valid dictionary"),
        ({"arguments": {"penalties": {"vrex": {}}}}, "give penalties beside 'arguments', not inside"),
    ],
)
def test_a_mistake_in_what_joins_is_told_in_one_line(entry, message):
    with pytest.raises(SpecError, match=message) as caught:
        make_plan(small_sweep(method=[{"name": "erm", **entry}]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "title"),
    [
        ({"name": "erm", "penalties": {"vrex": {}}}, r"erm \+ vrex"),
        ({"name": "cmir-e"}, "cmir-e"),
        ({"name": "cmir", "arguments": {"source": "directed"}}, "cmir"),
    ],
)
def test_what_compares_needs_two_environments_beside_the_one_left_out(method, title):
    two = {"name": "toy", "synthetic": {"rows": 64, "rho": [0.9, 0.2]}}
    rule = {"rule": "leave-one-environment-out"}
    state = torch.get_rng_state()
    with pytest.raises(DataError, match=rf"{title}: the rule .* leaves one of two environments to train on"):
        make_plan(small_sweep(dataset=[two], selection=rule, method=[method]))
    assert torch.equal(state, torch.get_rng_state())
    make_plan(small_sweep(dataset=[two], selection=rule, method=[{"name": "erm"}]))
    make_plan(small_sweep(selection=rule, method=[method]))
