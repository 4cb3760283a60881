"""Synthetic data with known causes, from a TOML of parameters."""

from __future__ import annotations

from pathlib import Path

from deconfound.data.dataset import Dataset
from deconfound.datasets.reader import Reader, ReaderCard
from deconfound.datasets.synthetic import synthetic
from deconfound.datasets.toml_file import read_data_toml

DEFAULT = Path("default")
"""The path that stands for the default parameters."""


class SyntheticReader(Reader):
    """Draw a dataset of a structural causal model; equal parameters give equal rows.

    The path is a TOML file of the arguments of `deconfound.synthetic`, or the word "default".
    """

    card = ReaderCard(
        source="drawn by this package; no measured data",
        licence="that of this package",
        access="deconfound data import default --format synthetic --out stores/synthetic",
        layout='a TOML such as rows = 500, seed = 1; model = "imbalance" draws the second model',
    )

    def read(self, path: Path) -> Dataset:
        """Draw the rows.

        Raises:
            DataError: the TOML cannot be read.
            SpecError: a parameter that does not exist or is out of range.
        """
        return synthetic(**({} if path == DEFAULT else read_data_toml(path, "parameters of the synthetic model")))
