from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deconfound.data.dataset import Dataset
from deconfound.data.store import save
from deconfound.data.task import Task
from deconfound.datasets.repair import Repair
from deconfound.errors import DataError, RunError, SpecError
from deconfound.prediction.predict import predict_file, predict_rows
from support.toy import Toy, rows

Answer = tuple[list[dict[str, Any]], int]


def test_null_in_a_step_is_imputed_as_in_training(tmp_path: Path) -> None:
    data = rows()
    name, modality = next((m, form) for m, form in data.modalities.items() if form.kind in ("vector", "sequence"))
    repair = Repair("feature", modality.shape[0], (), tuple(1.5 for _ in range(modality.shape[0])))
    lines = [[None, *[0.5] * (modality.shape[0] - 1)], [1.5, *[0.5] * (modality.shape[0] - 1)]]
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps({"id": i, name: [line]}) + "\n" for i, line in enumerate(lines)))
    out = tmp_path / "out.jsonl"
    predict_file(Toy(), data.modalities, Task.regression(), source, out, "jsonl", repairs={name: repair})
    first, second = (json.loads(line)["prediction"] for line in out.read_text().splitlines())
    assert first == second


def predicted(dataset: Dataset, source: Path, tmp_path: Path, format: str = "jsonl", **more: Any) -> str:  # noqa: A002
    method = more.pop("method", None) or Toy(dataset.task.outputs)
    out = tmp_path / "out" / f"predictions.{format}"
    count = predict_file(method, more.pop("modalities", dataset.modalities), dataset.task, source, out, format)
    text = out.read_text(encoding="utf-8")
    assert count == len(list(csv.reader(io.StringIO(text)))) - 1 if format == "csv" else len(text.splitlines())
    return text


def as_jsonl(path: Path, dataset: Dataset, **changes: Callable[[int, Any], Any]) -> Path:
    """Rows as a user would write them: a sequence as long as it is, a vector flat."""
    lines = []
    for row in range(len(dataset)):
        text = dataset.signals["text"]
        line: dict[str, Any] = {
            "id": f"r{row}",
            "text": text.values[row][text.mask[row]].tolist(),
            "audio": dataset.signals["audio"].values[row, 0].tolist(),
        }
        lines.append({name: changes.get(name, lambda _, v: v)(row, value) for name, value in line.items()})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def forward(dataset: Dataset, method: Toy | None = None) -> np.ndarray:
    method = (method or Toy(dataset.task.outputs)).eval()
    with torch.no_grad():
        return method(dataset.batch(torch.arange(len(dataset)))).numpy()


def test_a_store_and_json_lines_give_the_same_as_the_method_itself(tmp_path: Path) -> None:
    dataset = rows(600)
    expected = [float(str(value)) for value in forward(dataset)[:, 0]]
    save(dataset, tmp_path / "store")
    for source in (tmp_path / "store", as_jsonl(tmp_path / "rows.jsonl", dataset)):
        answers = [json.loads(line) for line in predicted(dataset, source, tmp_path).splitlines()]
        assert [answer["id"] for answer in answers] == [f"r{i}" for i in range(600)]
        np.testing.assert_allclose([answer["prediction"] for answer in answers], expected, rtol=1e-6)
        assert {tuple(answer) for answer in answers} == {("id", "prediction")}


def test_a_table_is_read_without_its_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "audio.npy", np.arange(6, dtype=np.float32).reshape(2, 3))
    (tmp_path / "rows.csv").write_text("id\na\nb\n")
    (tmp_path / "table.toml").write_text('manifest = "rows.csv"\n\n[modalities.audio]\nfile = "audio.npy"\n')
    text = predicted(rows(), tmp_path / "table.toml", tmp_path, "csv")
    assert text == "id,prediction\na,3.0\nb,12.0\n"


def test_classes_come_with_their_probabilities(tmp_path: Path) -> None:
    dataset = rows(task=Task.classification(("no", 'ye,"s', "may be")))
    source = as_jsonl(tmp_path / "rows.jsonl", dataset)
    logits = torch.from_numpy(forward(dataset)).double()
    table = list(csv.reader(io.StringIO(predicted(dataset, source, tmp_path, "csv"))))
    assert table[0] == ["id", "prediction", "p_no", 'p_ye,"s', "p_may be"]
    np.testing.assert_allclose(np.array([line[2:] for line in table[1:]], dtype=float), logits.softmax(1), rtol=1e-4)
    assert {line[1] for line in table[1:]} == {"may be"}, "the toy's last logit is its largest"
    answers = [json.loads(line) for line in predicted(dataset, source, tmp_path).splitlines()]
    for line, answer in zip(table[1:], answers, strict=True):
        assert [answer["id"], answer["prediction"]] == line[:2]
        assert list(answer["probabilities"]) == ["no", 'ye,"s', "may be"]
        assert [str(share) for share in answer["probabilities"].values()] == line[2:]
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_any_subset_of_the_modalities_will_do(tmp_path: Path) -> None:
    dataset = rows()
    gone = as_jsonl(tmp_path / "rows.jsonl", dataset, text=lambda row, value: value if row % 2 else None)
    answers = [json.loads(line)["prediction"] for line in predicted(dataset, gone, tmp_path).splitlines()]
    both = forward(dataset)[:, 0]
    audio = Toy().eval()(dataset.batch(torch.arange(40)).without("text")).detach().numpy()[:, 0]
    np.testing.assert_allclose(answers, np.where(np.arange(40) % 2, both, audio), rtol=1e-5)


def test_a_store_of_more_modalities_serves_a_run_of_fewer(tmp_path: Path) -> None:
    dataset = rows()
    save(dataset, tmp_path / "store")
    few = dataset.only("audio")
    answers = [json.loads(line)["prediction"] for line in predicted(few, tmp_path / "store", tmp_path).splitlines()]
    np.testing.assert_allclose(answers, forward(few)[:, 0], rtol=1e-6)


def test_a_store_with_another_name_for_a_modality_is_refused(tmp_path: Path) -> None:
    dataset = rows()
    other = rows(signals={"txt": dataset.signals["text"], "audio": dataset.signals["audio"]})
    save(other, tmp_path / "store")
    message = "no modality 'txt'; did you mean 'text'; this run expects text sequence 4×2, audio vector 1×3"
    with pytest.raises(DataError, match=message):
        predicted(dataset, tmp_path / "store", tmp_path)
    assert list((tmp_path / "out").iterdir()) == [], "nothing is written"


def test_standard_output_and_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Stdin:
        buffer = io.BytesIO(b'{"id": "a,b", "audio": [0.5, 0.25, 0.1]}\n')

    monkeypatch.setattr(sys, "stdin", Stdin())
    count = predict_file(Toy(), rows().modalities, Task.regression(), Path("-"), None)
    assert (count, capsys.readouterr().out) == (1, 'id,prediction\n"a,b",0.85\n')


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.jsonl", "", r"rows\.jsonl holds no row to predict"),
        ("rows.jsonl", "\n\n", "holds no row to predict"),
        ("rows.xyz", "1", r"rows\.xyz is not a store, nor a \.toml, \.jsonl, \.csv or \.parquet file"),
        ("rows.jsonl", '{"audio": [1]}', "'audio' has shape 1; this run expects audio vector 1×3"),
        (None, None, r"missing\.jsonl does not exist; name a store"),
    ],
)
def test_a_wrong_source_is_refused_in_one_line(
    tmp_path: Path, name: str | None, content: str | None, message: str
) -> None:
    source = tmp_path / (name or "missing.jsonl")
    if content is not None:
        source.write_text(content)
    out = tmp_path / "out.csv"
    with pytest.raises(DataError, match=message) as caught:
        predict_file(Toy(), rows().modalities, Task.regression(), source, out)
    assert "\n" not in str(caught.value)
    assert not out.exists()


def test_a_failure_in_a_late_row_leaves_the_old_output(tmp_path: Path) -> None:
    dataset = rows(600)
    source = as_jsonl(tmp_path / "rows.jsonl", dataset, audio=lambda row, value: value if row < 590 else [1])
    out = tmp_path / "out.csv"
    out.write_text("old")
    with pytest.raises(DataError, match="line 591: 'audio' has shape 1"):
        predict_file(Toy(), dataset.modalities, dataset.task, source, out)
    assert out.read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"rows.jsonl", "out.csv"}


def test_the_input_is_never_overwritten_and_formats_are_two(tmp_path: Path) -> None:
    source = as_jsonl(tmp_path / "rows.jsonl", rows())
    before = source.read_bytes()
    with pytest.raises(SpecError, match=r"rows\.jsonl is the input itself"):
        predict_file(Toy(), rows().modalities, Task.regression(), source, source, "jsonl")
    with pytest.raises(SpecError, match="there is no output format 'json'; did you mean 'jsonl'"):
        predict_file(Toy(), rows().modalities, Task.regression(), source, tmp_path / "out", "json")
    assert source.read_bytes() == before


def test_an_output_that_is_not_finite_is_an_error() -> None:
    dataset = rows()
    method, signals, ids = Toy(scale=float("inf")), dict(dataset.signals), [f"r{i}" for i in range(40)]
    with pytest.raises(RunError, match="Toy: 40 of 40 outputs are NaN or infinite"):
        predict_rows(method, dataset.modalities, dataset.task, signals, ids)


def test_rows_do_not_depend_on_the_chunk_they_are_in() -> None:
    dataset = rows(600)
    ids = [f"r{i}" for i in range(600)]
    method = Toy()
    whole = predict_rows(method, dataset.modalities, dataset.task, dict(dataset.signals), ids)
    np.testing.assert_allclose(whole, forward(dataset), rtol=1e-6)
    assert {len(batch) for batch in method.seen} == {256, 88}
    assert method.training, "the method is left in the mode it was in"


def test_nothing_is_printed_before_the_first_rows_are_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = rows()
    source = tmp_path / "rows.jsonl"
    wide = [[1e300] * dataset.modalities["text"].shape[0]]
    source.write_text(json.dumps({"id": "a", "text": wide}) + "\n")
    with pytest.raises(DataError, match="beyond float32"):
        predict_file(Toy(dataset.task.outputs), dataset.modalities, dataset.task, source, None, "csv")
    assert capsys.readouterr().out == ""
