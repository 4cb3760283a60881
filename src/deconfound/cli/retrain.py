"""`deconfound retrain`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deconfound.io.plain_text import text_of_lines
from deconfound.runs.run_files import check_run


class Balance(StrEnum):
    """Which rows count alike."""

    by_class = "class"
    by_group = "group"
    by_both = "class-and-group"


def retrain(
    run: Annotated[Path, typer.Argument(help="A finished run.")],
    out: Annotated[Path, typer.Option(help="The new run directory.")],
    balance: Annotated[Balance, typer.Option(help="Which rows count alike.")] = Balance.by_class,
    store: Annotated[Path | None, typer.Option(help="The training data, if they moved.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Fit the last layer of a run anew, to equally many training rows of each class or group (DFR).

    \b
        deconfound retrain runs/erm-0 --balance class-and-group --out runs/erm-dfr-0
        deconfound evaluate runs/erm-dfr-0
    """
    check_run(run, finished=True)
    from deconfound.data.store import open_verified
    from deconfound.runs.last_layer import retrain_last_layer

    dataset = None if store is None else open_verified(store)
    done = retrain_last_layer(run, out, balance=balance.value, dataset=dataset).done
    assert done is not None, "a run is finished when its last layer is"
    line = f"{out}: {done['notes'][-1]}, validation risk {done['best_risk']:.4g}"
    print(json.dumps({"run": str(out), **done}) if as_json else text_of_lines([line]))
