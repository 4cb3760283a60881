"""CREMA-D votes: what people heard in a voice and saw in a face, and which of six emotions the actor played.

    python benchmarks/data/crema_d_votes.py FOLDER --out STORE [--variant actors|levels] [--seed 0]

FOLDER holds `cremad_votes.npz`. Inputs are perceptions, not signals: per modality six shares of votes and six mean
intensities. The joint rating of voice and face in the same file is not used. Actors are the environments, and no two
splits share an actor. The seed draws which actors go where.

actors  train, valid and test-iid hold 60, 20 and 20 % of the actors, all their clips.
levels  train, valid and test-iid hold the clips without a stated intensity (level XX) of 40, 10 and 10 % of the actors,
        test-ood the clips played at low intensity (LO) of the other 40 %. So test-iid and test-ood both have new
        actors, and differ in the level alone. (There are 5 LO clips per actor, which is why test-ood has many actors.)
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from sources import arguments, file_note, read_arrays, whole_signal, write

from deconfound.data.dataset import Dataset
from deconfound.data.task import Task
from deconfound.datasets.grouped import grouped_split
from deconfound.errors import DataError

Variant = Literal["actors", "levels"]
SHARES: dict[str, dict[str, float]] = {
    "actors": {"train": 0.6, "valid": 0.2, "test-iid": 0.2},
    "levels": {"train": 0.4, "valid": 0.1, "test-iid": 0.1, "test-ood": 0.4},
}
EMOTIONS = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness"}
MODALITIES = ("voice", "face")
METADATA = ("actor", "sex", "race", "age", "sentence", "level")


def crema_d_votes(folder: str | Path, *, variant: Variant = "actors", seed: int = 0) -> Dataset:
    """Read the votes.

    Args:
        folder: holds `cremad_votes.npz`.
        variant: "actors" or "levels", see above.
        seed: of the drawing of actors.

    Returns:
        modalities voice and face, vectors of 12; six classes; environment and group: actor.

    Raises:
        DataError: another variant, or a file that is not this corpus.
    """
    if variant not in SHARES:
        raise DataError(f"the variant is 'actors' or 'levels'; got {variant!r}")
    path = Path(folder) / "cremad_votes.npz"
    arrays = read_arrays(path, (*MODALITIES, "y", "clip", *METADATA))
    played = [list(EMOTIONS)[label] if 0 <= label < len(EMOTIONS) else "" for label in arrays["y"].tolist()]
    if [clip.split("_")[2:3] for clip in arrays["clip"].tolist()] != [[code] for code in played]:
        raise DataError(f"{path}: 'y' does not number the emotions in the names of 'clip'; this is another file")
    split = np.array(grouped_split(arrays["actor"].tolist(), SHARES[variant], seed))
    keep = np.ones(len(split), dtype=bool)
    if variant == "levels":
        keep = arrays["level"] == np.where(split == "test-ood", "LO", "XX")
    return Dataset.build(
        f"crema-d-votes-{variant}",
        Task.classification(tuple(EMOTIONS.values())),
        {name: whole_signal(arrays[name][keep][:, None]) for name in MODALITIES},
        torch.from_numpy(arrays["y"][keep].astype(np.int64)),
        {"id": arrays["clip"][keep], **{name: arrays[name][keep] for name in METADATA}},
        split[keep],
        environment=("actor",),
        group=("actor",),
        provenance={
            "source": "CREMA-D, Cao et al. 2014, https://github.com/CheyneyComputerScience/CREMA-D",
            "licence": "ODbL 1.0",
            **file_note(path),
            "variant": variant,
            "seed": seed,
            "actors": "drawn whole, shares " + ", ".join(f"{name} {share}" for name, share in SHARES[variant].items()),
            "left_out": "the joint rating of voice and face"
            + ("; other levels than XX, in test-ood than LO" if variant == "levels" else ""),
        },
    )


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--variant", choices=sorted(SHARES), default="actors")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    write(crema_d_votes(options.source, variant=options.variant, seed=options.seed), options.out)


if __name__ == "__main__":
    main()
