"""Raw texts, sound and images, from files to tables: makes the stores, runs the sweeps of this folder, writes their tables.

    python benchmarks/raw/run.py --corpora FOLDER [--only mustard spoken] [--workers 2]

FOLDER holds mustard/, mvsa-single-text/ and av-digits/mnist20k.npz; the spoken words need the program espeak-ng. A sweep
whose source is not there is left out. A second call does only what is missing. Everything goes to runs/raw, the tables to
runs/raw/NAME.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
import digit_files
import spoken
from folds import fold_table

from deconfound.errors import DeconfoundError

HERE = Path(__file__).parent
OUT = Path("runs/raw")
"""Relative to the root of the repository, as the stores in the sweeps are."""
SWEEPS = ("mustard", "mustard-speakers", "mvsa", "spoken", "spoken-mfcc", "digits")


@dataclass(frozen=True)
class Store:
    """One call of `deconfound data import`."""

    name: str
    source: Path
    reader: str
    options: tuple[str, ...] = ()


def stores(sweep: str, corpora: Path, made: Path) -> list[Store]:
    """What a sweep needs; the files of `spoken` and `digits` are made first, under `made`.

    Raises:
        DataError: their source is not there.
    """
    if sweep.startswith("mustard"):
        names = [f"fold-{number}" for number in range(5)] if sweep == "mustard" else ["speaker-independent"]
        return [Store(f"mustard-{name}", corpora / "mustard", "mustard", (f"split={name}",)) for name in names]
    if sweep == "mvsa":
        return [Store("mvsa-single", corpora / "mvsa-single-text", "mvsa")]
    if sweep == "digits":
        tables = digit_files.make(corpora / "av-digits" / "mnist20k.npz", made / "digits", 1000)
        return [Store(f"digits-{table.stem}", table, "table") for table in tables]
    extractor = "mfcc" if sweep == "spoken-mfcc" else "log-mel"
    spoken.make(made / "spoken")
    tables = {voice: made / "spoken" / f"without-{voice}-{extractor}.toml" for voice in spoken.VOICES}
    return [Store(f"spoken-{extractor}-{voice}", table, "table") for voice, table in tables.items()]


def call(*words: str) -> str:
    """What a command of this program prints; its error stops this script."""
    command = [sys.executable, "-W", "ignore", "-m", "deconfound.cli", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def run(sweep: str, corpora: Path, workers: int) -> str:
    """The tables of a sweep."""
    for store in stores(sweep, corpora, OUT / "files"):
        folder = OUT / "stores" / store.name
        if not folder.exists():
            options = [word for option in store.options for word in ("--option", option)]
            source = [str(store.source), "--format", store.reader, "--name", store.name]  # folds of one file need names
            call("data", "import", *source, "--out", str(folder), *options)
    spec, folder = HERE / f"{sweep}.toml", OUT / sweep
    call("sweep", "run", str(spec), "--out", str(folder), "--executor", "processes", "--workers", str(workers))
    return tables(sweep, folder)


def tables(sweep: str, folder: Path) -> str:
    """Markdown: over folds where the datasets leave something out, else over seeds and rows."""
    if sweep.startswith("spoken"):
        baseline = "erm, mfcc" if sweep == "spoken-mfcc" else "erm"
        return "\n".join(fold_table(folder, name, "accuracy", (), baseline) for name in ("test-voice", "test-iid"))
    if sweep == "mustard":
        return fold_table(folder, "test", "accuracy", ())
    metrics = ("accuracy", "weighted-f1", "macro-f1")
    return call("table", str(folder), *(word for metric in metrics for word in ("--metric", metric)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=SWEEPS, default=SWEEPS)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    for sweep in options.only:
        try:
            text = run(sweep, options.corpora, options.workers)
        except DeconfoundError as error:
            print(f"{sweep} is left out: {error}", file=sys.stderr)
            continue
        (OUT / f"{sweep}.md").write_text(text, encoding="utf-8")
        print(text, flush=True)


if __name__ == "__main__":
    main()
