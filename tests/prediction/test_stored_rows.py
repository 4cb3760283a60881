"""Rows of a store get the features that training had, as rows of a file do."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.store import save
from deconfound.data.task import Modality, Task
from deconfound.datasets.repair import Repair
from deconfound.prediction.predict import predict_file
from deconfound.prediction.stored_rows import repaired_as
from deconfound.runs.other_corpus import other_corpus
from deconfound.runs.spec import DataSpec
from support.small import tiny
from support.toy import Toy

RUN = Repair("feature", 4, dropped=(1,), means=(0.5, 0.0, 2.0, -1.0), flagged=(2,))
"""Of a run whose training rows lacked feature 1, and feature 2 now and then."""
READ = np.random.default_rng(0).normal(size=(12, 1, 4)).astype(np.float32)
EVERYWHERE = np.ones((12, 1), dtype=bool)


def stored(values: np.ndarray, own: Repair | None) -> Dataset:
    """The rows as an import with this repair stores them."""
    notes = {} if own is None else {"masks": {"audio": {"repair": own.to_json()}}}
    made = values if own is None else own.filled(values.copy(), own.masked(values, EVERYWHERE))
    signal = Signal(torch.from_numpy(made), torch.from_numpy(EVERYWHERE))
    return tiny(signals={"audio": signal}, provenance=notes)


def expected(values: np.ndarray) -> np.ndarray:
    return RUN.filled(values.copy(), RUN.masked(values, EVERYWHERE))


def audio(dataset: Dataset) -> np.ndarray:
    return repaired_as(dataset, {"audio": RUN})["audio"].values.numpy()


def test_rows_that_lack_nothing_lose_the_feature_that_training_lost() -> None:
    for own in (None, Repair("feature", 4, means=(0.0,) * 4)):
        np.testing.assert_array_equal(audio(stored(READ, own)), expected(READ))


def test_what_the_store_left_out_or_flagged_gets_the_means_of_the_run() -> None:
    read = READ.copy()
    read[3, 0, 2] = np.nan
    flagging = Repair("feature", 4, means=(7.0,) * 4, flagged=(2,))
    assert audio(stored(read, flagging))[3].tolist() == [
        [*read[3, 0, [0]].tolist(), 2.0, *read[3, 0, [3]].tolist(), 1.0]
    ]
    read[:, :, 0] = np.nan
    dropping = Repair("feature", 4, dropped=(0,), means=(0.0, 7.0, 7.0, 7.0), flagged=(2,))
    np.testing.assert_array_equal(audio(stored(read, dropping)), expected(read))


def test_rows_of_the_same_repair_or_another_width_stay() -> None:
    same = stored(READ, RUN)
    assert repaired_as(same, {"audio": RUN})["audio"] is same.signals["audio"]
    assert audio(stored(READ[:, :, :3].copy(), None)).shape == (12, 1, 3)
    assert repaired_as(same, {}) == dict(same.signals)


@pytest.mark.parametrize("own", [None, RUN])
def test_a_store_and_json_lines_predict_the_same(own: Repair | None, tmp_path: Path) -> None:
    form = {"audio": Modality("audio", 1, (4,))}
    save(stored(READ, own), tmp_path / "store")
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"audio": row.tolist()}) + "\n" for row in READ))
    predicted = []
    for source in ("store", "rows.jsonl"):
        out = tmp_path / "out.jsonl"
        predict_file(Toy(), form, Task.regression(), tmp_path / source, out, "jsonl", repairs={"audio": RUN})
        predicted.append([json.loads(line)["prediction"] for line in out.read_text().splitlines()])
    assert predicted[0] == predicted[1]


def test_another_corpus_gets_the_features_of_the_run_and_keeps_its_checksum(tmp_path: Path) -> None:
    data, form = stored(READ, None), {"audio": Modality("audio", 1, (4,))}
    corpus = other_corpus(tmp_path, data, form, Task.regression(), DataSpec(), repairs={"audio": RUN})
    np.testing.assert_array_equal(corpus.data.signals["audio"].values.numpy(), expected(READ))
    assert corpus.checksum == data.checksum
