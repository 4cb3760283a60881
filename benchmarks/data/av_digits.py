"""AV digits: a spoken and a handwritten digit of the same class, paired at random.

    python benchmarks/data/av_digits.py FOLDER --out STORE [--variant random] [--speaker george] [--remove 0.75]

FOLDER holds `fsdd_logmel.npz` (3000 recordings of 6 speakers, standardised log-mel 40 × 32) and `mnist20k.npz` (20000 images
28 × 28). Each recording gets an image of its class, and no image is used twice; the pairs depend on --seed alone.
Speakers are the environments.

random   train, valid and test-iid hold recordings 10 to 49, 5 to 9 and 0 to 4 of each speaker and digit; 0 to 4 is the
         official test part. All splits have all speakers.
speaker  test-ood is all of --speaker, valid all of the speaker after that one in the alphabet, train the other four.
shift    test-ood is all of --speaker; the other five are split as in `random`. So one model has a test part with the voices
         of its training and one with a new voice. valid shares its speakers with test-iid, not with test-ood.

--remove takes that share of the variance from the images: of the principal components of the training images only the
leading ones stay, the fewest that hold at least the rest. What is kept depends on the training rows alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from sources import arguments, file_note, read_arrays, whole_signal, write

from deconfound.data.dataset import Dataset
from deconfound.data.task import Task
from deconfound.errors import DataError, did_you_mean

Variant = Literal["random", "speaker", "shift"]
VARIANTS: dict[str, tuple[str, ...]] = {
    "random": ("recording", "image"),
    "speaker": ("speaker",),
    "shift": ("recording", "image"),
}
"""Variant → columns of which no value occurs in two splits."""


def av_digits(
    folder: str | Path,
    *,
    variant: Variant = "random",
    speaker: str = "george",
    remove: float = 0.75,
    audio: Literal["sequence", "image"] = "sequence",
    seed: int = 0,
) -> Dataset:
    """Read and pair the digits.

    Args:
        folder: holds `fsdd_logmel.npz` and `mnist20k.npz`.
        variant: see above.
        speaker: of "test-ood"; "random" does not use it.
        remove: share of the variance of the images that is taken away, in [0, 1).
        audio: 32 steps of 40 mel bands, or one image 40 × 32.
        seed: of the pairs.

    Returns:
        modalities audio and image; ten classes; environment: speaker.

    Raises:
        DataError: another variant, speaker or share, or files that are not these corpora.
    """
    if variant not in VARIANTS or audio not in ("sequence", "image") or not 0 <= remove < 1:
        raise DataError(
            f"variant is one of {', '.join(VARIANTS)}, audio 'sequence' or 'image', remove in [0, 1); "
            f"got {variant!r}, {audio!r}, {remove}"
        )
    spoken, written = Path(folder) / "fsdd_logmel.npz", Path(folder) / "mnist20k.npz"
    sound = read_arrays(spoken, ("X", "y", "speaker", "index"))
    sight = read_arrays(written, ("X", "y"))
    split = _split(sound["speaker"], sound["index"], variant, speaker)
    chosen = pair(sound["y"], sight["y"], seed)
    pixels, kept = fewer_components(sight["X"][chosen] / np.float32(255), split == "train", remove)
    mel = sound["X"][:, None] if audio == "image" else sound["X"].transpose(0, 2, 1)
    names = [f"{y}_{s}_{i}" for y, s, i in zip(sound["y"], sound["speaker"], sound["index"], strict=True)]
    return Dataset.build(
        f"av-digits-{variant}" + ("" if variant == "random" else f"-{speaker}"),
        Task.classification(tuple(str(digit) for digit in range(10))),
        {"audio": whole_signal(mel), "image": whole_signal(pixels.reshape(-1, 1, 28, 28))},
        torch.from_numpy(sound["y"].astype(np.int64)),
        {"id": names, "recording": names, "image": chosen, "speaker": sound["speaker"], "index": sound["index"]},
        split,
        environment=("speaker",),
        group=VARIANTS[variant],
        provenance={
            "source": "speech: Free Spoken Digit Dataset, https://github.com/Jakobovski/free-spoken-digit-dataset; "
            "writing: MNIST, LeCun, Cortes and Burges",
            "licence": "speech: CC BY-SA 4.0; writing: CC BY-SA 3.0, as its distributors state",
            "files": [file_note(spoken), file_note(written)],
            "variant": variant,
            "speaker": None if variant == "random" else speaker,
            "pairs": f"by class at random, no image twice, seed {seed}",
            "image_variance_removed": remove,
            "image_components_kept": kept,
            "image_components_fitted_on": "train",
        },
    )


def _split(speakers: np.ndarray, index: np.ndarray, variant: str, speaker: str) -> np.ndarray:
    """(N,) split of each recording."""
    official = np.where(index < 5, "test-iid", np.where(index < 10, "valid", "train")).astype(object)
    if variant == "random":
        return official
    known = sorted(set(speakers.tolist()))
    if speaker not in known:
        raise DataError(f"there is no speaker {speaker!r}{did_you_mean(speaker, known)}")
    if variant == "speaker":
        official[:] = "train"
        official[speakers == known[(known.index(speaker) + 1) % len(known)]] = "valid"
    official[speakers == speaker] = "test-ood"
    return official


def pair(classes: np.ndarray, pool: np.ndarray, seed: int) -> np.ndarray:
    """For each row a row of the pool of the same class, none twice.

    Args:
        classes: (N,) class numbers.
        pool: (P,) class numbers, at least as many of each class.

    Returns:
        (N,) int64 rows of the pool.

    Raises:
        DataError: a class of which the pool has too few.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = np.full(len(classes), -1, dtype=np.int64)
    for number in np.unique(classes):
        wanted, there = np.flatnonzero(classes == number), np.flatnonzero(pool == number)
        if len(there) < len(wanted):
            raise DataError(f"class {number} has {len(wanted)} recordings but only {len(there)} images")
        chosen[wanted] = there[torch.randperm(len(there), generator=generator).numpy()[: len(wanted)]]
    return chosen


def fewer_components(values: np.ndarray, train: np.ndarray, remove: float) -> tuple[np.ndarray, int]:
    """Keep the leading principal components of the training rows, the fewest that hold a share 1 - remove of the variance.

    Args:
        values: (N, D).
        train: (N,) bool, rows that the mean and the components are fitted on.

    Returns:
        (N, D) float32, and the number of components; unchanged and D where `remove` is 0.
    """
    if remove == 0:
        return values.astype(np.float32), values.shape[1]
    mean = values[train].mean(axis=0, dtype=np.float64)
    variance, directions = np.linalg.eigh(np.cov(values[train], rowvar=False, dtype=np.float64))
    share = np.cumsum(variance[::-1]) / variance.sum()
    count = int(np.searchsorted(share, 1 - remove)) + 1
    leading = directions[:, ::-1][:, :count]
    return (mean + (values - mean) @ leading @ leading.T).astype(np.float32), count


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--variant", choices=sorted(VARIANTS), default="random")
    parser.add_argument("--speaker", default="george", help="whose recordings are test-ood")
    parser.add_argument("--remove", type=float, default=0.75, help="share of the images' variance to take away")
    parser.add_argument("--audio", choices=("sequence", "image"), default="sequence")
    parser.add_argument("--seed", type=int, default=0, help="of the pairs")
    options = vars(parser.parse_args())
    source, out = options.pop("source"), options.pop("out")
    write(av_digits(source, **options), out)


if __name__ == "__main__":
    main()
