"""`deconfound diagnose`: what the parts of a run's representation hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def diagnose(
    run: Annotated[Path, typer.Argument(help="A finished run directory.")],
    split: Annotated[str, typer.Option(help="Split to measure; test access is logged.")] = "valid",
    out: Annotated[Path | None, typer.Option(help="The JSON file; diagnosis.json in the run.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Picture of both parts, a .svg or .html file.")] = None,
    store: Annotated[Path | None, typer.Option(help="The dataset store, if it moved since training.")] = None,
    device: Annotated[str, typer.Option(help="Where to run the model, such as cuda.")] = "cpu",
    permutations: Annotated[int, typer.Option(min=1, max=100_000, help="Permutations of each test.")] = 199,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of folds, permutations and resamples.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Say what the parts of a representation hold: label, environment, each other, and known causes of synthetic data.

    Probes, leakage and role-swap tests, dependence, invariance and a picture, with a verdict that claims no more than
    was measured. 'deconfound report' shows it too.

    \b
        deconfound diagnose demo/cmir-0 --svg parts.svg
        deconfound diagnose demo/cmir-0 --split test-zero    # causes and shortcuts are independent there
    """
    from deconfound.data.store import open_verified
    from deconfound.runs.run_files import check_run

    check_run(run, finished=True)
    data = None if store is None else open_verified(store)
    from deconfound.diagnostics.diagnose import diagnose as run_diagnosis
    from deconfound.diagnostics.diagnose import diagnosis_path
    from deconfound.diagnostics.plot import draw
    from deconfound.diagnostics.text_report import as_text
    from deconfound.io.chart_file import check_chart_path

    if svg is not None:
        check_chart_path(svg)
    diagnosis = run_diagnosis(run, data, split, out=out, device=device, permutations=permutations, seed=seed)
    written = [out or diagnosis_path(run, split), *([] if svg is None else [draw(diagnosis, svg)])]
    print(json.dumps(diagnosis.to_json()) if as_json else as_text(diagnosis))
    if not as_json:
        print(f"\nwrote {' and '.join(map(str, written))}")
