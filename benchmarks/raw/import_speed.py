"""Memory of an import by its number of rows, and rows a second of each extractor, cold and from the cache.

    python benchmarks/raw/import_speed.py memory --rows 1000 10000 100000
    python benchmarks/raw/import_speed.py speed --seconds 20

`memory` imports tables of that many rows, whose texts recur, by an extractor that costs nothing and makes 384 numbers a row,
each in a process of its own, and prints the greatest resident memory in MB above that of 100 rows, and the size of the store.
`speed` extracts distinct samples on one thread for about so many seconds, then the same again from the cache: texts of 12
words, photographs of 640×480 as JPEG, recordings of 5 s at 16 kHz as WAV, videos of 4 s as MP4. Linux only.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

IMPORT = """
import json, re, sys
from pathlib import Path
import numpy as np, pandas
from deconfound.data.store import save
from deconfound.datasets.readers.table import read_table
from deconfound.extraction.extractors.word_pieces import WordPieces
peak = lambda: 1024 * int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
WordPieces.model = lambda self: {}
WordPieces.extract = lambda self, samples: [np.full((1, 384), len(text), dtype=np.float32) for text in samples]
save(read_table(sys.argv[1]), sys.argv[2])
print(peak())
"""
TOML = """
manifest = "rows.csv"
target = { column = "label", kind = "classification" }
split = { group = ["speaker"], seed = 0, shares = { train = 0.6, valid = 0.2, test = 0.2 } }
modalities.text = { column = "text", extractor = "word-pieces" }
"""
WORDS = ["the", "film", "was", "fine", "but", "nobody", "went", "to", "see", "it", "when", "this", "came", "out"]


def import_memory(rows: int, folder: Path) -> tuple[int, int]:
    """Greatest resident bytes of an import, and bytes of its store."""
    with open(folder / "rows.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "label", "speaker"])
        writer.writerows([f"p{n}", f"sentence {n % 50}", n % 2, f"s{n % 97}"] for n in range(rows))
    (folder / "rows.toml").write_text(TOML)
    store = folder / f"store{rows}"
    command = [sys.executable, "-c", IMPORT, str(folder / "rows.toml"), str(store)]
    environment = {**os.environ, "DECONFOUND_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    peak = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return int(peak), sum(path.stat().st_size for path in store.iterdir())


def samples_of(kind: str, folder: Path) -> Callable[[int], Any]:
    """A function that makes the distinct sample of a number."""
    draw = np.random.default_rng(0)
    if kind == "text":
        return lambda number: f"{' '.join(draw.choice(WORDS, 11))} {number}"
    if kind == "image":
        from PIL import Image

        waves = np.sin(np.arange(640) / 37)[None, :, None] * np.cos(np.arange(480) / 23)[:, None, None]

        def image(number: int) -> str:
            noise = draw.normal(0, 12, (480, 640, 3))
            pixels = np.clip(128 + 90 * waves + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.jpg", quality=88)
            return f"{number}.jpg"

        return image
    if kind == "audio":
        import soundfile

        def recording(number: int) -> str:
            soundfile.write(folder / f"{number}.wav", draw.normal(0, 0.1, 5 * 16000), 16000)
            return f"{number}.wav"

        return recording
    return lambda number: clip(folder / f"{number}.mp4", draw)


def clip(path: Path, draw: np.random.Generator) -> str:
    """A video of 4 s, 25 frames a second, 320×240."""
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(100):
            small = draw.integers(0, 256, (15, 20, 3), dtype=np.uint8).repeat(16, axis=0).repeat(16, axis=1)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(small, format="rgb24")))
        file.mux(stream.encode())
    return path.name


def speed(name: str, seconds: float) -> dict[str, float]:
    """Rows a second on one thread, cold and from the cache; the loading of the model is left out."""
    import torch

    from deconfound.extraction.extractor import extractor_of
    from deconfound.extraction.prepare import prepare
    from deconfound.extraction.raw import RawColumn
    from deconfound.registry import get_class

    torch.set_num_threads(1)
    kind = get_class("extractors", name).kind
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make = samples_of(kind, folder)

        def took(column: RawColumn) -> float:
            ids = [str(row) for row in range(len(column.samples))]
            began = time.process_time()
            prepare(column, name, ids=ids, cache=folder / "cache", workers=1)
            return time.process_time() - began

        def column(first: int, count: int) -> RawColumn:
            return RawColumn(kind, [make(number) for number in range(first, first + count)], folder, {"name": name})

        size = extractor_of(kind, {"name": name}, name)[0].batch
        took(column(0, size))
        each = took(column(size, 2 * size)) / (2 * size)
        rows = column(3 * size, max(2 * size, int(seconds / each)))
        cold, warm = took(rows), took(rows)
        return {"rows": len(rows.samples), "cold": len(rows.samples) / cold, "cached": len(rows.samples) / warm}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("memory", "speed"))
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--seconds", type=float, default=20)
    names = [
        "sentence",
        "word-pieces",
        "image-vector",
        "pixels",
        "log-mel",
        "mfcc",
        "pitch",
        "speech-segments",
        "frames",
    ]
    parser.add_argument("--extractors", nargs="+", default=names)
    options = parser.parse_args()
    if options.what == "speed":
        for name in options.extractors:
            print(
                json.dumps({"extractor": name, **{key: round(v, 1) for key, v in speed(name, options.seconds).items()}})
            )
        return
    with tempfile.TemporaryDirectory() as place:
        base, _ = import_memory(100, Path(place))
        for rows in options.rows:
            peak, store = import_memory(rows, Path(place))
            print(
                json.dumps({"rows": rows, "above_mb": round((peak - base) / 1e6, 1), "store_mb": round(store / 1e6, 1)})
            )


if __name__ == "__main__":
    main()
