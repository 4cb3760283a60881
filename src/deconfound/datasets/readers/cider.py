"""The files of CIDer (CMU-MOSI and CMU-MOSEI in its splits): the layout of `mmsa`, written by joblib.

Layout: a file that `joblib.dump` wrote without compression, such as `OOD_MOSI/binary/MOSI_aligned_50.pkl`, with the keys that
`deconfound.datasets.readers.mmsa` lists. It becomes the same dataset. Nothing in it is executed and joblib is not imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from deconfound.data.dataset import Dataset
from deconfound.datasets.joblib_pickle import read_joblib
from deconfound.datasets.reader import Reader, ReaderCard
from deconfound.datasets.readers.mmsa import IndicatorChoice, InvalidChoice, TextKey, UnlabelledChoice, mmsa_dataset
from deconfound.datasets.repair import Invalid


class CiderReader(Reader):
    """Read the layout of mmsa from a file of joblib; nothing in it is executed."""

    card = ReaderCard(
        source="CMU-MOSI and CMU-MOSEI in the out-of-distribution splits of CIDer (github.com/gw-zhong/CIDer)",
        licence="the terms of the corpus; CIDer's code is MIT",
        access="the download links in that repository",
        layout="OOD_MOSI/binary/MOSI_aligned_50.pkl and the like: the dict of 'mmsa', written by joblib",
        known_defects=(
            "the splits are CIDer's own: compare only with numbers on the same splits",
            "a compressed file is refused; write it again with joblib.dump(..., compress=0)",
        ),
    )

    def __init__(
        self,
        *,
        invalid: InvalidChoice = "feature",
        indicator: IndicatorChoice = False,
        text: TextKey = "text",
        unlabelled: UnlabelledChoice = "refuse",
    ) -> None:
        self.invalid: Invalid = invalid
        self.indicator = indicator
        self.text: Literal["text", "text_bert"] = text
        self.unlabelled: Literal["refuse", "drop"] = unlabelled

    def read(self, path: Path) -> Dataset:
        options = (self.invalid, self.indicator, self.text, self.unlabelled)
        return mmsa_dataset("cider", path, path.stem, read_joblib(path), *options)
