"""Sentiment of transcripts across corpora: trained on CMU-MOSI and tested on CMU-MOSEI, and the reverse.

    python benchmarks/text/transfer.py unaligned_30.pkl label.csv --out runs/transfer [--seeds 3] [--workers 2]

The first file is MOSI in the field's pickle, the second the table of MOSEI's texts; both have labels in [-3, 3] and no video
in common. The text is one frozen sentence vector. Epochs are chosen on the validation rows of the training corpus. A second
call does only what is missing. Prints test MAE and correlation, mean ± sd over seeds, and the difference of a model from the
one that was trained on the tested corpus, paired over seeds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from grid import Job, mean_sd, one_thread, paired_interval, run_jobs

from deconfound.data.dataset import Dataset
from deconfound.data.store import open_verified, save
from deconfound.datasets.readers.ch_sims import ChSimsReader
from deconfound.datasets.readers.mmsa import read_mmsa
from deconfound.evaluation.records import frame, read_records
from deconfound.evaluation.scenario import Scenario
from deconfound.extraction.cache import default_folder
from deconfound.extraction.prepare import prepare
from deconfound.extraction.raw import RawColumn
from deconfound.runs.run import Run

TRAIN = {"epochs": 15, "batch_size": 128, "patience": 5}
TEST = [Scenario("test", "test")]


def mosi(path: Path) -> Dataset:
    """The transcripts of MOSI as sentence vectors."""
    dataset = read_mmsa(path, name="mosi")
    texts, ids = (dataset.columns[name].values.tolist() for name in ("raw_text", "id"))
    signal, _ = prepare(RawColumn("text", texts), "text", ids=ids, cache=default_folder(), progress=True)
    return replace(dataset, signals={"text": signal})


def mosei(path: Path) -> Dataset:
    """The transcripts of MOSEI as sentence vectors."""
    return replace(ChSimsReader().read(path), name="mosei")


def tested(folder: Path, other: Dataset) -> Path:
    """Evaluate a run on the test rows of another corpus."""
    Run.open(folder).evaluate(TEST, dataset=other)
    return folder


def values(folders: Sequence[Path], corpus: str, metric: str) -> list[float]:
    """The metric of each run on the test rows of a corpus."""
    found = []
    for folder in folders:
        run = Run.open(folder)
        own = run.environment["data"]["name"] == corpus
        places = [run.path] if own else sorted((run.path / "corpora").glob(f"{corpus}-*"))
        [place] = [place / "records.jsonl" for place in places if (place / "records.jsonl").is_file()]
        records = frame(read_records(place))
        here = (records["metric"] == metric) & (records["scenario"] == "test") & (records["group"] == "all")
        found.append(float(records[here]["value"].iloc[0]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mosi", type=Path)
    parser.add_argument("mosei", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    stores = {"mosi": options.out / "mosi", "mosei": options.out / "mosei"}
    for name, store in stores.items():
        if not store.exists():
            save(mosi(options.mosi) if name == "mosi" else mosei(options.mosei), store)
    folders = {name: [options.out / f"from-{name}-{seed}" for seed in range(options.seeds)] for name in stores}
    jobs: list[Job] = [
        (
            one_thread({"method": "erm", "data": {"store": str(stores[name].resolve())}, "train": TRAIN}, seed),
            folder,
            TEST,
        )
        for name, runs in folders.items()
        for seed, folder in enumerate(runs)
    ]
    run_jobs(jobs, options.workers)
    corpora = {name: open_verified(store) for name, store in stores.items()}
    lines = ["| trained on | tested on | MAE | corr | Acc-2 | MAE − own corpus |", "|---|---|---|---|---|---|"]
    for name in stores:
        for trained, runs in folders.items():
            if trained != name:
                for folder in runs:
                    tested(folder, corpora[name])
            cells = [mean_sd(values(runs, name, metric)) for metric in ("mae", "corr", "acc-2-non0")]
            own = values(folders[name], name, "mae")
            apart = "" if trained == name else paired_interval(values(runs, name, "mae"), own)
            lines.append(f"| {trained} | {name} | {' | '.join(cells)} | {apart} |")
    text = "\n".join(lines)
    (options.out / "table.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
