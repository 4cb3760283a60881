"""The command line. Each command is a few lines; only the commands that compute load PyTorch."""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from deconfound.cli import causal as cli_causal
from deconfound.cli import data as cli_data
from deconfound.cli import diagnose as cli_diagnose
from deconfound.cli import predominance as cli_predominance
from deconfound.cli import references as cli_references
from deconfound.cli import sweep as cli_sweep
from deconfound.cli import table as cli_table
from deconfound.cli import tune as cli_tune
from deconfound.errors import DeconfoundError

COMMANDS = (
    "demo",
    "data",
    "train",
    "evaluate",
    "report",
    "predict",
    "sweep",
    "tune",
    "table",
    "diagnose",
    "predominance",
    "causal",
    "references",
    "list",
    "show",
)
"""All commands in the order of work, as the help lists them."""


class CommandGroup(TyperGroup):
    """The commands in the order of `COMMANDS`; typer would list commands before groups."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name in COMMANDS if name in self.commands]


app = typer.Typer(
    name="deconfound",
    cls=CommandGroup,
    help="Train multimodal models that keep working after the data change, and measure whether they do.\n\n"
    "Start with 'deconfound demo'. For your own data: 'deconfound data import', then 'train', 'evaluate', 'report'.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(cli_data.app, name="data")
app.add_typer(cli_sweep.app, name="sweep")
app.add_typer(cli_causal.app, name="causal")
app.command()(cli_tune.tune)
app.command()(cli_references.references)
app.command()(cli_table.table)
app.command()(cli_predominance.predominance)
app.command()(cli_diagnose.diagnose)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
RunDir = Annotated[Path, typer.Argument(help="A run directory that 'deconfound train' wrote.")]


def _print_version(requested: bool) -> None:
    if requested:
        import deconfound

        print(f"deconfound {deconfound.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options before the command."""


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the runs and report.html.")] = Path("demo"),
    epochs: Annotated[int, typer.Option(min=1, help="Epochs per run.")] = 40,
) -> None:
    """Train and compare two methods on synthetic data.

    Trains ERM and CmIR on data with known causes, corrupts the inputs, and writes a report.

    This takes about a minute on two cores. A second call keeps the finished runs and rewrites only the report.
    """
    from deconfound.cli.demo import run_demo

    print(f"wrote {run_demo(out, epochs)}")


@app.command("list")
def list_components(as_json: AsJson = False) -> None:
    """List all components by kind, from methods to metrics and protocols.

    'deconfound show NAME' explains one.
    """
    from deconfound.registry import KINDS, names

    components = {kind: names(kind) for kind in KINDS}
    lines = [f"{kind:14} {'  '.join(components[kind])}" for kind in components]
    print(json.dumps(components) if as_json else "\n".join(lines))


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(help="A name in 'deconfound list', or 'synthetic', 'imbalance', 'backbone' or 'train'.")
    ],
    as_json: AsJson = False,
) -> None:
    """Explain a component and its arguments.

    Prints what it does, and the default and range of each argument.

    Example: deconfound show cmir
    """
    from deconfound.cli.show import component_text, describe_component

    description = describe_component(name)
    print(json.dumps(description) if as_json else component_text(description))


@app.command()
def train(
    spec: Annotated[Path, typer.Argument(help="The specification, a TOML file.")],
    out: Annotated[Path, typer.Option(help="The run directory.")],
    seed: Annotated[int | None, typer.Option(min=0, help="Replaces the seed of the specification.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train one run, or resume an interrupted one.

    A specification is a few lines:

    \b
        method = "cmir"
        [data]
        store = "stores/mosi"        # or: synthetic = {}
        [train]
        epochs = 60                  # all fields: deconfound show train

    Only the splits "train" and "valid" are read. The epoch with the lowest validation risk is kept.
    """
    from deconfound.runs.spec import Spec
    from deconfound.training.best_epoch import EpochWarning
    from deconfound.training.train import train_run
    from deconfound.training.trainer import process_rank

    settings = Spec.read(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EpochWarning)  # the notes, which are printed, contain it
        run = train_run(settings if seed is None else settings.model_copy(update={"seed": seed}), out)
    done = run.done
    if done is None or process_rank() > 0:  # the first of several processes speaks for all
        return
    text = (
        f"{out}: {done['epochs']} epochs, kept epoch {done['best_epoch']} with validation risk {done['best_risk']:.4g}"
    )
    lines = [text, *(f"  {note}" for note in done["notes"])]
    print(json.dumps({"run": str(out), **done}) if as_json else "\n".join(lines))


@app.command()
def evaluate(
    runs: Annotated[list[Path], typer.Argument(help="Run directories.")],
    scenarios: Annotated[Path | None, typer.Option(help="TOML file of [[scenario]] tables.")] = None,
    store: Annotated[Path | None, typer.Option(help="The dataset store, if it moved since training.")] = None,
    device: Annotated[str, typer.Option(help="Where to compute, such as cuda.")] = "cpu",
    as_json: AsJson = False,
) -> None:
    """Evaluate runs under clean and corrupted test data.

    Writes the predictions/ and records.jsonl of each run.

    The default scenarios are all splits, Gaussian noise, dropped frames and every subset of the modalities.
    """
    from deconfound.cli.evaluate import evaluate_runs, evaluation_warnings
    from deconfound.data.store import open_store

    summary = evaluate_runs(runs, scenarios, store, device)
    print(summary.to_json(orient="records") if as_json else summary.to_string(index=False))
    for line in evaluation_warnings(runs, None if store is None else open_store(store)):
        print(f"warning: {line}", file=sys.stderr if as_json else sys.stdout)


@app.command()
def predict(
    run: RunDir,
    source: Annotated[
        Path,
        typer.Argument(
            help="A store, the TOML of a table, a .jsonl file, or a .csv or .parquet of raw samples; '-' reads JSON lines."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Output file; default: standard output.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines instead of CSV.")] = False,
) -> None:
    """Predict new rows. Any of the run's modalities may be missing, in any row.

    \b
        echo '{"id": "a", "m1": [0, 1, 0, 2, 0, 0, 1, 0, 0, 1]}' > rows.jsonl
        deconfound predict demo/erm-0 rows.jsonl
    """
    from deconfound.prediction.predict import predict_file
    from deconfound.runs.run import Run

    opened = Run.open(run)
    form = "jsonl" if as_json else "csv"
    rows = predict_file(
        opened.method(),
        opened.modalities,
        opened.task,
        source,
        out,
        form,
        repairs=opened.repairs,
        preparations=opened.preparations,
    )
    if out is not None:
        print(f"wrote {rows} rows to {out}")


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Evaluated runs, or sweeps, which stand for their selected runs.")],
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("report.html"),
    references: Annotated[bool, typer.Option(help="Show comparable published numbers.")] = True,
    method: Annotated[list[str] | None, typer.Option(help="Method label to show; repeatable; default: all.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Dataset to show; repeatable; default: all.")] = None,
) -> None:
    """Write one HTML report that opens offline.

    It has tables, robustness curves and learning curves.
    Seeds of one method are pooled. Published numbers appear beside yours only if rows, protocol and inputs are the same;
    otherwise the page says why not.
    """
    from deconfound.references import published
    from deconfound.report import build_report
    from deconfound.results.collect_runs import RunFilter

    only = RunFilter(tuple(method or ()), tuple(dataset or ()))
    print(f"wrote {build_report(runs, out, references=published() if references else None, only=only)}")


_USAGE: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
"""Base class of usage errors; recent versions of typer vendor click."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line: exit code 0, 2 for a mistake of the user (one line), 1 for a bug, 130 after Ctrl-C."""
    words = sys.argv[1:] if arguments is None else arguments
    former, warnings.formatwarning = warnings.formatwarning, _warning_line
    try:
        code = _run(words, debug="--debug" in words)
    finally:
        warnings.formatwarning = former
    sys.exit(code)


def _warning_line(message: Warning | str, category: type[Warning], *_place: object) -> str:
    return f"deconfound: {category.__name__}: {' '.join(str(message).split())}\n"


def _run(words: list[str], debug: bool) -> int:
    try:
        result: Any = app(words, standalone_mode=False)
        sys.stdout.flush()
        return _interrupted() if result == 130 else 0
    except _USAGE as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            return 2
        command = error.ctx.command_path if getattr(error, "ctx", None) else "deconfound"
        return _report_error(f"{error.format_message()} See '{command} --help'.", 2)
    except (typer.Abort, KeyboardInterrupt):
        return _interrupted()
    except DeconfoundError as error:
        if debug:
            traceback.print_exc()
        return _report_error(" ".join(str(error).split()), 2)
    except (BrokenPipeError, SystemExit) as error:
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            return error.code if isinstance(error.code, int) else 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the pipe is closed, as in '| head'
        return 0
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _report_error(f"this is a bug in deconfound ({type(error).__name__}: {error}); run with --debug", 1)


def _interrupted() -> int:
    return _report_error("interrupted; call train, sweep, tune or demo again to resume", 130)


def _report_error(message: str, code: int) -> int:
    print(f"deconfound: {message}", file=sys.stderr)
    return code
