"""MVSA-Single and MVSA-Multiple: tweets with an image, as JSON lines or JSON lists.

Layout: a folder with `train.jsonl`, `dev.jsonl` and `test.jsonl`, or names that hold these words and end in `.json`. Each
record has

| field | content | becomes |
|---|---|---|
| `id` | a text or number | `id` |
| `text` | a tweet | the modality `text` by an extractor, and metadata `raw_text` |
| `label` | `positive`, `neutral`, `negative`; or `emotion_label` 0, 1, 2 in this order | the class |
| `img` | path in the folder; may be absent | the modality `image` by an extractor, and metadata `file` |
"""

from __future__ import annotations

from pathlib import Path

from deconfound.data.dataset import Dataset
from deconfound.datasets.corpus_rows import FilesChoice, TextChoice
from deconfound.datasets.posts import SENTIMENTS, read_posts
from deconfound.datasets.reader import Reader, ReaderCard


class MvsaReader(Reader):
    """Read tweets, their images and three classes of sentiment."""

    card = ReaderCard(
        source="MVSA-Single and MVSA-Multiple (Niu et al., MMM 2016), as exported by QMF or CLMLF",
        licence="none is stated",
        access="the authors' page, and the repositories of QMF and CLMLF for the splits",
        layout="a folder: train.jsonl, dev.jsonl, test.jsonl with id, label, text and img; or .json lists with "
        "emotion_label",
        known_defects=(
            "two splits of MVSA-Single are in use, and 407 of the 519 test ids of one are in the train file of the other",
            "test texts stand in train too: 27 of 450 in MVSA-Single, 70 of 1,700 in MVSA-Multiple; "
            "'deconfound data check' finds equal rows",
        ),
    )

    def __init__(
        self,
        *,
        text: TextChoice = "sentence",
        image: FilesChoice = "",
    ) -> None:
        self.text, self.image = text, image

    def read(self, path: Path) -> Dataset:
        return read_posts(path, "mvsa", self.text, self.image, SENTIMENTS)
