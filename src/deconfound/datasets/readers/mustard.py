"""MUStARD: utterances of television series with their context, sarcastic or not.

Layout: a folder with `sarcasm_data.json`, an object of 690 keys, and `split_indices.json`, five folds of positions in it:

| field | content | becomes |
|---|---|---|
| key | such as `1_60` | `id` |
| `utterance` | a sentence | the modality `text` by an extractor, and metadata `raw_text` |
| `context` | sentences before it | the modality `context_text`, joined, and metadata `raw_context_text` |
| `speaker`, `show` | names | metadata; the show is the environment |
| `sarcasm` | true or false | the class "yes" or "no" |

The option `split` chooses a fold, `fold-0` to `fold-4`, or the speaker-independent split, whose test is the show FRIENDS.
The validation rows are drawn from the training rows with a seed, with the classes in equal shares: rows of a fold, whole
speakers of the speaker-independent split. `utterances_final/KEY.mp4` become the modality `video` on request.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from deconfound.data.dataset import Dataset
from deconfound.datasets.corpus_rows import (
    FILES_OPTION,
    NO_EXTRACTOR,
    TEXT_OPTION,
    CorpusRows,
    ExtractorChoice,
    class_labels,
    dataset_of,
    raw_sources,
)
from deconfound.datasets.reader import Reader, ReaderCard
from deconfound.datasets.records import field, read_json
from deconfound.datasets.steps import sha256
from deconfound.datasets.stratified import stratified_split
from deconfound.errors import DataError

TEST_SHOW = "FRIENDS"
"""The test of the speaker-independent split."""
_ROWS, _FOLDS = "sarcasm_data.json", "split_indices.json"

Split = Literal["fold-0", "fold-1", "fold-2", "fold-3", "fold-4", "speaker-independent"]


class MustardReader(Reader):
    """Read the utterances, contexts, shows and sarcasm of MUStARD, in one of its folds or by speakers."""

    card = ReaderCard(
        source="MUStARD (Castro et al., ACL 2019; github.com/soujanyaporia/MUStARD)",
        licence="MIT for the repository; the texts and clips are from television",
        access="that repository: data/sarcasm_data.json, and split_indices as JSON",
        layout="a folder: sarcasm_data.json, key → utterance, speaker, context, show, sarcasm; split_indices.json, five of "
        "{train, test} positions, needed for the folds only",
        known_defects=(
            "the show alone tells the label in two of four shows, 97.5 % and 100 % sarcastic: compare with the "
            "speaker-independent split",
            "the folds share speakers and shows between train and test",
        ),
    )

    def __init__(
        self,
        *,
        split: Annotated[Split, Field(description="one of five folds, or the test of another show")] = "fold-0",
        valid: Annotated[float, Field(gt=0, lt=1, description="share of the training rows for validation")] = 0.15,
        seed: Annotated[int, Field(ge=0, description="of the choice of validation rows")] = 0,
        text: Annotated[ExtractorChoice, Field(description=TEXT_OPTION)] = "sentence",
        video: Annotated[ExtractorChoice, Field(description=FILES_OPTION)] = NO_EXTRACTOR,
    ) -> None:
        self.split: Split = split
        self.valid, self.seed = valid, seed
        self.text, self.video = text, video

    def read(self, path: Path) -> Dataset:
        folder = path if path.is_dir() else path.parent
        source = folder / _ROWS if path.is_dir() else path
        rows = _utterances(source)
        try:
            split = self._splits(rows, folder)
            chosen = [(row_id, row, name) for (row_id, row), name in zip(rows.items(), split, strict=True)]
            provenance = {"format": "mustard", "file": source.name, "sha256": sha256(source), "split": self.split}
            provenance |= {"valid": self.valid, "seed": self.seed}
            return self._dataset(source, folder, chosen, provenance)
        except DataError as error:
            raise DataError(f"{source}: {error}") from None

    def _dataset(
        self, source: Path, folder: Path, chosen: list[tuple[str, dict[str, str], str]], provenance: dict[str, Any]
    ) -> Dataset:
        task, labels = class_labels([row["sarcasm"] for _, row, _ in chosen], ("no", "yes"))
        texts = {"text": "utterance", "context_text": "context"}
        said = {name: [row[key] for _, row, _ in chosen] for name, key in texts.items()}
        clips = [f"utterances_final/{row_id}.mp4" for row_id, _, _ in chosen]
        rows = CorpusRows(
            ids=[row_id for row_id, _, _ in chosen],
            split=[name for _, _, name in chosen],
            labels=labels,
            raw=raw_sources("text", self.text, said) | raw_sources("video", self.video, {"video": clips}, folder),
            columns={f"raw_{name}": column for name, column in said.items()}
            | {name: [row[name] for _, row, _ in chosen] for name in ("speaker", "show")},
            environment=("show",),
        )
        return dataset_of(source.stem, task, rows, provenance)

    def _splits(self, rows: dict[str, dict[str, str]], folder: Path) -> list[str]:
        """(N) split names."""
        by_speaker = self.split == "speaker-independent"
        test = {n for n, row in enumerate(rows.values()) if row["show"] == TEST_SHOW} if by_speaker else None
        test = _fold(folder / _FOLDS, int(self.split[-1]), len(rows)) if test is None else test
        names = list(rows)
        train = [row for row in range(len(names)) if row not in test]
        if not train or not test:
            raise DataError(
                f"the split {self.split!r} leaves {len(train)} training rows and {len(test)} test rows; "
                "choose another split, or add the missing utterances"
            )
        kept = [rows[names[row]] for row in train]
        groups = [row["speaker"] for row in kept] if by_speaker else [names[row] for row in train]
        shares = {"train": 1 - self.valid, "valid": self.valid}
        drawn = stratified_split(groups, [row["sarcasm"] for row in kept], shares, self.seed)
        split = np.full(len(names), "test", dtype=object)
        split[train] = drawn
        return split.tolist()


def _utterances(source: Path) -> dict[str, dict[str, str]]:
    """Key → utterance, context, speaker, show, and sarcasm as "no" or "yes"."""
    content = read_json(source)
    if not isinstance(content, dict) or not content or not all(isinstance(row, dict) for row in content.values()):
        raise DataError(
            f"{source} is no object of utterances; expected key → utterance, speaker, context, show, sarcasm"
        )
    rows: dict[str, dict[str, str]] = {}
    for key, row in content.items():
        where = f"{source}: {key[:40]!r}"
        context = row.get("context", [])
        if type(row.get("sarcasm")) not in (bool, int) or row["sarcasm"] not in (0, 1):
            raise DataError(f"{where} has no 'sarcasm' that is true or false; give each utterance one")
        if not isinstance(context, list) or not all(isinstance(sentence, str) for sentence in context):
            raise DataError(f"{where}: 'context' is no list of sentences; write [] for none")
        rows[key] = {name: field(row, (name,), where) for name in ("utterance", "speaker", "show")}
        rows[key] |= {"context": " ".join(context), "sarcasm": "yes" if row["sarcasm"] else "no"}
    return rows


def _fold(path: Path, number: int, count: int) -> set[int]:
    """Positions of the test rows of a fold."""
    if not path.exists():
        raise DataError(f"the folds need {path.name} beside it; or read with --option split=speaker-independent")
    folds = read_json(path)
    fold = folds[number] if isinstance(folds, list) and len(folds) > number else None
    test = (
        fold.get("test") if isinstance(fold, dict) else fold[1] if isinstance(fold, list) and len(fold) == 2 else None
    )
    if not isinstance(test, list) or not all(type(row) is int and 0 <= row < count for row in test):
        raise DataError(f"{path.name} has no fold {number} of positions below {count}; expected five of [train, test]")
    return set(test)
