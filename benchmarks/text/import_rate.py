"""Sentences per second of an import with the packaged sentence encoder, on one thread.

    python benchmarks/text/import_rate.py [--rows 400] [--rounds 3]

The texts are random word pieces, with the lengths of `step.py`. Nothing is cached. Time is that of this process: the median
over the rounds of everything that an import does with a column of texts.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from step import texts

from deconfound.extraction.prepare import prepare
from deconfound.extraction.raw import RawColumn
from deconfound.extraction.text_model import PACKAGED, load_tokenizer


def sentences(rows: int) -> list[str]:
    """Texts whose lengths in word pieces are those of spoken sentences."""
    signal = texts(rows).signals["text"]
    tokenizer = load_tokenizer(PACKAGED)
    pairs = zip(signal.values, signal.mask, strict=True)
    return [tokenizer.decode(values[mask].tolist()) for values, mask in pairs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    samples = sentences(options.rows)
    prepare(RawColumn("text", samples[:1]), "text", ids=["warm-up"])
    rates = []
    for _ in range(options.rounds):
        began = time.process_time()
        prepare(RawColumn("text", samples), "text", ids=[str(row) for row in range(len(samples))])
        rates.append(len(samples) / (time.process_time() - began))
    print(f"{statistics.median(rates):.0f} sentences a second ({min(rates):.0f} to {max(rates):.0f})")


if __name__ == "__main__":
    main()
