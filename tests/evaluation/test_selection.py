import random
from dataclasses import replace
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deconfound.errors import SpecError
from deconfound.evaluation.records import Record
from deconfound.evaluation.selection import RULES, Candidate, select

VALID = Record("r", "erm", "toy", 0, "valid", "valid", 0.0, 0, "all", "regression", "mse", 1.0, 10)


def records(value: float | None, worst: float | None = None, **tests: float | None) -> tuple[Record, ...]:
    """Validation records, and test records by split, with distractors that no rule may use."""
    records = [replace(VALID, value=value), replace(VALID, metric="mae", value=-99.0)]
    records.append(replace(VALID, group="worst(speaker)", value=worst))
    records.append(replace(VALID, group="speaker=a", value=-99.0))
    for split, error in tests.items():
        name = split.replace("_", "-")
        records.append(replace(VALID, scenario=name, split=name, value=error))
        records.append(replace(VALID, scenario="gaussian", split=name, severity=1.0, value=-99.0))
    return tuple(records)


def candidate(config: str, seed: int = 0, value: float | None = 1.0, **more) -> Candidate:
    left_out = more.pop("left_out", None)
    return Candidate(config, f"erm: {config}", seed, records(value, **more), left_out)


def test_the_lowest_mean_over_seeds_wins_where_lower_is_better():
    selection = select([candidate("a", 0, 1.0), candidate("a", 1, 3.0), candidate("b", 0, 2.5), candidate("b", 1, 1.4)])
    assert (selection.chosen, selection.metric, selection.protocol) == ("b", "mse", "regression")
    assert [ranked.score for ranked in selection.ranking] == [2.0, pytest.approx(1.95)]
    assert [ranked.seeds for ranked in selection.ranking] == [(0, 1), (0, 1)]


def test_scores_judge_where_they_chose_the_epochs():
    """The lowest mean wins although the metric says otherwise; a run without a score cannot be chosen."""
    scores = {"a": (0.4, 0.9), "b": (0.5, 0.6), "c": (0.1, None)}
    metric = {"a": 1.0, "b": 2.0, "c": 0.5}
    runs = [
        replace(candidate(config, seed, metric[config]), score=value)
        for config, values in scores.items()
        for seed, value in enumerate(values)
    ]
    selection = select(runs, "valid", "calibrated-risk")
    assert (selection.chosen, selection.metric, selection.higher_is_better) == ("b", "calibrated-risk", False)
    assert [ranked.score for ranked in selection.ranking] == [pytest.approx(0.65), pytest.approx(0.55), None]
    assert select(runs, "valid").chosen == "c"


@pytest.mark.parametrize("rule", ["worst-group", "oracle"])
def test_groups_and_tests_have_no_scores(rule: str):
    with pytest.raises(SpecError, match=f"the rule '{rule}' compares the metric of groups or of tests"):
        select([candidate("a")], rule, "risk")


def test_the_highest_wins_where_higher_is_better():
    runs = [candidate("a"), candidate("b")]
    values = (0.3, 0.7)
    judged = [
        replace(run, records=(replace(VALID, protocol="classification", metric="accuracy", value=value),))
        for run, value in zip(runs, values, strict=True)
    ]
    selection = select(judged)
    assert selection.chosen == "b"
    assert selection.higher_is_better


def test_of_equal_scores_the_earliest_wins_so_the_defaults_do():
    assert select([candidate("default"), candidate("drawn")]).chosen == "default"


def test_a_worst_group_that_passes_over_more_groups_cannot_be_chosen():
    """One draw predicts a constant for the hardest speaker, whose metric is then undefined, and would win by it."""
    kept, lost = candidate("kept", worst=5.0), candidate("lost", worst=3.0)

    def passing_over(run: Candidate, count: int) -> Candidate:
        records = (replace(r, groups=4, undefined=count) if r.group.startswith("worst(") else r for r in run.records)
        return replace(run, records=tuple(records))

    selection = select([passing_over(kept, 1), passing_over(lost, 2)], "worst-group")
    assert selection.chosen == "kept"
    assert selection.ranking[1].reason == "mse of seed 0 is undefined"
    assert select([passing_over(kept, 1), passing_over(lost, 1)], "worst-group").chosen == "lost"


def test_the_worst_group_is_another_question_than_the_mean():
    runs = [candidate("a", value=1.0, worst=5.0), candidate("b", value=2.0, worst=3.0)]
    assert select(runs, "valid").chosen == "a"
    assert select(runs, "worst-group").chosen == "b"


def test_left_out_environments_are_averaged_and_the_other_runs_do_not_count():
    runs = [candidate("a", value=0.0), candidate("b", value=9.0)]
    for config, errors in (("a", (4.0, 8.0)), ("b", (5.0, 5.0))):
        runs += [candidate(config, value=e, left_out=f"speaker={i}") for i, e in enumerate(errors)]
    selection = select(runs, "leave-one-environment-out")
    assert selection.chosen == "b"
    assert [ranked.score for ranked in selection.ranking] == [6.0, 5.0]
    assert select(runs, "valid").chosen == "a"


def test_the_worst_left_out_environment_is_another_question_than_their_mean():
    runs = [candidate("a", 0, e, left_out=f"speaker={i}") for i, e in enumerate((1.0, 1.0, 7.0))]
    runs += [candidate("b", 0, e, left_out=f"speaker={i}") for i, e in enumerate((4.0, 4.0, 4.0))]
    assert select(runs, "leave-one-environment-out").chosen == "a"
    selection = select(runs, "worst-left-out-environment")
    assert selection.chosen == "b"
    assert [ranked.score for ranked in selection.ranking] == [7.0, 4.0]


def test_environments_weigh_the_same_whatever_their_seeds():
    runs = [
        candidate("a", 0, 1.0, left_out="x"),
        candidate("a", 1, 3.0, left_out="x"),
        candidate("a", 0, 8.0, left_out="y"),
    ]
    assert select(runs, "leave-one-environment-out").ranking[0].score == 5.0


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "oracle"])
def test_a_record_of_test_rows_is_refused_by_every_rule_but_the_oracle(rule):
    leak = candidate("a", test_iid=0.1)
    with pytest.raises(SpecError, match=rf"selection by '{rule}' was given a record of the test split 'test-iid'"):
        select([leak, candidate("b")], rule)
    assert select([leak, candidate("b", test_iid=0.2)], "oracle").test_rows_used
    assert not select([candidate("a")]).test_rows_used


def test_the_oracle_judges_by_the_shifted_splits_and_says_so():
    runs = [
        candidate("a", value=0.0, test_iid=0.1, test_flip=4.0, test_zero=2.0),
        candidate("b", value=9.0, test_iid=0.9, test_flip=1.0, test_zero=3.0),
    ]
    selection = select(runs, "oracle")
    assert selection.chosen == "b"
    assert [ranked.score for ranked in selection.ranking] == [3.0, 2.0]
    alone = [candidate("a", test=0.5), candidate("b", test=0.4)]
    assert select(alone, "oracle").chosen == "b"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda run: replace(run, records=()), "seed 1 is not finished"),
        (lambda run: replace(run, records=records(None)), "mse of seed 1 is undefined"),
        (lambda run: replace(run, records=(replace(VALID, metric="mae"),)), "seed 1 has no record of mse"),
        (None, "seed 1 is not finished"),
    ],
)
def test_a_configuration_with_a_missing_seed_cannot_win(spoil, reason):
    good = [candidate("slow", 0, 5.0), candidate("slow", 1, 5.0)]
    bad = [candidate("fast", 0, 0.1)] + ([spoil(candidate("fast", 1, 0.1))] if spoil else [])
    selection = select([*bad, *good])
    assert selection.chosen == "slow"
    assert selection.ranking[0].score is None
    assert selection.ranking[0].reason.startswith(reason)


def test_nothing_is_chosen_where_nothing_is_finished():
    selection = select([replace(candidate("a"), records=())])
    assert selection.chosen is None
    assert selection.ranking[0].reason == "no finished run"


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(SpecError, match="no candidates to select from"):
        select([])
    with pytest.raises(SpecError, match="no rule of selection 'worst_group'; did you mean 'worst-group'"):
        select([candidate("a")], "worst_group")
    with pytest.raises(SpecError, match="two candidates are 'erm: a' with seed 0"):
        select([candidate("a"), candidate("a")])
    other = replace(candidate("b"), records=(replace(VALID, dataset="other"),))
    with pytest.raises(SpecError, match="several datasets or protocols"):
        select([candidate("a"), other])


@given(st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=1, max_size=6), st.randoms())
def test_the_choice_is_the_first_of_the_best_means_in_whatever_order_seeds_come(errors, shuffler: random.Random):
    runs = [[candidate(f"c{i}", seed, float(e)) for seed, e in enumerate(row)] for i, row in enumerate(errors)]
    for row in runs:
        shuffler.shuffle(row)
    means = [fmean(row) for row in errors]
    assert select([run for row in runs for run in row]).chosen == f"c{means.index(min(means))}"
