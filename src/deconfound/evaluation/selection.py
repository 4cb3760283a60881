"""Choosing one configuration of a method from existing records: a pure step after training.

A configuration is a set of hyper-parameters; its seeds are judged together. The rules, on the primary metric of the
task's protocol, or, where a rule needs no groups and no test rows, on the score that chose the epoch of each run:

- "valid": the mean over seeds on the validation rows;
- "worst-group": the mean over seeds of the worst environment among the validation rows;
- "leave-one-environment-out": the mean over environments, each left out of training and judged by itself;
- "worst-left-out-environment": the worst of these. Where most environments resemble each other, the mean hides the worst
  one and prefers configurations that rely on what the others have in common;
- "oracle": the mean over seeds and out-of-distribution test splits (the in-distribution one where there is no other).
  It peeks at the test rows: it bounds what selection could gain and is no result.

The best mean wins; of equal ones the earliest, and the defaults come first. A configuration with a failed seed, a missing
environment or an undefined value cannot be chosen: leaving the bad seed out would reward it. Nor can one whose worst
environment passes over more undefined ones than another's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from deconfound.data.splits import DEVELOPMENT, LEFT_OUT, in_distribution
from deconfound.errors import SpecError, did_you_mean
from deconfound.evaluation.records import WORST, Record
from deconfound.protocol import get_protocol

RULES = ("valid", "worst-group", *LEFT_OUT, "oracle")
NEED_METRIC = ("worst-group", "oracle")
"""Rules on values that a run has for its metrics alone."""


@dataclass(frozen=True)
class Candidate:
    """One run that selection may look at.

    Args:
        config: identifier that the seeds of one configuration share.
        key: the configuration for a reader, such as "cmir: invariance=0.3".
        seed: seed of the training.
        records: records of the validation rows; for "oracle" also of the test rows. Empty if the run failed.
        left_out: the environment that the run was validated on, None for the dataset's own validation rows.
        score: that of the epoch that was kept, lower is better; only where it judges.
    """

    config: str
    key: str
    seed: int
    records: tuple[Record, ...]
    left_out: str | None = None
    score: float | None = None


@dataclass(frozen=True)
class Ranked:
    """One configuration and its score under the rule.

    Args:
        score: mean of the metric; None if the configuration cannot be chosen.
        seeds: seeds that enter the score.
        reason: why the score is None, "" otherwise.
    """

    config: str
    key: str
    score: float | None
    seeds: tuple[int, ...]
    reason: str = ""


@dataclass(frozen=True)
class Selection:
    """The result of a selection.

    Args:
        rule: one of `RULES`.
        protocol: name of the protocol that defines the metric, "" without any record.
        metric: the metric, or the criterion of the scores, that was compared.
        higher_is_better: False if the metric is an error.
        chosen: the chosen configuration, None if none can be chosen.
        ranking: all configurations in the order of the candidates.
    """

    rule: str
    protocol: str
    metric: str
    higher_is_better: bool
    chosen: str | None
    ranking: tuple[Ranked, ...]

    @property
    def test_rows_used(self) -> bool:
        """True for the oracle."""
        return self.rule == "oracle"


def select(candidates: Sequence[Candidate], rule: str = "valid", criterion: str = "metric") -> Selection:
    """Choose among the configurations of one method on one dataset.

    Args:
        candidates: every run that was planned, in the order of preference between equals.
        rule: one of `RULES`.
        criterion: "metric" for the primary metric of the protocol; any other name for the scores of the candidates, which
            the rules "worst-group" and "oracle" cannot use.

    Raises:
        SpecError: an unknown rule, or one that needs the metric, records of a test split without the oracle's rule, no
            candidate, two runs of one seed, or records of several datasets or protocols.
    """
    if rule not in RULES:
        raise SpecError(f"there is no rule of selection {rule!r}{did_you_mean(rule, RULES)}")
    if criterion != "metric" and rule in NEED_METRIC:
        raise SpecError(
            f"the rule {rule!r} compares the metric of groups or of tests; leave out the criterion {criterion!r}"
        )
    if not candidates:
        raise SpecError("there are no candidates to select from; give one or more")
    _refuse_test_rows(candidates, rule)
    kinds = {(record.dataset, record.protocol) for candidate in candidates for record in candidate.records}
    if len(kinds) > 1:
        raise SpecError(
            f"records of several datasets or protocols cannot be compared ({sorted(kinds)}); select in each"
        )
    runs = _by_config([c for c in candidates if (c.left_out is not None) == (rule in LEFT_OUT)])
    order = dict.fromkeys(candidate.config for candidate in candidates)
    keys = {candidate.config: candidate.key for candidate in reversed(candidates)}
    if not kinds:
        nothing = tuple(Ranked(config, keys[config], None, (), "no finished run") for config in order)
        return Selection(rule, "", "", False, None, nothing)
    ((_, name),) = kinds
    protocol = get_protocol(name)
    expected = {(run.left_out, run.seed) for configuration in runs.values() for run in configuration.values()}
    metric = protocol.primary if criterion == "metric" else criterion
    higher = criterion == "metric" and protocol.metrics[metric].higher_is_better
    rows = _Rows(rule, metric, _passed_over(candidates, metric), higher, scored=criterion != "metric")
    ranking = tuple(_ranked(config, keys[config], runs.get(config, {}), expected, rows) for config in order)
    scored = [(ranked.score, ranked.config) for ranked in ranking if ranked.score is not None]
    sign = -1 if higher else 1
    chosen = min(scored, key=lambda pair: sign * pair[0])[1] if scored else None
    return Selection(rule, name, metric, higher, chosen, ranking)


Runs = Mapping[tuple[str | None, int], Candidate]
"""(left-out environment, seed) → run, of one configuration."""


def _refuse_test_rows(candidates: Sequence[Candidate], rule: str) -> None:
    for candidate in candidates:
        for record in candidate.records:
            if rule != "oracle" and record.split not in DEVELOPMENT:
                raise SpecError(
                    f"selection by {rule!r} was given a record of the test split {record.split!r} (run {record.run}); "
                    "give it validation records only"
                )


def _by_config(candidates: Sequence[Candidate]) -> dict[str, Runs]:
    by_config: dict[str, dict[tuple[str | None, int], Candidate]] = {}
    for candidate in candidates:
        runs = by_config.setdefault(candidate.config, {})
        key = candidate.left_out, candidate.seed
        if key in runs:
            raise SpecError(f"two candidates are {candidate.key!r} with seed {candidate.seed}; give each once")
        runs[key] = candidate
    return dict(by_config)


def _ranked(config: str, key: str, runs: Runs, expected: set[tuple[str | None, int]], rows: _Rows) -> Ranked:
    metric, higher = rows.metric, rows.higher
    seeds = tuple(sorted({seed for _, seed in runs}))
    values: dict[str | None, list[float]] = {}
    for environment, seed in sorted(expected, key=lambda run: (run[0] or "", run[1])):
        what = f"seed {seed}" + (f" without {environment}" if environment else "")
        run = runs.get((environment, seed))
        if run is None or not run.records:
            return Ranked(config, key, None, seeds, f"{what} is not finished")
        measured = [run.score] if rows.scored else _values(run.records, rows)
        if not measured:
            return Ranked(config, key, None, seeds, f"{what} has no record of {metric} that the rule needs")
        if any(value is None for value in measured):
            return Ranked(config, key, None, seeds, f"{metric} of {what} is undefined")
        values.setdefault(environment, []).append(fmean(value for value in measured if value is not None))
    means = [fmean(of_environment) for of_environment in values.values()]
    if rows.rule == "worst-left-out-environment":
        return Ranked(config, key, min(means) if higher else max(means), seeds)
    return Ranked(config, key, fmean(means), seeds)


@dataclass(frozen=True)
class _Rows:
    """What a rule averages.

    Args:
        passed_over: groups that do not define the metric whatever is predicted; a worst group that passes over more is
            undefined, since one of these may be worse.
        higher: whether higher is better.
        scored: compare the scores of the candidates.
    """

    rule: str
    metric: str
    passed_over: int
    higher: bool
    scored: bool


def _passed_over(candidates: Sequence[Candidate], metric: str) -> int:
    """The fewest groups that any candidate's worst group passes over."""
    counts = (
        r.undefined or 0 for c in candidates for r in c.records if r.metric == metric and _is_wanted(r.group, True)
    )
    return min(counts, default=0)


def _values(records: Sequence[Record], rows: _Rows) -> list[float | None]:
    """The values that the rule averages within one run."""
    clean = [r for r in records if r.scenario == r.split and r.severity == 0 and r.metric == rows.metric]
    if rows.rule != "oracle":
        worst = rows.rule == "worst-group"
        valid = [r for r in clean if r.split == "valid" and _is_wanted(r.group, worst)]
        return [None if (r.undefined or 0) > rows.passed_over else r.value for r in valid]
    tests = [r for r in clean if r.split not in DEVELOPMENT and r.group == "all"]
    inside = in_distribution([r.split for r in tests])
    outside = [r.value for r in tests if r.split != inside]
    return outside or [r.value for r in tests]


def _is_wanted(group: str, worst: bool) -> bool:
    return group.startswith(WORST) if worst else group == "all"
