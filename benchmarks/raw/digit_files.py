"""Handwritten digits as PNG files: a table, and a TOML per way of reading them.

    python benchmarks/raw/digit_files.py mnist20k.npz FOLDER [--rows 1000]

The file holds X (N, 784) uint8 and y (N,). Digits are drawn with a seed, equally many of each class, and split 60, 15 and
25 %; the pictures of test are written again with noise of half the range of a pixel, as "test-noisy". Files that are there are
not made again.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from deconfound.errors import DataError
from deconfound.io.files import atomic_write

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
from sources import read_arrays

SHARES = {"train": 0.6, "valid": 0.15, "test": 0.25}
EXTRACTORS = {"image-vector": '"image-vector"', "pixels": '{ name = "pixels", side = 28 }'}
NOISE = 0.5


def make(source: Path, folder: Path, rows: int, seed: int = 0) -> list[Path]:
    """Make what is missing of the files; one TOML per extractor.

    Raises:
        DataError: the source has another layout or too few digits of a class.
    """
    arrays = read_arrays(source, ("X", "y"))
    generator = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    table = []
    for digit in range(10):
        pool = np.flatnonzero(arrays["y"] == digit)
        if len(pool) < rows // 10:
            raise DataError(f"{source} has {len(pool)} pictures of {digit}, expected {rows // 10}; lower --rows")
        chosen = generator.permutation(pool)[: rows // 10]
        ends = np.cumsum([round(share * len(chosen)) for share in SHARES.values()])[:-1]
        for split, members in zip(SHARES, np.split(chosen, ends), strict=True):
            table += [(int(number), digit, split) for number in members]
    written = [_write(folder, arrays["X"][number], number, digit, split) for number, digit, split in table]
    noisy = [
        _write(folder, _noisy(arrays["X"][number], seed, number), number, digit, "test-noisy")
        for number, digit, split in table
        if split == "test"
    ]
    with atomic_write(folder / "rows.csv") as file:
        lines = csv.DictWriter(file, list(written[0]))
        lines.writeheader()
        lines.writerows([*written, *noisy])
    return [_toml(folder, name, extractor) for name, extractor in EXTRACTORS.items()]


def _noisy(pixels: np.ndarray, seed: int, number: int) -> np.ndarray:
    noise = np.random.default_rng([seed, number]).normal(0, 255 * NOISE, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def _write(folder: Path, pixels: np.ndarray, number: int, digit: int, split: str) -> dict[str, object]:
    name = f"{number}-noisy" if split == "test-noisy" else str(number)
    path = folder / "images" / f"{name}.png"
    if not path.is_file():
        with atomic_write(path, "wb") as file:
            Image.fromarray(pixels.reshape(28, 28)).save(file, format="png")
    return {"id": name, "image": f"images/{name}.png", "digit": digit, "split": split}


def _toml(folder: Path, name: str, extractor: str) -> Path:
    path = folder / f"{name}.toml"
    with atomic_write(path) as file:
        file.write(f"""name = "digits-{name}"
manifest = "rows.csv"

[target]
column = "digit"
kind = "classification"

[split]
column = "split"

[modalities.image]
column = "image"
extractor = {extractor}
""")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="mnist20k.npz")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1000)
    options = parser.parse_args()
    try:
        tables = make(options.source, options.folder, options.rows)
    except DataError as error:
        sys.exit(f"digit_files.py: {error}")
    print(f"{options.folder}: {', '.join(str(table) for table in tables)}")


if __name__ == "__main__":
    main()
