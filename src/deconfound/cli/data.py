"""`deconfound data`: import data, check it and describe it."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deconfound.cli.shift import AsJson, Store, shift
from deconfound.io.plain_text import text_of_lines

if TYPE_CHECKING:
    pass

app = typer.Typer(
    help="Import data, check it and describe it.\n\n"
    "A store is one folder that holds a dataset: memory-mapped arrays and a JSON file. Training reads only stores.\n\n"
    "Start with: deconfound data import mosi.pkl --format mmsa --out stores/mosi",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class TaskKind(StrEnum):
    """Kinds of tasks."""

    regression = "regression"
    classification = "classification"


@app.command("import")
def import_data(
    source: Annotated[Path, typer.Argument(help="The file or folder that the reader expects.")],
    out: Annotated[Path, typer.Option(help="The store to create; it must not exist.")],
    reader: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="READER",
            help="A reader in 'deconfound list'; auto guesses from the content, and says so.",
        ),
    ] = "auto",
    name: Annotated[str | None, typer.Option(help="Name of the dataset; default: the name in the source.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Option of the reader; repeat for more. 'deconfound show READER'."),
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Metric protocol in place of the reader's; 'deconfound list' names all.")
    ] = None,
    task: Annotated[
        TaskKind | None,
        typer.Option(help="Task in place of the reader's: classification of the column 'class' or of whole numbers."),
    ] = None,
    valid: Annotated[
        float | None,
        typer.Option(help="Take this share of train as valid where the corpus has none: whole groups, if it has any."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read a corpus, check every row, and write a store.

    'deconfound show READER' prints the source, licence, layout and known defects of a corpus.

    \b
    mmsa       the pickle with train, valid and test that sentiment tools exchange;
               nothing in it is executed
                 deconfound data import mosi.pkl --format mmsa --out stores/mosi
    table      your own data: a TOML that names a manifest and one array per modality
                 deconfound data import corpus.toml --format table --out stores/corpus
    synthetic  data with known causes: a TOML of its parameters, or the word 'default'
                 deconfound data import default --format synthetic --out stores/synthetic
    others     what the field exchanges: 'deconfound list' names them; without --format the
               content tells which
                 deconfound data import downloads/ur_funny.pkl --out stores/funny

    \b
    The TOML of a table; 'python -m pydoc deconfound.datasets.readers.table' explains each line:
        manifest = "rows.csv"           # .csv, .jsonl or .parquet: one row per sample
        environment = ["speaker"]
        [target]
        column = "label"
        kind = "classification"
        [split]                         # or: shares = { train = .7, valid = .15, test = .15 }
        column = "split"                # also valid = 0.15, group = ["speaker"], stratify, seed
        [modalities.audio]
        file = "audio.npy"              # (rows, steps, features)
        lengths = "frames"
    """
    from dataclasses import replace

    from deconfound.cli.import_summary import import_summary
    from deconfound.data.store import refuse_existing, save
    from deconfound.registry import check_name

    refuse_existing(out)
    if reader != "auto":
        check_name("readers", reader)
    from deconfound.data.findings import IMPORT_FINDINGS, find_all
    from deconfound.data.retask import retask
    from deconfound.datasets.recognise import read_corpus
    from deconfound.datasets.validation_share import take_validation

    dataset, guess = read_corpus(source, reader, parse_options(option or []))
    dataset = retask(dataset, None if task is None else task.value, protocol)
    dataset = replace(dataset, name=name) if name else dataset
    dataset = dataset if valid is None else take_validation(dataset, valid)
    warnings = find_all(dataset, IMPORT_FINDINGS)
    save(dataset, out)
    if as_json:
        rows = {split: len(numbers) for split, numbers in dataset.splits.items()}
        result = {"store": str(out), "name": dataset.name, "rows": rows, "checksum": dataset.checksum}
        guessed = {} if guess is None else {"guessed_format": guess.reader}
        print(json.dumps(result | guessed | {"provenance": dict(dataset.provenance), "warnings": warnings}))
        return
    guessed_line = "" if guess is None else f"read with --format {guess.reader}, because this looks like {guess.looks}"
    lines = [*filter(None, [guessed_line]), *import_summary(dataset, out), *(f"warning: {line}" for line in warnings)]
    print(text_of_lines(lines))


@app.command("cache")
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Delete all of it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what extractors of raw samples computed and kept, and how large it is.

    It lies in $DECONFOUND_CACHE, or ~/.cache/deconfound. Deleting it costs only the time of the next import.
    """
    from deconfound.extraction.cache import cached_files, default_folder

    folder = default_folder()
    files = cached_files(folder)
    for path, _ in files if clear else ():
        path.unlink(missing_ok=True)
    if as_json:
        sizes = {path.name: size for path, size in files}
        print(json.dumps({"folder": str(folder), "files": sizes, "deleted": clear}))
        return
    for path, size in files:
        print(f"{size / 1e6:10.1f} MB  {path.name}")
    print(f"{sum(size for _, size in files) / 1e6:10.1f} MB  {'deleted from' if clear else 'in'} {folder}")


app.command("shift")(shift)


def parse_options(words: list[str]) -> dict[str, Any]:
    """NAME=VALUE words as arguments of a reader; a value that begins with [, { or " is TOML, any other is text.

    Raises:
        SpecError: a word without "=", a repeated name, or a value that is not TOML.
    """
    import tomllib

    from deconfound.errors import SpecError

    options: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name or name in options:
            raise SpecError(f"--option {word}: expected NAME=VALUE, each name once; correct it")
        try:
            options[name] = tomllib.loads(f"value = {text}")["value"] if text.startswith(("[", "{", '"')) else text
        except (ValueError, RecursionError) as error:
            reason = str(error)[:160]
            raise SpecError(f"--option {word[:80]}: the value is not TOML: {reason}; correct it") from error
    return options


class InferenceMethod(StrEnum):
    """Ways to infer environments."""

    eiil = "eiil"
    cluster = "cluster"


@app.command()
def environments(
    run: Annotated[Path, typer.Argument(help="A finished run, preferably of erm.")],
    out: Annotated[Path, typer.Option(help="The store to create; it must not exist.")],
    how: Annotated[
        InferenceMethod,
        typer.Option(help="From the per-row risk of the run (eiil), or by clustering what it predicts from."),
    ] = InferenceMethod.eiil,
    count: Annotated[int, typer.Option(min=2, max=10_000, help="Number of environments; eiil always has 2.")] = 2,
    column: Annotated[str, typer.Option(help="Name of the metadata column to add.")] = "inferred",
    store: Annotated[Path | None, typer.Option(help="The dataset store, if it moved since training.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of the clustering.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Infer environments from a finished run, and write its data with an environment column.

    Test rows are not read. Inferred environments can do harm: compare with a run without them.

    \b
        deconfound data environments runs/erm-0 --out stores/guessed
        then, under [data]: store = "stores/guessed" and environment = ["inferred"]
    """
    import warnings

    from deconfound.data.store import open_verified, refuse_existing, save
    from deconfound.runs.run_files import check_run

    check_run(run, finished=True)
    refuse_existing(out)
    from deconfound.runs.infer_environments import CAUTION, InferenceWarning, infer_environments

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InferenceWarning)  # the output contains it
        moved = None if store is None else open_verified(store)
        dataset = infer_environments(run, how=how.value, count=count, column=column, dataset=moved, seed=seed)
    save(dataset, out)
    inferred = dataset.provenance["inferred"][column]
    if as_json:
        print(json.dumps({"store": str(out), "column": column, "warning": CAUTION, **inferred}))
        return
    print(f"wrote {out}: column {column!r}")
    for name, risk in inferred["risk"].items():
        rows = ", ".join(f"{split} {counts[name]}" for split, counts in inferred["rows"].items())
        print(f"  {name}: {rows} rows, mean risk of the run {risk:.3g}")
    if inferred["agreement"] is not None:
        print(f"  adjusted Rand index with the declared environments: {inferred['agreement']:.2f}")
    print(f"warning: {CAUTION}")


@app.command()
def check(store: Store, as_json: AsJson = False) -> None:
    """Read all of a store and check it: checksum, masks, finite values, unique ids, non-empty splits.

    Prints a warning for each fault that is a relation: absence that tells the label, equal or nearly equal rows, equal
    rows with contradicting labels, rows sorted by label, classes that a split lacks, features that only vary later,
    far-out values, and the like.

    Example: deconfound data check stores/mosi
    """
    from deconfound.data.store import check_store

    dataset = check_store(store)
    from deconfound.data.findings import find_all

    warnings = find_all(dataset)
    if as_json:
        facts = {"store": str(store), "ok": True, "rows": len(dataset), "checksum": dataset.checksum}
        print(json.dumps(facts | {"warnings": warnings}))
    else:
        print(f"{store} is sound: {len(dataset)} rows, checksum {dataset.checksum[:16]}")
        print("".join(f"warning: {text_of_lines([line])}\n" for line in warnings), end="")


@app.command()
def describe(
    store: Store,
    out: Annotated[
        Path | None, typer.Option(help="Also write charts to this .html (opens offline) or .svg file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show rows, shapes, missing values, targets, groups, and which single modality predicts the target best.

    Probes are fitted on train and scored on valid. Test rows enter only the counts.

    Example: deconfound data describe stores/mosi --out mosi.html
    """
    from deconfound.data.store import open_verified

    dataset = open_verified(store)
    from deconfound.data.describe import describe as describe_dataset
    from deconfound.data.describe_text import as_text, draw

    description = describe_dataset(dataset)
    if out is not None:
        draw(description, out)
    print(json.dumps(description.to_json()) if as_json else as_text(description))
    if out is not None and not as_json:
        print(f"wrote {out}")
