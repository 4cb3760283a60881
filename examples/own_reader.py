"""Your own reader: a folder of text files, one number per line, becomes a dataset.

Run it with: python examples/own_reader.py
"""

from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field

import deconfound as dc
from deconfound.datasets.reader import Reader, ReaderCard
from deconfound.errors import DataError
from deconfound.testing import check_dataset


class SensorReader(Reader):
    """Read a folder with train.txt, valid.txt and test.txt: lines of a label and the values of one sensor."""

    card = ReaderCard(
        source="this example",
        licence="Apache-2.0",
        access="python examples/own_reader.py",
        layout="a folder with one .txt file per split; each line has a label and the sensor values",
    )

    def __init__(
        self, *, scale: Annotated[float, Field(gt=0, description="factor on all sensor values")] = 1.0
    ) -> None:
        self.scale = scale

    def read(self, path: Path) -> dc.Dataset:
        rows, ids, splits = [], [], []
        for split in ("train", "valid", "test"):
            try:
                lines = (path / f"{split}.txt").read_text(encoding="utf-8").splitlines()
            except OSError as error:
                raise DataError(f"cannot read {path / f'{split}.txt'}: {error.strerror}") from error
            rows += [[float(word) for word in line.split()] for line in lines]
            ids += [f"{split}/{number}" for number in range(len(lines))]
            splits += [split] * len(lines)
        values = torch.tensor(rows)  # (N, 1 + D)
        sensor = dc.Signal(self.scale * values[:, None, 1:], torch.ones(len(rows), 1, dtype=torch.bool))
        task = dc.Task.regression()
        return dc.Dataset.build(path.name, task, {"sensor": sensor}, values[:, 0], {"id": ids}, splits)


if __name__ == "__main__":
    folder = Path("sensors")
    folder.mkdir(exist_ok=True)
    for split in ("train", "valid", "test"):
        (folder / f"{split}.txt").write_text("0.5 1 2 3\n-0.5 0 1 0\n")
    data = SensorReader(scale=0.1).read(folder)
    check_dataset(data)
    print(f"wrote {dc.save(data, 'stores/sensors')}: {len(data)} rows")
