"""The results of a run on corpora other than its training data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from deconfound.errors import RunError
from deconfound.evaluation.records import CORPORA, CORPUS
from deconfound.results.run_result import (
    CorpusResult,
    RunResult,
    checked_records,
    integer_of,
    logged_accesses,
    read_object,
    text_of,
)


def with_corpora(run: RunResult) -> list[RunResult]:
    """The run, and one more for each other corpus that it was evaluated on, without learning curves.

    Raises:
        RunError: the results on a corpus are damaged.
    """
    folders = sorted(path.parent for path in (run.directory / CORPORA).glob(f"*/{CORPUS}"))
    return [run, *(_on_corpus(run, folder) for folder in folders if (folder / "records.jsonl").is_file())]


def _on_corpus(run: RunResult, folder: Path) -> RunResult:
    try:
        stated = read_object(folder / CORPUS)
        corpus = CorpusResult(text_of(stated["name"]), text_of(stated["checksum"]))
        splits = {name: integer_of(rows) for name, rows in stated["splits"].items()}
        records = checked_records(folder / "records.jsonl")
        if {(record.dataset, record.checksum) for record in records} != {(corpus.name, corpus.checksum)}:
            raise ValueError("its records are of another corpus")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(
            f"{folder} is damaged ({' '.join(str(error).split())[:400]}); remove it and evaluate again"
        ) from error
    return replace(
        run,
        directory=folder,
        corpus=corpus,
        splits=splits,
        records=records,
        curves={},
        test_accesses=logged_accesses(run.directory, corpus.checksum, own=False),
    )
