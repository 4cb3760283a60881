"""CMU-MOSI with its transcripts: text as word vectors, frozen, and fine-tuned; alone, and with audio and vision.

    python benchmarks/text/mosi.py unaligned_30.pkl --out runs/mosi-text [--seeds 5] [--workers 2]

Protocol "mmsa-regression" on the splits of the file: 1444, 269 and 482 rows of 62, 12 and 19 videos. The epoch is chosen by
validation MAE; no setting was chosen on test rows. A second call does only what is missing. Prints a table: mean ± sd over
seeds, and the difference in MAE from the first row with a 95 % interval over seeds.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from grid import Job, best_risk, mean_sd, one_thread, paired_interval, run_jobs, table

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.store import save
from deconfound.datasets.readers.mmsa import read_mmsa
from deconfound.evaluation.scenario import Scenario
from deconfound.extraction.cache import default_folder
from deconfound.extraction.prepare import prepare
from deconfound.extraction.raw import RawColumn

TEXTS: dict[str, dict[str, Any] | None] = {
    "words": None,
    "sentence": {"name": "sentence"},
    "tokens": {"name": "token-vectors"},
    "pieces": {"name": "word-pieces", "most": 64},
}
"""Modality of the store → extractor of the transcripts; None for the averaged word vectors of the file."""
TUNE = {"epochs": 5, "batch_size": 32, "patience": 5}
PROBE = {**TUNE, "schedule": "probe-then-tune", "probe": 0.2}
SHORT = {"epochs": 30, "batch_size": 32}
OTHERS = ["audio", "vision"]


def configurations() -> list[dict[str, Any]]:
    """What is compared: text alone, then text with audio and vision."""

    def one(name: str, text: str, train: dict[str, Any], method: Any = "erm", others: bool = False) -> dict[str, Any]:
        encoders = {"words": "pool", "tokens": "transformer"}
        chosen = {text: encoders[text]} if text in encoders else {}
        data = {"modalities": [text, *OTHERS] if others else [text]}
        return {"name": name, "method": method, "data": data, "train": train, "backbone": {"encoders": chosen}}

    return [
        one("erm, mean of word vectors", "words", SHORT),
        one("erm, frozen sentence vector", "sentence", SHORT),
        one("erm, frozen tokens + transformer", "tokens", SHORT),
        one("erm, fine-tuned", "pieces", TUNE),
        one("erm, probe then tune", "pieces", PROBE),
        one("erm, sentence vector + audio + vision", "sentence", SHORT, others=True),
        *(
            one(f"{method}, fine-tuned + audio + vision", "pieces", TUNE, method, others=True)
            for method in ("erm", "cmir", "imml", "predominant-head")
        ),
    ]


def transcripts(path: Path) -> Dataset:
    """The file with its texts read by every extractor, one modality each."""
    dataset = read_mmsa(path, name="mosi")
    texts = dataset.columns["raw_text"].values.tolist()
    ids = dataset.columns["id"].values.tolist()
    signals: dict[str, Signal] = {}
    for name, extractor in TEXTS.items():
        if extractor is None:
            signals[name] = dataset.signals["text"]
        else:
            column = RawColumn("text", texts, None, extractor)
            signals[name], _ = prepare(column, name, ids=ids, cache=default_folder(), progress=True)
    return replace(dataset, signals={**signals, **{name: dataset.signals[name] for name in OTHERS}})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the pickle in the field's layout")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    store = options.out / "store"
    if not store.exists():
        save(transcripts(options.source), store)
    compared = configurations()
    jobs: list[Job] = []
    for seed in range(options.seeds):
        for number, configuration in enumerate(compared):
            values = {**configuration, "data": {**configuration["data"], "store": str(store.resolve())}}
            jobs.append((one_thread(values, seed), options.out / f"{number}-{seed}", [Scenario("test", "test")]))
    run_jobs(jobs, options.workers)
    lines = ["| model | valid MAE | test MAE | corr | Acc-2 | MAE − first row |", "|---|---|---|---|---|---|"]
    first: list[float] = []
    for number, configuration in enumerate(compared):
        folders = [options.out / f"{number}-{seed}" for seed in range(options.seeds)]
        records = table(folders)
        records = records[(records["group"] == "all") & (records["scenario"] == "test")]
        values = {metric: rows.sort_values("seed")["value"].tolist() for metric, rows in records.groupby("metric")}
        first = first or values["mae"]
        cells = [mean_sd([best_risk(folder) for folder in folders])]
        cells += [mean_sd(values[metric]) for metric in ("mae", "corr", "acc-2-non0")]
        lines.append(f"| {configuration['name']} | {' | '.join(cells)} | {paired_interval(values['mae'], first)} |")
    text = "\n".join(lines)
    (options.out / "table.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
