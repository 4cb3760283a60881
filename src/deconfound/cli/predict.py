"""`deconfound predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deconfound.cli.posthoc import (
    ByOption,
    CalibrateOption,
    IntervalOption,
    PriorOption,
    SetOption,
    level_of,
    parse_prior,
)
from deconfound.io.csv_text import RAW_HELP


def predict(
    run: Annotated[Path, typer.Argument(help="A run directory that 'deconfound train' wrote.")],
    source: Annotated[
        Path,
        typer.Argument(
            help="A store, the TOML of a table, a .jsonl file, or a .csv or .parquet of raw samples; '-' reads JSON lines."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Output file; default: standard output.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines instead of CSV.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help=RAW_HELP)] = False,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Only the rows of a table that have no label.")
    ] = False,
    calibrate: CalibrateOption = None,
    prior: PriorOption = None,
    interval: IntervalOption = None,
    set_level: SetOption = None,
    by: ByOption = None,
) -> None:
    """Predict new rows. Any of the run's modalities may be missing, in any row.

    \b
        echo '{"id": "a", "m1": [0, 1, 0, 2, 0, 0, 1, 0, 0, 1]}' > rows.jsonl
        deconfound predict demo/erm-0 rows.jsonl
        deconfound predict demo/erm-0 rows.jsonl --interval 0.9
    """
    from deconfound.prediction.source import check_source
    from deconfound.runs.run import Run
    from deconfound.runs.run_files import check_run

    check_run(run, finished=True)
    check_source(source)
    opened = Run.open(run)
    level, shares = level_of(opened, interval, set_level, by), parse_prior(prior)
    from deconfound.prediction.predict import predict_file
    from deconfound.runs.posthoc import adjusted_method, fit_adjustment
    from deconfound.runs.regions import region_of_source

    adjustment = fit_adjustment(opened, None if calibrate is None else calibrate.value, shares)
    region = None if level is None else region_of_source(opened, source, level, by or (), adjustment)
    rows = predict_file(
        adjusted_method(opened.method(), adjustment),
        opened.modalities,
        opened.task,
        source,
        out,
        "jsonl" if as_json else "csv",
        repairs=opened.repairs,
        preparations=opened.preparations,
        target=opened.environment["data"].get("target"),
        raw=raw,
        unlabelled=unlabelled,
        scale_by=opened.spec.data.scale_by,
        region=region,
    )
    if out is not None:
        print(f"wrote {rows} rows to {out}")
