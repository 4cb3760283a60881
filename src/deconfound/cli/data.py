"""`deconfound data`: bring data in, check it, look at it."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from deconfound.data.dataset import Dataset

app = typer.Typer(
    help="Bring data in, check it, look at it.\n\n"
    "A dataset lives in a store: one folder with the arrays, memory-mapped, and a JSON. Training reads stores only.\n\n"
    "Begin with: deconfound data import mosi.pkl --format mmsa --out stores/mosi",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Store = Annotated[Path, typer.Argument(help="A store, as 'deconfound data import' makes it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


class Format(StrEnum):
    """Layouts that can be imported."""

    mmsa = "mmsa"
    table = "table"
    synthetic = "synthetic"


@app.command("import")
def import_data(
    source: Annotated[str, typer.Argument(help="The .pkl of mmsa, the TOML of table or synthetic.")],
    layout: Annotated[Format, typer.Option("--format", help="How the source is laid out.")],
    out: Annotated[Path, typer.Option(help="The store to make; it must not exist.")],
    name: Annotated[str | None, typer.Option(help="Name of the dataset; by default the source's.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read a corpus, check every row, and write a store.

    \b
    mmsa       the pickle with train, valid, test that sentiment tools exchange;
               read without running anything in it
                 deconfound data import mosi.pkl --format mmsa --out stores/mosi
    table      your own data: a TOML that names a manifest and one array per modality
                 deconfound data import corpus.toml --format table --out stores/corpus
    synthetic  data with known causes: a TOML of its knobs, or the word 'default'
                 deconfound data import default --format synthetic --out stores/synthetic

    \b
    The TOML of a table; 'python -m pydoc deconfound.datasets.table' explains all of it:
        manifest = "rows.csv"           # .csv, .jsonl or .parquet: one row per sample
        environment = ["speaker"]
        [target]
        column = "label"
        kind = "classification"
        [split]                         # or: group = ["speaker"], seed, shares
        column = "split"
        [modalities.audio]
        file = "audio.npy"              # (rows, steps, features)
        lengths = "frames"
    """
    from dataclasses import replace

    from deconfound.data.store import refuse_existing, save

    refuse_existing(out)
    dataset = _read(source, layout, name)
    dataset = replace(dataset, name=name) if name else dataset
    save(dataset, out)
    rows = {split: len(found) for split, found in dataset.splits.items()}
    if as_json:
        result = {"store": str(out), "name": dataset.name, "rows": rows, "checksum": dataset.checksum}
        print(json.dumps(result | {"provenance": dict(dataset.provenance)}))
        return
    print(f"wrote {out}: {', '.join(f'{split} {count}' for split, count in rows.items())} rows")
    print("\n".join(f"  {form}" for form in dataset.modalities.values()))
    for modality, notes in dataset.provenance.get("masks", {}).items():
        told = ", ".join(
            f"{count} {what.replace('_', ' ')}" for what, count in notes.items() if count and what in _TOLD
        )
        if told:
            print(f"  {modality}: masked {told}")


_TOLD = ("nan_steps", "infinite_steps", "dropped_steps", "absent_rows")


def _read(source: str, layout: Format, name: str | None) -> Dataset:
    if layout is Format.mmsa:
        from deconfound.datasets.mmsa import read_mmsa

        return read_mmsa(source, name=name)
    if layout is Format.table:
        from deconfound.datasets.table import read_table

        return read_table(source)
    from deconfound.datasets.synthetic import synthetic
    from deconfound.datasets.table import read_toml

    return synthetic(**({} if source == "default" else read_toml(Path(source))))


class How(StrEnum):
    """Ways to infer environments."""

    eiil = "eiil"
    cluster = "cluster"


@app.command()
def environments(
    run: Annotated[Path, typer.Argument(help="A finished run, best of erm.")],
    out: Annotated[Path, typer.Option(help="The store to make; it must not exist.")],
    how: Annotated[How, typer.Option(help="By the run's risk, or by clusters of what it predicts from.")] = How.eiil,
    count: Annotated[int, typer.Option(min=2, help="Environments; eiil has 2.")] = 2,
    column: Annotated[str, typer.Option(help="Metadata column to add.")] = "inferred",
    store: Annotated[Path | None, typer.Option(help="The dataset store, if it moved since training.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the clusters.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Guess environments from a finished run, and write its data with a column of them.

    Test rows are not looked at. A guess can do harm: compare with a run without it.

    \b
        deconfound data environments runs/erm-0 --out stores/guessed
        then, under [data]: store = "stores/guessed" and environment = ["inferred"]
    """
    import warnings

    from deconfound.data.store import open_store, refuse_existing, save
    from deconfound.runs.infer_environments import CAUTION, InferenceWarning, infer_environments

    refuse_existing(out)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InferenceWarning)  # it stands in what is printed
        given = None if store is None else open_store(store)
        dataset = infer_environments(run, how=how.value, count=count, column=column, dataset=given, seed=seed)
    save(dataset, out)
    told = dataset.provenance["inferred"][column]
    if as_json:
        print(json.dumps({"store": str(out), "column": column, "warning": CAUTION, **told}))
        return
    print(f"wrote {out}: column {column!r}")
    for name, risk in told["risk"].items():
        rows = ", ".join(f"{split} {found[name]}" for split, found in told["rows"].items())
        print(f"  {name}: {rows} rows, mean risk of the run {risk:.3g}")
    if told["agreement"] is not None:
        print(f"  adjusted Rand index with the declared environments: {told['agreement']:.2f}")
    print(f"warning: {CAUTION}")


@app.command()
def check(store: Store, as_json: AsJson = False) -> None:
    """Read a store to its last byte: checksum, masks, finite values, unique ids, non-empty splits.

    Example: deconfound data check stores/mosi
    """
    from deconfound.data.store import check_store

    dataset = check_store(store)
    if as_json:
        print(json.dumps({"store": str(store), "ok": True, "rows": len(dataset), "checksum": dataset.checksum}))
    else:
        print(f"{store} is sound: {len(dataset)} rows, checksum {dataset.checksum[:16]}")


@app.command()
def describe(
    store: Store,
    out: Annotated[Path | None, typer.Option(help="Also draw it: a .html (opens offline) or .svg file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show rows, shapes, gaps, targets, groups, and which modality predicts the target best by itself.

    The probes are fitted on train and judged on valid; of test rows only the target is summed up.

    Example: deconfound data describe stores/mosi --out mosi.html
    """
    from deconfound.data.describe import describe as describe_dataset
    from deconfound.data.describe_text import as_text, draw
    from deconfound.data.store import open_store

    found = describe_dataset(open_store(store))
    if out is not None:
        draw(found, out)
    print(json.dumps(found.to_json()) if as_json else as_text(found))
    if out is not None and not as_json:
        print(f"wrote {out}")
