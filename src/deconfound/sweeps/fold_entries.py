"""From [folds] to one dataset per fold."""

from __future__ import annotations

from collections.abc import Iterator

from deconfound.datasets.fold_spec import FoldSpec, FoldsSpec
from deconfound.datasets.folds import fold_names
from deconfound.errors import DeconfoundError, SpecError
from deconfound.io.limits import MOST_JOBS
from deconfound.runs.build import load_data
from deconfound.sweeps.spec import DatasetEntry, SweepSpec


def fold_entries(spec: SweepSpec) -> tuple[DatasetEntry, ...]:
    """The datasets of a sweep, each with [folds] in as many as it has folds, called "NAME, FOLD".

    Raises:
        SpecError: more runs than a sweep may have, or a dataset that is a fold already.
        DataError, StoreError: a dataset that does not open, or that cannot be folded so.
    """
    entries = tuple(folded for entry in spec.dataset for folded in _folded(entry, entry.folds or spec.folds))
    jobs = spec.configurations * len(spec.seeds) * len(entries) * len(spec.method)
    if jobs > MOST_JOBS:
        raise SpecError(
            f"draws, seeds, {len(entries)} folds and [[method]] make {jobs} runs, the limit is {MOST_JOBS}; fold by "
            "another column, or split the sweep"
        )
    return entries


def _folded(entry: DatasetEntry, declaration: FoldsSpec | None) -> Iterator[DatasetEntry]:
    if declaration is None:
        yield entry
        return
    if entry.fold is not None:
        raise SpecError(f"dataset {entry.name!r}: it is one fold and has [folds]; keep one of them")
    try:
        names = fold_names(load_data(entry), declaration)
    except DeconfoundError as error:
        raise type(error)(f"dataset {entry.name!r}: {error}") from error
    for name in names:
        fold = FoldSpec(**declaration.model_dump(), left_out=name)
        yield entry.model_copy(update={"name": f"{entry.name}, {name}", "fold": fold, "folds": None})


def folds_text(spec: SweepSpec, names: tuple[str, ...]) -> list[str]:
    """A line for each dataset with folds: how many, and which rows are what in each.

    Args:
        names: of the datasets that `fold_entries` made.
    """
    lines = []
    for entry in spec.dataset:
        declaration = entry.folds or spec.folds
        if declaration is None:
            continue
        count = sum(name.startswith(f"{entry.name}, ") for name in names)
        by = f" by {', '.join(declaration.group)}" if declaration.group else ""
        iid = f", {declaration.test_iid:.0%} test-iid" if declaration.test_iid else ""
        own = (
            "test splits stay tests" if declaration.keep_tests else "splits are not used: its test rows are folded too"
        )
        lines.append(
            f"{entry.name}: {count} folds, {declaration.kind}{by}; in each the part left out is the test, and of the other "
            f"rows {declaration.valid:.0%} are valid, by {declaration.valid_by}{iid}; the data's own {own}"
        )
    return lines
