"""CMU-MOSI with its transcripts: text as word vectors, frozen, and fine-tuned; alone, and with audio and vision.

    python benchmarks/text/mosi.py unaligned_30.pkl --out runs/mosi-text [--seeds 0 1 2 3 4] [--only tuned all] [--workers 2]

Protocol "mmsa-regression" on the splits of the file: 1444, 269 and 482 rows of 62, 12 and 19 videos. The epoch is chosen by
validation MAE; no setting was chosen on test rows. A second call does only what is missing; --only names rows of ROWS. Prints
what `deconfound table` says of all runs that are there: mean ± sd over seeds, and differences from text alone with intervals
over seeds and videos.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from grid import Job, best_risk, mean_sd, one_thread, run_jobs

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
OTHERS = ["audio", "vision"]
SHORT: dict[str, Any] = {"epochs": 30, "batch_size": 32}
TUNE: dict[str, Any] = {"epochs": 3, "batch_size": 32, "precision": "bf16-mixed"}
PROBE: dict[str, Any] = {**TUNE, "schedule": "probe-then-tune", "probe": 0.2}
ENCODERS: dict[str, Any] = {
    "words": "pool",
    "tokens": "transformer",
    "pieces": {"name": "pretrained-text", "freeze": 3, "learning_rate": 1.5e-4},
}
"""The settings of the fine-tuned rows were chosen by validation MAE among three, with seed 0 of text alone."""
BASELINE = "erm, fine-tuned"


def row(title: str, text: str, train: dict[str, Any], method: str = "erm", others: bool = False) -> dict[str, Any]:
    """A specification without its store and seed."""
    encoder = ENCODERS.get(text)
    data = {"modalities": [text, *OTHERS] if others else [text]}
    backbone = {"encoders": {text: encoder} if encoder else {}}
    return {"name": title, "method": method, "data": data, "train": train, "backbone": backbone}


ROWS = {
    "words": row("erm, mean of word vectors", "words", SHORT),
    "sentence": row("erm, frozen sentence vector", "sentence", SHORT),
    "tokens": row("erm, frozen tokens + transformer", "tokens", SHORT),
    "tuned": row(BASELINE, "pieces", TUNE),
    "probe": row("erm, probe then tune", "pieces", PROBE),
    "sentence-all": row("erm, sentence vector + audio + vision", "sentence", SHORT, others=True),
    "all": row("erm, fine-tuned + audio + vision", "pieces", TUNE, others=True),
    **{
        method: row(f"{method}, fine-tuned + audio + vision", "pieces", TUNE, method, others=True)
        for method in ("cmir", "imml", "predominant-head")
    },
}
"""What is compared: text alone, then text with audio and vision."""


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


def report(out: Path) -> str:
    """Validation MAE, by which epochs were chosen, and what `deconfound table` says of the finished runs."""
    folders = {key: [folder for folder in sorted(out.glob(f"{key}-[0-9]*")) if finished(folder)] for key in ROWS}
    lines = ["| model | seeds | valid MAE |", "|---|--:|---|"]
    for key, runs in folders.items():
        risks = [best_risk(folder) for folder in runs]
        text = mean_sd(risks) if len(risks) > 1 else "".join(f"{risk:.3f}" for risk in risks)
        lines += [f"| {ROWS[key]['name']} | {len(risks)} | {text} |"] if risks else []
    command = [sys.executable, "-W", "ignore", "-m", "deconfound.cli", "table"]
    command += [str(folder) for runs in folders.values() for folder in runs]
    command += ["--clusters", "video", "--scenario", "test", "--baseline", BASELINE if folders["tuned"] else "none"]
    metrics = [word for name in ("mae", "corr", "acc-2-non0") for word in ("--metric", name)]
    views = [[*metrics], ["--metric", "mae", "--show", "difference"]] if folders["tuned"] else [metrics]
    printed = [
        subprocess.run([*command, *view], check=True, stdout=subprocess.PIPE, text=True).stdout for view in views
    ]
    return "\n".join([*lines, "", *printed])


def finished(folder: Path) -> bool:
    return (folder / "records.jsonl").is_file()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the pickle in the field's layout")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    store = options.out / "store"
    if not store.exists():
        save(transcripts(options.source), store)
    jobs: list[Job] = []
    for seed in options.seeds:
        for key in options.only:
            values = {**ROWS[key], "data": {**ROWS[key]["data"], "store": str(store.resolve())}}
            jobs.append((one_thread(values, seed), options.out / f"{key}-{seed}", [Scenario("test", "test")]))
    run_jobs(jobs, options.workers)
    text = report(options.out)
    (options.out / "table.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
