"""`deconfound data shift`: an out-of-distribution test split from any store."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

Store = Annotated[Path, typer.Argument(help="A store that 'deconfound data import' wrote.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def shift(
    store: Store,
    out: Annotated[Path, typer.Option(help="The store to create; it must not exist.")],
    by: Annotated[
        str,
        typer.Option(
            metavar="words|COLUMN|features:MODALITY", help="What shall be tied to the label differently in test."
        ),
    ] = "words",
    correlation: Annotated[
        float,
        typer.Option(
            min=-1, max=1, help="Largest correlation of the associations in test and elsewhere that is accepted."
        ),
    ] = 0.0,
    test: Annotated[str, typer.Option(metavar="SPLIT", help="The split that becomes out of distribution.")] = "test",
    text: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the texts, if there are several.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column whose groups stay whole; default: those of the store.")
    ] = None,
    rows: Annotated[
        bool, typer.Option("--rows", help="Exchange single rows though the store keeps groups whole.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same split.")] = 0,
    proposals: Annotated[int, typer.Option(min=1, max=10_000_000, help="Exchanges of rows to try at most.")] = 50_000,
    as_json: AsJson = False,
) -> None:
    """Exchange rows with the test split until words, a column or clusters of features tell the label differently there.

    This makes an out-of-distribution test of any corpus, in the manner of MOSI-OOD: the label's distribution stays, what is
    tied to it moves. Train on the new store; compare methods on both.

    \b
    deconfound data shift stores/mosi --by words --correlation 0 --out stores/mosi-ood
    deconfound data shift stores/posts --by topic --group author --out stores/posts-ood
    """
    from dataclasses import asdict

    from deconfound.data.shift import shift_split
    from deconfound.data.store import open_verified, refuse_existing, save

    refuse_existing(out)
    options = {"text": text, "group": group, "rows": rows, "seed": seed, "proposals": proposals}
    shown = sys.stderr.isatty()
    shifted, report = shift_split(
        open_verified(store), by, correlation=correlation, test=test, progress=shown, **options
    )
    save(shifted, out)
    if as_json:
        print(json.dumps(asdict(report)))
        return
    print(f"wrote {out}: correlation {report.before:.2f} → {report.after:.2f} over {report.attributes} attributes")
    print(f"  {report.exchanged} of {report.test_rows[1]} rows of {test} are new")
    if report.test_rows[0] != report.test_rows[1] or report.label_moved:
        print(f"  {test} had {report.test_rows[0]} rows; {report.label_moved:.1%} of its labels' distribution moved")
    print(f"  {'attribute':24}  elsewhere  {test}")
    for name, (elsewhere, here) in report.most_changed.items():
        print(f"  {name[:24]:24}  {elsewhere:9.2f}  {here:.2f}")
