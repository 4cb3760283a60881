"""Preparing raw columns: padded, cached by content, resumed after a kill, with broken samples counted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from deconfound.errors import DataError, SpecError
from deconfound.extraction.cache import ArrayCache
from deconfound.extraction.extractors.pixels import Pixels
from deconfound.extraction.extractors.word_pieces import WordPieces
from deconfound.extraction.prepare import prepare, prepare_again
from deconfound.extraction.raw import RawColumn

IDS = ["a", "b", "c", "d"]


def images(folder: Path, count: int = 4) -> list[str]:
    names = [f"{number}.png" for number in range(count)]
    for number, name in enumerate(names):
        Image.fromarray(np.full((10, 12, 3), 40 * number, np.uint8)).save(folder / name)
    return names


def pixels(names: Sequence[str | None], folder: Path, side: int = 8) -> RawColumn:
    return RawColumn("image", names, folder, {"name": "pixels", "side": side})


def test_rows_are_padded_and_absent_ones_are_masked() -> None:
    texts = ["good", None, "not a good film", "good"]
    signal, note = prepare(RawColumn("text", texts, None, {"name": "word-pieces"}), "text", ids=IDS)
    assert signal.mask.sum(dim=1).tolist() == [3, 0, 6, 3]  # the words, a beginning and an end
    assert signal.values.dtype == torch.int64
    assert torch.equal(signal.values[0], signal.values[3])
    assert bool((signal.values[~signal.mask] == 0).all())
    assert note["steps"] == 6
    assert note["extractor"] == {"name": "word-pieces", "model": "all-MiniLM-L6-v2", "most": 128}


def test_equal_samples_are_extracted_once_and_a_stopped_import_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, cache, seen = images(tmp_path), tmp_path / "cache", []
    extract = Pixels.extract

    def counted(self: Pixels, samples: Sequence[Any]) -> list[np.ndarray]:
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(len(samples))
        return extract(self, samples)

    monkeypatch.setattr(Pixels, "batch", 1)
    monkeypatch.setattr(Pixels, "extract", counted)
    with pytest.raises(KeyboardInterrupt):
        prepare(pixels(names, tmp_path), "image", ids=IDS, cache=cache)
    monkeypatch.setattr(Pixels, "extract", extract)
    whole, _ = prepare(pixels(names, tmp_path), "image", ids=IDS, cache=tmp_path / "other")
    calls: list[int] = []
    monkeypatch.setattr(Pixels, "extract", lambda self, samples: calls.append(1) or extract(self, samples))
    resumed, _ = prepare(pixels([*names[:3], names[3]], tmp_path), "image", ids=IDS, cache=cache)
    assert torch.equal(resumed.values, whole.values)
    assert len(calls) == 2
    prepare(pixels([names[0]] * 4, tmp_path), "image", ids=IDS, cache=cache)
    assert len(calls) == 2
    prepare(pixels(names, tmp_path, side=9), "image", ids=IDS, cache=cache)
    assert len(calls) == 6


def test_broken_samples_are_absent_listed_and_refused_above_a_share(tmp_path: Path) -> None:
    names = images(tmp_path)
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:40])
    (tmp_path / "2.png").unlink()
    signal, note = prepare(pixels(names, tmp_path), "image", ids=IDS, most_broken=0.5)
    assert signal.present.tolist() == [True, False, False, True]
    assert note["broken_rows"] == 2
    assert "not a readable image" in note["broken"]["b"]
    assert note["broken"]["c"] == "is not there: no such file"
    with pytest.raises(
        DataError, match=r"2 of 4 samples cannot be read, the first is that of 'b': it is not a readable"
    ):
        prepare(pixels(names, tmp_path), "image", ids=IDS)


def test_new_rows_are_read_as_in_training(tmp_path: Path) -> None:
    texts = ["good", "bad", None, "a b c"]
    column = RawColumn("text", texts, None, {"name": "word-pieces"})
    signal, note = prepare(column, "text", ids=IDS)
    again = prepare_again(RawColumn("text", ["good", "a b c d e f g"]), note, "text", ["x", "y"])
    assert torch.equal(again.values[0, :3], signal.values[0, :3])
    assert again.values.shape[1] == note["steps"] == 5


def test_another_model_than_that_of_training_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _, note = prepare(RawColumn("text", ["good"], None, {"name": "word-pieces"}), "text", ids=["a"])
    monkeypatch.setattr(WordPieces, "model", lambda self: {"model": "all-MiniLM-L6-v2", "tokenizer": "f" * 64})
    with pytest.raises(DataError, match=r"trained with model all-MiniLM-L6-v2 tokenizer [0-9a-f]{16}, here is"):
        prepare_again(RawColumn("text", ["good"]), note, "text", ["a"])


def test_an_extractor_of_another_kind_is_refused() -> None:
    with pytest.raises(SpecError, match="the extractor 'pixels' reads image, the column holds text"):
        prepare(RawColumn("text", ["a"], None, {"name": "pixels"}), "text", ids=["a"])


def test_a_damaged_cache_says_what_to_do(tmp_path: Path) -> None:
    identity = {"name": "pixels", "side": 8}
    with ArrayCache(tmp_path, identity) as cache:
        path = cache.path
    assert path is not None
    path.write_bytes(b"not a database " * 100)
    with pytest.raises(DataError, match=r"the cache .* cannot be used .* delete it"):
        ArrayCache(tmp_path, identity)


def test_a_cache_returns_what_was_put(tmp_path: Path) -> None:
    arrays = {b"a" * 32: np.arange(6, dtype=np.float32).reshape(2, 3), b"b" * 32: np.array([4, 5], dtype=np.int64)}
    with ArrayCache(tmp_path, {"name": "x"}) as cache:
        cache.put(arrays)
    with ArrayCache(tmp_path, {"name": "x"}) as cache:
        for key, array in arrays.items():
            assert cache.get(key).dtype == array.dtype
            np.testing.assert_array_equal(cache.get(key), array)
            assert cache.shape(key) == array.shape
        assert [cache.has(letter * 32) for letter in (b"c", b"a")] == [False, True]
