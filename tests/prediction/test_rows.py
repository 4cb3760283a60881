from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deconfound.data.signal import Signal
from deconfound.data.task import Modality
from deconfound.errors import DataError
from deconfound.prediction.conform import conform
from deconfound.prediction.rows import TargetNote, read_jsonl

FORM = {
    modality.name: modality
    for modality in (
        Modality("text", 3, (2,)),
        Modality("audio", 1, (4,)),
        Modality("face", 1, (2, 2)),
        Modality("words", 5, ()),
    )
}
EXPECTS = "this run expects text sequence 3×2, audio vector 1×4, face image 1×2×2, words tokens 5"


def read(*lines: Any, chunk: int = 256) -> list[tuple[list[str], dict[str, Signal]]]:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return list(read_jsonl(io.BytesIO(text.encode()), FORM, chunk))


def test_a_full_row() -> None:
    row = {"id": "a", "text": [[1, 2], [3, 4.5]], "audio": [1, 2, 3, 4], "face": [[1, 2], [3, 4]], "words": [7, 8]}
    ((ids, signals),) = read(row)
    assert ids == ["a"]
    expected = {
        "text": ([[1.0, 2.0], [3.0, 4.5], [0.0, 0.0]], [True, True, False]),
        "audio": ([[1.0, 2.0, 3.0, 4.0]], [True]),
        "face": ([[[1.0, 2.0], [3.0, 4.0]]], [True]),
        "words": ([7, 8, 0, 0, 0], [True, True, False, False, False]),
    }
    for name, (values, mask) in expected.items():
        assert signals[name].values[0].tolist() == values
        assert signals[name].mask[0].tolist() == mask
    assert {name: signal.values.dtype for name, signal in signals.items()} == {
        "text": torch.float32,
        "audio": torch.float32,
        "face": torch.float32,
        "words": torch.int64,
    }


def test_absence_is_a_left_out_key_null_or_no_step_and_ids_default_to_the_line() -> None:
    ((ids, signals),) = read({"audio": [[1, 2, 3, 4]], "text": None}, "", {"id": 7, "text": [[1, 2]], "words": []})
    assert ids == ["1", "7"]
    assert signals["audio"].present.tolist() == [True, False]
    assert signals["text"].present.tolist() == [False, True]
    assert not bool(signals["words"].mask.any())
    assert bool((signals["audio"].values[1] == 0).all())


def test_a_target_is_ignored_and_chunks_have_their_size() -> None:
    chunks = read(*[{"id": str(i), "audio": [i, 0, 0, 0], "target": "x"} for i in range(5)], chunk=2)
    assert [ids for ids, _ in chunks] == [["0", "1"], ["2", "3"], ["4"]]
    assert [signals["audio"].values[0, 0, 0].item() for _, signals in chunks] == [0, 2, 4]


@settings(max_examples=40, deadline=None, database=None)
@given(st.lists(st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=2, max_size=2), min_size=1, max_size=3))
def test_numbers_arrive_as_written(steps: list[list[float]]) -> None:
    ((_, signals),) = read({"text": steps})
    np.testing.assert_array_equal(signals["text"].values[0, : len(steps)].numpy(), np.float32(steps))
    assert signals["text"].mask[0].tolist() == [step < len(steps) for step in range(3)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"txt": [[1, 2]]}, f"there is no modality 'txt'; did you mean 'text'; {EXPECTS}"),
        ({"audio": [1, 2, 3, 4], "smell": [1]}, f"there is no modality 'smell'; {EXPECTS}"),
        ({"id": "a"}, f"line 1 has no modality at all; {EXPECTS}"),
        ({"audio": []}, "line 1 has no modality at all"),
        ({"audio": [1, 2, 3]}, "'audio' has shape 3; this run expects audio vector 1×4"),
        ({"audio": [[1, 2, 3, 4]] * 2}, "'audio' has shape 2×4; this run expects audio vector 1×4"),
        ({"text": [1, 2]}, "'text' has shape 2; this run expects text sequence 3×2"),
        ({"text": [[1, 2]] * 4}, "'text' has shape 4×2; this run expects text sequence 3×2"),
        ({"text": [[]]}, "'text' has shape 1×0"),
        ({"face": [1, 2, 3, 4]}, "'face' has shape 4; this run expects face image 1×2×2"),
        ({"text": 3}, "'text' has shape of one number"),
        ({"text": [[1, 2], [3]]}, "'text' is not a regular array"),
        ({"text": [[1, "2"]]}, "'text' must hold numbers only"),
        ({"text": [[1, None]]}, "'text' must hold numbers only"),
        ({"text": {"a": 1}}, "'text' must hold numbers only"),
        ({"text": "abc"}, "'text' must hold numbers only"),
        ({"audio": [True, False, True, True]}, "'audio' must hold numbers only"),
        ({"audio": [10**400, 0, 0, 0]}, "'audio' must hold numbers only"),
        ({"words": [1.5]}, "'words' must hold integers only"),
        (
            {"id": ["a"], "audio": [1, 2, 3, 4]},
            r"an id must be text of at most 255 characters or an integer, not \['a'\]",
        ),
        ({"id": True, "audio": [1, 2, 3, 4]}, "an id must be text of at most 255 characters or an integer, not True"),
        ("[1, 2]", "line 1 is not a JSON object"),
        ("nonsense", r"line 1 is not JSON \("),
        ('{"audio": [NaN, 0, 0, 0]}', "NaN is not a finite number"),
        ('{"audio": [-Infinity, 0, 0, 0]}', "-Infinity is not a finite number"),
        ("[" * 200_000, "line 1 is not JSON"),
        ('{"audio": ' + "[" * 40 + "]" * 40 + "}", "'audio'"),
        ('{"audio": [' + "9" * 5000 + "]}", "line 1 is not JSON"),
        ('{"audio": [' + "1," * 800_000 + "1]}", r"line 1 has more than \d+ bytes; this run expects"),
    ],
)
def test_a_hostile_or_wrong_line_is_refused_in_one_line(line: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(line)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_bytes_that_are_not_text_are_refused() -> None:
    with pytest.raises(DataError, match="standard input line 1 is not JSON"):
        list(read_jsonl(io.BytesIO(b'{"id": "\xff\xfe"}'), FORM))


def test_the_wrong_line_is_named_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"audio": [1, 2, 3, 4]}\n\n{"audio": [1]}\n')
    with pytest.raises(DataError, match=r"rows\.jsonl line 3: 'audio' has shape 1"):
        list(read_jsonl(path, FORM))
    with pytest.raises(DataError, match=r"cannot read .*none\.jsonl: No such file"):
        list(read_jsonl(tmp_path / "none.jsonl", FORM))


def test_an_endless_line_is_not_read_to_its_end() -> None:
    class Endless(io.RawIOBase):
        def readline(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            assert 0 < size < 1 << 22
            return b"[" * size

    start = time.monotonic()
    with pytest.raises(DataError, match="has more than"):
        list(read_jsonl(Endless(), FORM))  # type: ignore[arg-type]
    assert time.monotonic() - start < 5


def signal(*shape: int, fill: float = 1.0) -> Signal:
    return Signal(torch.full(shape, fill), torch.ones(shape[:2], dtype=torch.bool))


def test_conform_pads_cuts_masks_and_fills_in_what_is_absent() -> None:
    form = {name: FORM[name] for name in ("text", "audio")}
    short = conform({"text": signal(2, 1, 2)}, form, ["a", "b"])
    assert short["text"].mask.tolist() == [[True, False, False]] * 2
    assert short["text"].values.shape == (2, 3, 2)
    assert bool((short["text"].values[:, 1:] == 0).all())
    assert short["audio"].values.shape == (2, 1, 4)
    assert not bool(short["audio"].mask.any())
    long = signal(1, 5, 2)
    long = Signal(long.values.double(), long.mask & (torch.arange(5) < 2))
    cut = conform({"text": long}, form, ["a"])["text"]
    assert cut.mask.tolist() == [[True, True, False]]
    assert cut.values.dtype == torch.float32
    assert bool((cut.values[0, 2] == 0).all()), "what lies under the mask is gone"


def test_conform_leaves_out_what_the_run_does_not_know_only_if_all_it_knows_is_there() -> None:
    form = {"audio": FORM["audio"]}
    assert set(conform({"audio": signal(1, 1, 4), "smell": signal(1, 1, 9)}, form, ["a"])) == {"audio"}
    with pytest.raises(DataError, match="no modality 'adio'; did you mean 'audio'; this run expects audio vector 1×4"):
        conform({"adio": signal(1, 1, 4)}, form, ["a"])


def test_conform_refuses_what_does_not_fit() -> None:
    form = {name: FORM[name] for name in ("text", "audio", "words")}
    with pytest.raises(DataError, match="'audio' has shape 1×5; this run expects audio vector 1×4"):
        conform({"audio": signal(1, 1, 5)}, form, ["a"])
    with pytest.raises(DataError, match="'text' has shape 4×2; this run expects text sequence 3×2"):
        conform({"text": signal(1, 4, 2)}, form, ["a"])
    with pytest.raises(DataError, match="'words' holds real numbers; this run expects words tokens 5: integers"):
        conform({"words": signal(1, 5)}, form, ["a"])
    nan = signal(2, 1, 4)
    nan.values[1, 0, 2] = float("nan")
    with pytest.raises(DataError, match="'audio' of row 'b' holds NaN or numbers beyond float32"):
        conform({"audio": nan}, form, ["a", "b"])
    with pytest.raises(DataError, match="'audio' of row 'a' holds NaN or numbers beyond float32"):
        conform({"audio": Signal(torch.full((1, 1, 4), 1e300, dtype=torch.float64), nan.mask[:1])}, form, ["a"])
    empty = Signal(torch.zeros(2, 1, 4), torch.tensor([[True], [False]]))
    with pytest.raises(DataError, match="row 'b' has no modality at all"):
        conform({"audio": empty}, form, ["a", "b"])


def test_numbers_beyond_float32_are_refused() -> None:
    ((ids, signals),) = read({"id": "big", "audio": [1e300, 0, 0, 0]})
    with pytest.raises(DataError, match="'audio' of row 'big' holds NaN or numbers beyond float32"):
        conform(signals, FORM, ids)


def test_the_column_of_the_labels_is_ignored_with_one_note() -> None:
    lines = [{"id": f"r{i}", "audio": [1, 2, 3, 4], "mood": "calm"} for i in range(3)]
    source = io.BytesIO("\n".join(map(json.dumps, lines)).encode())
    with pytest.warns(
        TargetNote, match="standard input line 1: 'mood' is the target of the run; it is ignored"
    ) as notes:
        ((ids, signals),) = read_jsonl(source, FORM, target="mood")
    assert len(notes) == 1
    assert ids == ["r0", "r1", "r2"]
    assert signals["audio"].values[:, 0].tolist() == [[1.0, 2.0, 3.0, 4.0]] * 3
    with pytest.raises(DataError, match="there is no modality 'mood'"):
        read(*lines)
    with pytest.raises(DataError, match="there is no modality 'moood'"):
        list(read_jsonl(io.BytesIO(json.dumps({"audio": [1, 2, 3, 4], "moood": 1}).encode()), FORM, target="mood"))


def test_a_modality_of_the_name_of_the_target_is_a_modality() -> None:
    ((_, signals),) = read_jsonl(io.BytesIO(b'{"audio": [1, 2, 3, 4]}'), FORM, target="audio")
    assert bool(signals["audio"].present[0])
