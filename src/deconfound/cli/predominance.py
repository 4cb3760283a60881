"""`deconfound predominance`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from deconfound.attribution.contributions import Contributions


def predominance(
    source: Annotated[Path, typer.Argument(help="A run directory, or a dataset store.")],
    group: Annotated[str, typer.Option(help="Metadata column for means by group; the environments.")] = "",
    store: Annotated[Path | None, typer.Option(help="The run's dataset store, if it moved since training.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write what each modality adds to every row, as CSV.")] = None,
    mask: Annotated[
        bool, typer.Option("--mask", help="Of a run: also mask block after block of features, for its report.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Measure which modality carries the prediction, on validation rows.

    Of a run: its predictions with modalities taken away. Of a store: linear heads on the inputs. Each modality by itself,
    who is right where two disagree, and what each adds to the others (Shapley value), in all, by group and by row.

    Example: deconfound predominance demo/erm-0
    """
    from deconfound.attribution.contributions import as_text
    from deconfound.errors import RunError

    if mask and not (source / "spec.json").is_file():
        raise RunError(
            f"{source} is no run, and --mask asks what a trained method rests on; name a run, or leave it out"
        )
    found = _measure(source, group, store)
    if mask:
        write_masked(source, store)
    if out is not None:
        write_rows(found, out)
    print(json.dumps(found.to_json()) if as_json else as_text(found))


def _measure(source: Path, group: str, store: Path | None) -> Contributions:
    from deconfound.attribution.contributions import contributions_of_data, contributions_of_run
    from deconfound.data.store import open_store

    if not (source / "spec.json").is_file():
        return contributions_of_data(open_store(source), group)
    from deconfound.runs.run import Run

    run = Run.open(source)
    data = run.dataset(None if store is None else open_store(store))
    return contributions_of_run(run.method(), data, run.spec.name or run.spec.method["name"], group)


def write_rows(found: Contributions, out: Path) -> None:
    """CSV with id and one column per modality; whole or not at all.

    Raises:
        RunError: the file cannot be written.
    """
    import csv

    from deconfound.io.files import atomic_write

    with atomic_write(out) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["id", *found.per_row])
        columns = [values.tolist() for values in found.per_row.values()]
        table.writerows([name, *values] for name, *values in zip(found.ids.tolist(), *columns, strict=True))


def write_masked(source: Path, store: Path | None) -> None:
    """Write RUN/masked.json, what each block of features is worth to the kept weights; whole or not at all.

    Raises:
        RunError: not a finished run, or the file cannot be written.
    """
    from deconfound.attribution.masking import FILE, masked_losses
    from deconfound.data.store import open_store
    from deconfound.io.files import atomic_write
    from deconfound.runs.run import Run

    run = Run.open(source)
    data = run.dataset(None if store is None else open_store(store))
    found = masked_losses(run.method(), data)
    kept = {key: (run.done or {}).get(key) for key in ("best_epoch", "best_risk")}
    with atomic_write(source / FILE) as file:
        json.dump({**found, **kept}, file, indent=1)
