"""`diagnose`: all diagnostics of one trained run on one split, with a verdict in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deconfound.data.dataset import DEVELOPMENT
from deconfound.data.one_label import one_label_kind
from deconfound.diagnostics.dependence import dependence
from deconfound.diagnostics.factors import disentangled, matchings, recovered
from deconfound.diagnostics.invariance import risks, shift
from deconfound.diagnostics.leakage import measure_leakage
from deconfound.diagnostics.permuting import label_bins
from deconfound.diagnostics.probes import KINDS, ProbeResult, cross_validate, interval, percentiles
from deconfound.diagnostics.projection import pictures
from deconfound.diagnostics.result import Diagnosis, PartDependence, PartLeakage, PartShift, Probe, RoleSwap
from deconfound.diagnostics.rows import ALL, Observed, observe
from deconfound.diagnostics.swap import swap
from deconfound.diagnostics.verdict import THRESHOLDS, verdict
from deconfound.errors import RunError
from deconfound.io.files import atomic_write, file_stem, json_text
from deconfound.io.lock import exclusive_lock
from deconfound.runs.members import check_single
from deconfound.runs.test_access import log_test_access
from deconfound.statistics.interval import resample

if TYPE_CHECKING:
    from deconfound.data.dataset import Dataset
    from deconfound.nn.own_encoders import OwnEncoder
    from deconfound.runs.run import Run


@dataclass(frozen=True)
class _Effort:
    permutations: int
    resamples: int
    seed: int


def diagnose(
    run: Run | str | Path,
    dataset: Dataset | None = None,
    split: str = "valid",
    *,
    out: str | Path | None = None,
    encoders: Mapping[str, OwnEncoder] | None = None,
    device: str = "cpu",
    permutations: int = 199,
    resamples: int = 500,
    seed: int = 0,
) -> Diagnosis:
    """Probe, test and picture what a run's representations hold, and write it down.

    Everything is measured inside the rows of one split, with the weights frozen. Rows of a test split are opened,
    which a line in `test_access.jsonl` says; choose nothing by what they show.

    Args:
        dataset: the training data, if the specification does not name them or they moved.
        split: "valid", "train", or a test split.
        out: the JSON file; `diagnosis.json` in the run for "valid", `diagnosis-SPLIT.json` for another split.
        encoders: as for `fit`, those that are Python code.
        permutations: of each test; its smallest p-value is 1 / (permutations + 1).
        resamples: of each interval, 2 or more.
        seed: of folds, permutations and resamples; equal seeds give equal numbers.

    Raises:
        RunError: the run is not finished or of other data, or a file cannot be written.
        DataError: there is no such split, or the task has several labels a row.
    """
    from deconfound.runs.run import Run as OpenRun

    opened = run if isinstance(run, OpenRun) else OpenRun.open(run)
    check_single(opened.path, "a diagnosis")
    if permutations < 1 or resamples < 2:
        raise RunError(f"a diagnosis needs 1 permutation and 2 resamples or more; got {permutations} and {resamples}")
    data, method, done = opened.dataset(dataset), opened.method(encoders), opened.done
    assert done is not None, "a method is read from a finished run"
    data.rows(split)
    one_label_kind(data.task, "a diagnosis")
    if split not in DEVELOPMENT:
        with exclusive_lock(opened.path):
            log_test_access(opened.path, [f"diagnose {split}"], data.name, opened.checksum)
    observed, parts = observe(method, data, split, device)
    effort = _Effort(permutations, resamples, seed)
    size = float(np.abs(observed.target).max(initial=1.0)) if not observed.classify else 10.0
    diagnosis = replace(
        _one_thread(observed, data, effort),
        run=opened.path.name,
        method=opened.spec.name or opened.spec.method["name"],
        split=split,
        best_epoch=done["best_epoch"],
        best_risk=done["best_risk"],
        swap=swap(method, observed, parts, np.random.default_rng(seed), device, size),
    )
    diagnosis = replace(diagnosis, verdict=verdict(diagnosis))
    with atomic_write(diagnosis_path(opened.path, split) if out is None else out) as file:
        file.write(json_text(diagnosis.to_json(), allow_nan=False))
    return diagnosis


def diagnosis_path(run: Path, split: str = "valid") -> Path:
    """Where a run keeps the diagnosis of a split."""
    return run / ("diagnosis.json" if split == "valid" else f"diagnosis-{file_stem(split)}.json")


def _one_thread(observed: Observed, data: Dataset, effort: _Effort) -> Diagnosis:
    """As `_measured`: its matrices are small, and threads that wait for each other are several times slower."""
    from threadpoolctl import threadpool_limits  # scikit-learn brings it

    with threadpool_limits(limits=1):
        return _measured(observed, data, effort)


def _measured(observed: Observed, data: Dataset, effort: _Effort) -> Diagnosis:
    """All but what needs the method itself."""
    generator = np.random.default_rng(effort.seed)
    counts = np.bincount(observed.env, minlength=len(observed.environments)).tolist()
    probes, role_swap = _probes(observed, effort)
    return Diagnosis(
        run="",
        method="",
        dataset=data.name,
        split="",
        task=data.task.kind,
        best_epoch=0,
        best_risk=0.0,
        rows=len(observed.target),
        splits_features=bool(observed.spurious),
        environments=dict(zip(observed.environments, counts, strict=True)) if data.environment else {},
        groups=list(data.group),
        widths={part: {m: values.shape[1] for m, values in of.items()} for part, of in observed.parts.items()},
        present={name: int(is_present.sum()) for name, is_present in observed.present.items()},
        probes=probes,
        role_swap=role_swap,
        leakage=_leaks(observed, effort),
        dependence=_dependences(observed, effort, generator),
        shifts=_shifts(observed, effort),
        risks=risks(
            observed.risks,
            observed.env,
            observed.environments,
            generator,
            groups=observed.groups,
            resamples=effort.resamples,
        ),
        swap=None,
        recovery=recovered(observed, effort.seed),
        mcc=matchings(observed, effort.seed),
        dci=disentangled(observed, effort.seed),
        pictures=pictures(observed, data.task.classes, effort.seed),
        thresholds=THRESHOLDS,
        permutations=effort.permutations,
        resamples=effort.resamples,
        seed=effort.seed,
    )


def _blocks(observed: Observed) -> list[tuple[str, str]]:
    """(part, modality): all modalities together, then each by itself where there are several."""
    names = [ALL, *observed.present] if len(observed.present) > 1 else [ALL]
    return [(part, name) for part in observed.parts for name in names]


def _probes(observed: Observed, effort: _Effort) -> tuple[list[Probe], list[RoleSwap]]:
    """Label and environment from every part; and the parts against each other about the label."""
    probes, roles = [], []
    questions = [("label", observed.target, observed.classify), ("environment", observed.env, True)]
    for asks, truth, classify in questions:
        for kind in KINDS:
            whole: dict[str, ProbeResult] = {}
            for part, modality in _blocks(observed):
                values, rows = observed.block(part, modality)
                groups = None if observed.groups is None else observed.groups[rows]
                result = cross_validate(
                    values, truth[rows], classify=classify, kind=kind, groups=groups, seed=effort.seed
                )
                about = asks, part, modality, kind, "balanced accuracy" if classify else "r2"
                if isinstance(result, str):
                    probes.append(Probe(*about, why=result))
                    continue
                ends = interval(result, np.random.default_rng(effort.seed), effort.resamples)
                numbers = result.score, *ends, result.chance, len(result.rows), result.grouped
                probes.append(Probe(*about, *numbers))
                if modality == ALL:
                    whole[part] = result
            if asks == "label" and len(whole) == 2:
                roles.append(_role_swap(whole["predictive"], whole["spurious"], kind, effort))
    return probes, roles


def _role_swap(predictive: ProbeResult, spurious: ProbeResult, kind: str, effort: _Effort) -> RoleSwap:
    generator = np.random.default_rng(effort.seed)
    both = resample([predictive.metric, spurious.metric], predictive.clusters, effort.resamples, generator)
    low, high = percentiles(both[0] - both[1], len(np.unique(predictive.clusters)))
    ours, theirs = predictive.score, spurious.score
    metric = "balanced accuracy" if predictive.classify else "r2"
    return RoleSwap(kind, metric, ours, theirs, ours - theirs, low, high, len(predictive.rows))


def _given_label(observed: Observed, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Environments, bins of the label, and real labels or None, of some rows."""
    target, env = observed.target[rows], observed.env[rows]
    bins = label_bins(target, observed.classify, len(np.unique(env)))
    return env, bins, None if observed.classify else target


def _leaks(observed: Observed, effort: _Effort) -> list[PartLeakage]:
    tests = []
    for part, modality in _blocks(observed):
        values, rows = observed.block(part, modality)
        for kind in KINDS:
            result = measure_leakage(
                values,
                *_given_label(observed, rows),
                kind=kind,
                groups=None if observed.groups is None else observed.groups[rows],
                permutations=effort.permutations,
                resamples=effort.resamples,
                seed=effort.seed,
            )
            lacking = isinstance(result, str)
            tests.append(
                PartLeakage(part, modality, kind, None, result)
                if lacking
                else PartLeakage(part, modality, kind, result)
            )
    return tests


def _shifts(observed: Observed, effort: _Effort) -> list[PartShift]:
    tests = []
    for part, modality in _blocks(observed):
        values, rows = observed.block(part, modality)
        result = shift(
            values,
            *_given_label(observed, rows),
            groups=None if observed.groups is None else observed.groups[rows],
            permutations=effort.permutations,
            seed=effort.seed,
        )
        lacking = isinstance(result, str)
        tests.append(PartShift(part, modality, None, result) if lacking else PartShift(part, modality, result))
    return tests


def _dependences(observed: Observed, effort: _Effort, generator: np.random.Generator) -> list[PartDependence]:
    tests = []
    for modality in observed.spurious:
        one, rows = observed.block("predictive", modality)
        other, _ = observed.block("spurious", modality)
        bins = label_bins(observed.target[rows], observed.classify, 1) if len(rows) else None
        result = dependence(one, other, generator, bins=bins, permutations=effort.permutations)
        tests.append(PartDependence(modality, result))
    return tests
