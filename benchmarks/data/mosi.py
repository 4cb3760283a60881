"""CMU-MOSI in the pickle that the field's tools exchange: as it is split, or with its held-out videos drawn anew.

    python benchmarks/data/mosi.py unaligned_30.pkl --out STORE [--seed 3]

The file has 1444, 269 and 482 rows of 62, 12 and 19 videos; the published splits have 1284, 229 and 686 rows, so no published
number is comparable. Its vision features were learned on the training videos, so training keeps its videos always.
With --seed the 31 other videos are dealt to valid and test again, in their old shares: with so few videos the test MAE
moves by 0.03 from one draw to the next, and a conclusion should not hang on one.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from sources import arguments, file_note, write

from deconfound.data.dataset import Dataset
from deconfound.datasets.grouped import grouped_split
from deconfound.datasets.readers.mmsa import read_mmsa


def mosi(path: str | Path, *, seed: int | None = None) -> Dataset:
    """Read the pickle.

    Args:
        seed: None keeps its splits; a number deals the held-out videos again.

    Returns:
        modalities text, audio, vision; sentiment in [-3, 3]; environment and group: video.

    Raises:
        DataError: not such a pickle.
    """
    path = Path(path)
    dataset = read_mmsa(path, name="mosi" if seed is None else f"mosi-{seed}")
    notes = {
        "source": "CMU-MOSI, Zadeh et al. 2016, https://www.amir-zadeh.com/datasets",
        "licence": "research use, as its authors distribute it",
        **dataset.provenance,
        **file_note(path),
        "held_out_videos": "as delivered" if seed is None else f"dealt again with seed {seed}",
    }
    return replace(_dealt(dataset, seed) if seed is not None else dataset, provenance=notes)


def _dealt(dataset: Dataset, seed: int) -> Dataset:
    """The same training rows; videos of valid and test drawn for either at random."""
    train = len(dataset.rows("train"))
    videos = [str(video) for video in dataset.columns["video"].values[train:]]
    share = len(dataset.rows("valid")) / len(videos)
    held_out = grouped_split(videos, {"valid": share, "test": 1 - share}, seed)
    return dataset.resplit(np.array(["train"] * train + held_out, dtype=object))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seed", type=int, help="deal the held-out videos again")
    options = parser.parse_args()
    write(mosi(options.source, seed=options.seed), options.out)


if __name__ == "__main__":
    main()
