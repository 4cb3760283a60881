"""The command line. Each command is a few lines; only the commands that compute load PyTorch, after all cheap refusals."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from deconfound.cli import causal as cli_causal
from deconfound.cli import data as cli_data
from deconfound.cli import diagnose as cli_diagnose
from deconfound.cli import ensemble as cli_ensemble
from deconfound.cli import evaluate as cli_evaluate
from deconfound.cli import predict as cli_predict
from deconfound.cli import predominance as cli_predominance
from deconfound.cli import references as cli_references
from deconfound.cli import retrain as cli_retrain
from deconfound.cli import sweep as cli_sweep
from deconfound.cli import table as cli_table
from deconfound.cli import tune as cli_tune
from deconfound.cli.command_group import CommandGroup
from deconfound.cli.outcome import MISTAKE, exit_code, print_reason
from deconfound.cli.streams import prepare_streams
from deconfound.errors import SpecError
from deconfound.io.plain_text import plain_streams, text_of_lines

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
app.command()(cli_ensemble.ensemble)
app.command()(cli_retrain.retrain)
app.command()(cli_evaluate.evaluate)
app.command()(cli_tune.tune)
app.command()(cli_references.references)
app.command()(cli_table.table)
app.command()(cli_predict.predict)
app.command()(cli_predominance.predominance)
app.command()(cli_diagnose.diagnose)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


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
    epochs: Annotated[int, typer.Option(min=1, max=1_000_000, help="Epochs per run.")] = 40,
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
        str,
        typer.Argument(
            help="A name in 'deconfound list', 'synthetic', 'imbalance', 'backbone' or 'train', or a run or store."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Explain a component and its arguments, or what a run or a store was made with.

    Prints what it does, and the default and range of each argument; of a run or store the encoder, extractor and pretrained
    model of each modality.

    Example: deconfound show cmir
    """
    from deconfound.cli.show import component_text, describe_component, is_component
    from deconfound.cli.show_folder import describe_folder, folder_lines, is_run_or_store

    if not is_component(name) and is_run_or_store(Path(name)):
        folder = describe_folder(Path(name))
        print(json.dumps(folder) if as_json else text_of_lines(folder_lines(folder)))
        return
    description = describe_component(name)
    print(json.dumps(description) if as_json else component_text(description))


@app.command()
def train(
    spec: Annotated[Path, typer.Argument(help="The specification, a TOML file.")],
    out: Annotated[Path, typer.Option(help="The run directory.")],
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**31 - 1, help="Replaces the seed of the specification.")
    ] = None,
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

    Only the splits "train" and "valid" are read. The best epoch on the validation rows is kept.
    """
    from deconfound.runs.spec import Spec, check_named_stores

    check_named_stores(spec, "specification")
    settings = Spec.read(spec)
    from deconfound.training.best_epoch import EpochWarning
    from deconfound.training.train import train_run
    from deconfound.training.trainer import process_rank

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EpochWarning)  # the notes, which are printed, contain it
        run = train_run(settings if seed is None else settings.model_copy(update={"seed": seed}), out)
    done = run.done
    if done is None or process_rank() > 0:  # the first of several processes speaks for all
        return
    text = (
        f"{out}: {done['epochs']} epochs, kept epoch {done['best_epoch']} with validation risk {done['best_risk']:.4g}"
    )
    from deconfound.runs.build import encoders_of

    encoders = encoders_of(run.spec, run.modalities)
    chosen = ", ".join(f"{name} by {encoder}" for name, encoder in encoders.items())
    encoded = [f"  encoded: {chosen}"] if encoders else []
    lines = [text, *encoded, *(f"  {note}" for note in done["notes"])]
    print(json.dumps({"run": str(out), **done, "encoders": encoders}) if as_json else text_of_lines(lines))


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


_NUMPYS = (
    r"(overflow|underflow|invalid value|divide by zero) encountered",
    "Mean of empty slice",
    "Degrees of freedom",
)
"""How warnings of NumPy about numbers begin; those of the project, some of them RuntimeWarnings too, are for the user."""

_USAGE: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
"""Base class of usage errors; recent versions of typer vendor click."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line.

    The exit code is 0, 2 for a mistake of the user (one line), 1 for a bug, 130 after Ctrl-C, or 141 where the reader of
    standard output went away.
    """
    words = sys.argv[1:] if arguments is None else arguments
    mistake = prepare_streams()
    if mistake is not None:
        sys.exit(print_reason(mistake, MISTAKE))
    former, warnings.formatwarning = warnings.formatwarning, _warning_line
    try:
        with warnings.catch_warnings(), plain_streams():
            for numpys in _NUMPYS:  # what overflows is infinite in what is printed
                warnings.filterwarnings("ignore", message=numpys, category=RuntimeWarning)
            warnings.filterwarnings("ignore", message=r"(std|var)\(\): degrees of freedom")
            code = _run(words, debug="--debug" in words)
    finally:
        warnings.formatwarning = former
    sys.exit(code)


def _warning_line(message: Warning | str, category: type[Warning], *_place: object) -> str:
    return f"deconfound: {category.__name__}: {' '.join(str(message).split())}\n"


def _run(words: list[str], debug: bool) -> int:
    return exit_code(lambda: _call(words), debug)


def _call(words: list[str]) -> Any:
    """Run the words; errors of usage become errors of ours."""
    try:
        return app(words, standalone_mode=False)
    except _USAGE as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            sys.exit(MISTAKE)
        command = error.ctx.command_path if getattr(error, "ctx", None) else "deconfound"
        raise SpecError(f"{error.format_message()} See '{command} --help'.") from None
    except typer.Abort as error:
        raise KeyboardInterrupt from error
