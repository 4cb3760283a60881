"""`deconfound evaluate` and the summary that it prints."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deconfound.cli.posthoc import (
    NOTHING,
    ByOption,
    CalibrateOption,
    IntervalOption,
    PosthocChoices,
    PriorOption,
    SetOption,
    level_of,
    parse_prior,
)
from deconfound.errors import RunError
from deconfound.io.plain_text import text_of_lines
from deconfound.runs.run import Run
from deconfound.runs.run_files import check_run

if TYPE_CHECKING:
    import pandas as pd

    from deconfound.data.dataset import Dataset


def evaluate(
    runs: Annotated[
        list[Path], typer.Argument(help="Run directories, or sweeps, which stand for their selected runs.")
    ],
    scenarios: Annotated[Path | None, typer.Option(help="TOML file of [[scenario]] tables.")] = None,
    store: Annotated[
        Path | None, typer.Option(help="Another corpus of the same modalities, or the training data, if they moved.")
    ] = None,
    split: Annotated[
        list[str] | None, typer.Option(help="Split of the default scenarios; repeatable; default: all but train.")
    ] = None,
    device: Annotated[str, typer.Option(help="Where to compute, such as cuda.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
    calibrate: CalibrateOption = None,
    prior: PriorOption = None,
    interval: IntervalOption = None,
    set_level: SetOption = None,
    by: ByOption = None,
) -> None:
    """Evaluate runs under clean and corrupted test data.

    Writes the predictions/ and records.jsonl of each run.

    The default scenarios are all splits, Gaussian noise, dropped frames and every subset of the modalities.

    A store of other rows is another corpus: all its splits count as tests, and its results are kept and shown apart:

    \b
        deconfound evaluate runs/erm-0 --store stores/other --split test

    Calibrated probabilities and another prior are shown beside the run's own; intervals and sets with their coverage.
    """
    from deconfound.data.store import open_store
    from deconfound.results.collect_runs import chosen_folders

    folders = [folder for path in runs for folder in chosen_folders(path)]
    choices = PosthocChoices(
        None if calibrate is None else calibrate.value, parse_prior(prior), interval, set_level, by
    )
    summary = evaluate_runs(folders, scenarios, store, device, split, choices)
    print(summary.to_json(orient="records") if as_json else summary.to_string(index=False))
    for line in evaluation_warnings(folders, None if store is None else open_store(store)):
        print(f"warning: {line}", file=sys.stderr if as_json else sys.stdout)


def evaluate_runs(
    folders: Sequence[Path],
    scenarios: Path | None = None,
    store: Path | None = None,
    device: str = "cpu",
    splits: Sequence[str] | None = None,
    choices: PosthocChoices = NOTHING,
) -> pd.DataFrame:
    """Evaluate runs and return the primary metric of each scenario, averaged over severities.

    Args:
        folders: finished runs.
        scenarios: a TOML file of [[scenario]] tables; the default scenarios if None.
        store: the store that the runs name, moved; or another corpus to evaluate them on.
        device: PyTorch device, such as "cuda".
        splits: those of the default scenarios.
        choices: what is evaluated beside the runs' own predictions.

    Raises:
        RunError: a run is not finished.
    """
    from deconfound.data.store import open_verified
    from deconfound.evaluation.scenario import read_scenarios

    for folder in folders:
        check_run(folder, finished=True)
    selected = None if scenarios is None else read_scenarios(scenarios)
    dataset = None if store is None else open_verified(store)
    import pandas as pd

    from deconfound.evaluation.records import frame
    from deconfound.protocol import get_protocol
    from deconfound.runs.evaluate_posthoc import evaluate_posthoc

    records = []
    for folder in folders:
        run = Run.open(folder)
        progress = sys.stderr.isatty()
        records += evaluate_posthoc(
            run,
            selected,
            dataset=dataset,
            splits=splits,
            device=device,
            progress=progress,
            calibrate=choices.calibrate,
            prior=choices.prior,
            level=level_of(run, choices.interval, choices.set_level, choices.by),
            by=choices.by or (),
        )
    table = frame(records)
    if table.empty:
        raise RunError(
            "no scenario was evaluated: each needs a modality that its run does not use; name other scenarios"
        )
    primary = table["protocol"].map(lambda name: get_protocol(name).primary)
    region = table["metric"].str.contains("@", regex=False)
    table = table[((table["metric"] == primary) | region) & (table["group"] == "all")]
    keys = ["run", "method", "dataset", "scenario", "protocol", "metric"]
    return pd.DataFrame(table.groupby(keys, sort=False)["value"].mean()).reset_index()


def evaluation_warnings(folders: Sequence[Path], dataset: Dataset | None = None) -> list[str]:
    """What the primary metric does not tell: labels outside the protocol, and classes that a run never finds.

    Args:
        folders: evaluated runs.
        dataset: as it was given to the evaluation.
    """
    from deconfound.data.findings import LABEL_FINDINGS, find_all
    from deconfound.evaluation.records import frame, read_records
    from deconfound.runs.run import Run

    lines: dict[str, None] = {}
    for folder in folders:
        run = Run.open(folder)
        corpus = run.corpus(dataset)
        lines |= dict.fromkeys(find_all(corpus.data, LABEL_FINDINGS))
        table = frame(read_records(corpus.folder / "records.jsonl"))
        table = table[
            (table["group"] == "all")
            & (table["scenario"] == table["split"])
            & (table["metric"] == "worst-class-recall")
        ]
        lines |= {
            f"{folder.name}, scenario {scenario!r}: the recall of the worst class is 0, whatever the accuracy; see "
            "'deconfound table --metric worst-class-recall --metric macro-f1'": None
            for scenario, value in zip(table["scenario"], table["value"], strict=True)
            if value == 0
        }
    return [text_of_lines([line]) for line in lines]
