"""`deconfound ensemble`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from deconfound.io.plain_text import text_of_lines
from deconfound.runs.run_files import check_run


def ensemble(
    runs: Annotated[list[Path], typer.Argument(help="Finished runs, or sweeps, which stand for their selected runs.")],
    out: Annotated[Path, typer.Option(help="Folder of the ensemble.")],
    name: Annotated[str | None, typer.Option(help="Label in reports; default: 'erm ×3'.")] = None,
    store: Annotated[Path | None, typer.Option(help="The training data, if they moved.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Join runs, such as several seeds of one method, into one model: the mean of their predictions.

    The folder is a run like any other for evaluate, predict, table and report.

    \b
        deconfound ensemble runs/erm-0 runs/erm-1 runs/erm-2 --out runs/erm-of-3
        deconfound evaluate runs/erm-of-3
    """
    from deconfound.results.collect_runs import chosen_folders

    folders = [folder for path in runs for folder in chosen_folders(path)]
    for folder in folders:
        check_run(folder, finished=True)
    from deconfound.data.store import open_verified
    from deconfound.runs.assemble import ensemble as assemble

    run = assemble(folders, out, name=name, dataset=None if store is None else open_verified(store))
    done = run.done
    assert done is not None, "an ensemble is finished when it is made"
    line = f"{out}: {run.spec.title}, {len(folders)} members, validation risk {done['best_risk']:.4g}"
    print(json.dumps({"run": str(out), **done}) if as_json else text_of_lines([line]))
