"""A small corpus as files: a table and one array per modality. Stands in for data of your own.

Run it with: python examples/make_corpus.py FOLDER
"""

import csv
import sys
from pathlib import Path

import numpy as np

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "corpus")
folder.mkdir(parents=True, exist_ok=True)
generator = np.random.default_rng(0)

rows, steps = 300, 8
label = generator.integers(2, size=rows)
speaker = np.arange(rows) % 10
frames = generator.integers(4, steps + 1, size=rows)
audio = generator.normal(0.7 * label[:, None, None], 1, size=(rows, steps, 6))
face = generator.normal(0.7 * label[:, None], 1, size=(rows, 5))
face[generator.random(rows) < 0.2] = np.nan  # the camera was off

np.save(folder / "audio.npy", audio.astype(np.float32))
np.save(folder / "face.npy", face.astype(np.float32))
with open(folder / "rows.csv", "w", newline="", encoding="utf-8") as file:
    table = csv.writer(file)
    table.writerow(["id", "label", "speaker", "frames", "split"])
    for i in range(rows):
        split = "train" if speaker[i] < 6 else "valid" if speaker[i] < 8 else "test"  # no speaker in two splits
        table.writerow([f"clip{i}", ("calm", "angry")[label[i]], f"s{speaker[i]}", frames[i], split])
print(f"wrote {rows} rows to {folder}")
