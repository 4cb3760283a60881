"""`deconfound predominance`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deconfound.io.csv_text import RAW_HELP, csv_row_writer

if TYPE_CHECKING:
    from deconfound.attribution.contributions import Contributions


def predominance(
    source: Annotated[Path, typer.Argument(help="A run directory, or a dataset store.")],
    group: Annotated[str, typer.Option(help="Metadata column for means by group; default: the environments.")] = "",
    store: Annotated[Path | None, typer.Option(help="The run's dataset store, if it moved since training.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the contribution of each modality per row to this CSV.")
    ] = None,
    mask: Annotated[
        bool, typer.Option("--mask", help="Also mask blocks of features in turn, for the report; runs only.")
    ] = False,
    raw: Annotated[bool, typer.Option("--raw", help=RAW_HELP)] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Measure how much each modality contributes.

    A run is measured by its predictions without some modalities, a store by linear heads on its inputs, both on validation
    rows. The output has each modality by itself, which one is right if two disagree, and what each adds to the others
    (Shapley value), in total, by group and by row.

    Example: deconfound predominance demo/erm-0
    """
    from deconfound.errors import RunError

    if mask and not (source / "spec.json").is_file():
        raise RunError(f"{source} is not a run, and --mask needs a trained method; name a run, or remove --mask")
    contributions = _measure(source, group, store)
    from deconfound.attribution.contributions import as_text

    if mask:
        write_masked(source, store)
    if out is not None:
        write_rows(contributions, out, raw=raw)
    print(json.dumps(contributions.to_json()) if as_json else as_text(contributions))


def _measure(source: Path, group: str, store: Path | None) -> Contributions:
    from deconfound.data.store import open_verified
    from deconfound.runs.run import Run
    from deconfound.runs.run_files import check_run

    if not (source / "spec.json").is_file():
        dataset = open_verified(source)
        from deconfound.attribution.contributions import contributions_of_data

        return contributions_of_data(dataset, group)
    check_run(source, finished=True)
    moved = None if store is None else open_verified(store)
    from deconfound.attribution.contributions import contributions_of_run

    run = Run.open(source)
    data = run.dataset(moved)
    return contributions_of_run(run.method(), data, run.spec.name or run.spec.method["name"], group)


def write_rows(contributions: Contributions, out: Path, *, raw: bool = False) -> None:
    """Write a CSV with id and one column per modality, atomically.

    Args:
        raw: write texts as they are; else a spreadsheet computes none of them, see `deconfound.io.csv_text.defuse`.

    Raises:
        RunError: the file cannot be written.
    """
    from deconfound.io.files import atomic_write

    with atomic_write(out) as file:
        write_row = csv_row_writer(file, raw=raw)
        write_row(["id", *contributions.per_row])
        columns = [values.tolist() for values in contributions.per_row.values()]
        for row in zip(contributions.ids.tolist(), *columns, strict=True):
            write_row(row)


def write_masked(source: Path, store: Path | None) -> None:
    """Write RUN/masked.json, the score lost when each block of features is masked, atomically.

    Raises:
        RunError: not a finished run, or the file cannot be written.
    """
    from deconfound.attribution.masking import FILE, masked_losses
    from deconfound.data.store import open_verified
    from deconfound.io.files import atomic_write
    from deconfound.runs.run import Run

    run = Run.open(source)
    data = run.dataset(None if store is None else open_verified(store))
    losses = masked_losses(run.method(), data)
    kept = {key: (run.done or {}).get(key) for key in ("best_epoch", "best_risk")}
    with atomic_write(source / FILE) as file:
        json.dump({**losses, **kept}, file, indent=1)
