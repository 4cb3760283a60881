"""`deconfound causal check` and `deconfound causal estimate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Check causal graphs and estimate effects through a measured mediator.\n\n"
    "\b\n"
    "    deconfound causal check GRAPH.toml --svg graph.svg\n"
    "    deconfound causal estimate GRAPH.toml TABLE.csv\n\n"
    "\b\n"
    "A graph is a few lines:\n"
    '    observed = ["speech", "transcript", "verdict", "topic"]\n'
    '    latent = ["mood"]\n'
    '    edges = ["speech -> transcript -> verdict", "mood -> speech", "mood -> verdict",\n'
    '             "topic -> transcript", "topic -> verdict"]\n'
    "    [roles]\n"
    '    treatment = "speech"\n'
    '    mediator = "transcript"\n'
    '    outcome = "verdict"\n'
    '    auxiliary = ["topic"]        # optional',
    no_args_is_help=True,
    rich_markup_mode=None,
)

GraphFile = Annotated[
    Path, typer.Argument(metavar="GRAPH.toml", help="The graph; 'deconfound causal --help' shows one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


@app.command()
def check(
    graph: GraphFile,
    svg: Annotated[Path | None, typer.Option(help="Draw the graph with its α- and β-paths to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check the front-door and β-front-door criteria.

    Prints which path breaks a condition, and which estimator to use. The verdict is about the graph; no check can tell
    whether the graph is right. The exit code is 0 whatever the verdict.

    Example: deconfound causal check g3.toml --svg g3.svg
    """
    from deconfound.causal.advice import assess
    from deconfound.causal.draw import draw
    from deconfound.causal.formatting import assessment_json, assessment_text
    from deconfound.causal.graph import Graph
    from deconfound.io.files import atomic_write

    causal_graph = Graph.read(graph)
    assessment = assess(causal_graph)
    if svg is not None:
        with atomic_write(svg) as file:
            file.write(draw(causal_graph, assessment.beta_front_door))
    print(
        json.dumps(assessment_json(causal_graph, assessment)) if as_json else assessment_text(causal_graph, assessment)
    )


@app.command()
def estimate(
    graph: GraphFile,
    table: Annotated[Path, typer.Argument(metavar="TABLE", help=".csv, .jsonl or .parquet; one column per role.")],
    clusters: Annotated[
        str | None, typer.Option(help="Column whose values group dependent rows, such as speaker.")
    ] = None,
    missing: Annotated[
        list[str] | None,
        typer.Option(help="Word that means no value, in place of NA, NaN, None, null and the like; repeat for more."),
    ] = None,
    resamples: Annotated[int, typer.Option(min=2, max=100_000, help="Bootstrap resamples.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of the bootstrap.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Estimate the effect of a treatment from a table that has the mediator.

    Prints every formula with 95 % bootstrap intervals, whether the graph justifies it, and a warning if it depends on
    combinations of values with few or no rows. Columns are text or whole numbers with at most 50 different values.

    Example: deconfound causal estimate g3.toml rows.csv --clusters speaker
    """
    import warnings

    import numpy as np

    from deconfound.causal.counts import read_counts
    from deconfound.causal.estimate import estimate_effects
    from deconfound.causal.formatting import effects_json, effects_text
    from deconfound.causal.graph import Graph
    from deconfound.causal.support import PositivityWarning
    from deconfound.data.missing_words import MISSING

    causal_graph = Graph.read(graph)
    counts = read_counts(table, causal_graph, clusters, missing=missing or MISSING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PositivityWarning)  # the output contains them
        effects = estimate_effects(counts, causal_graph, np.random.default_rng(seed), resamples=resamples)
    print(json.dumps(effects_json(effects)) if as_json else effects_text(effects))
