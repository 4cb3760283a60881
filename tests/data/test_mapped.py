"""Tensors in a nameless file hold what was written, and the store that they become is that of the library."""

import copy
import gc
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from deconfound.data import mapped
from deconfound.data.mapped import byte_chunks, release, tensor_of_blocks
from deconfound.data.signal import Signal
from deconfound.data.store import check_store, save
from deconfound.data.tensor_file import write_tensors
from deconfound.errors import DataError
from support.small import tiny

ROWS = np.random.default_rng(0).normal(size=(1000, 3, 7)).astype(np.float32)


def blocks() -> Iterator[np.ndarray]:
    for start in range(0, 1000, 64):
        yield ROWS[start : start + 64]


@pytest.fixture
def on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    monkeypatch.setattr(mapped, "IN_MEMORY", 1000)
    monkeypatch.setattr(mapped, "CHUNK", 5000)
    return tensor_of_blocks(blocks(), ROWS.shape, ROWS.dtype, tmp_path)


def test_both_kinds_hold_the_same_and_leave_no_file(on_disk: torch.Tensor, tmp_path: Path) -> None:
    in_memory = tensor_of_blocks(blocks(), ROWS.shape, ROWS.dtype, None)
    release(on_disk)
    release(in_memory)
    np.testing.assert_array_equal(on_disk.numpy(), ROWS)
    np.testing.assert_array_equal(in_memory.numpy(), ROWS)
    assert list(tmp_path.iterdir()) == []


def test_what_is_copied_of_such_a_tensor_outlives_it(on_disk: torch.Tensor) -> None:
    copies = [copy.deepcopy(on_disk), on_disk.clone(), on_disk[10:20]]
    address = on_disk.data_ptr()
    del on_disk
    gc.collect()
    release(copies[2])
    np.testing.assert_array_equal(copies[0].numpy(), ROWS)
    np.testing.assert_array_equal(copies[1].numpy(), ROWS)
    np.testing.assert_array_equal(copies[2].numpy(), ROWS[10:20])
    assert address != copies[2].data_ptr()


def test_bytes_come_in_order(on_disk: torch.Tensor) -> None:
    assert b"".join(map(bytes, byte_chunks(on_disk))) == ROWS.tobytes()
    assert b"".join(map(bytes, byte_chunks(torch.arange(6).view(2, 3).T))) == np.arange(6).reshape(2, 3).T.tobytes()


def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(mapped, "IN_MEMORY", 1000)
    with pytest.raises(DataError, match=r"cannot keep .* No such file or directory; make room, or name another folder"):
        tensor_of_blocks(blocks(), ROWS.shape, ROWS.dtype, tmp_path / "none")


def test_the_file_is_that_of_the_library(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    dtypes = (torch.bool, torch.uint8, torch.int32, torch.int64, torch.float16, torch.float32, torch.float64)
    tensors = {
        'ä/"\\ x'[: 1 + number % 6] + str(number): torch.from_numpy(draw.integers(0, 2, (number % 4, 3))).to(dtype)
        for number, dtype in enumerate(dtypes * 2)
    }
    write_tensors(tensors, tmp_path / "own")
    save_file(tensors, tmp_path / "theirs")
    assert (tmp_path / "own").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert set(load_file(tmp_path / "own")) == set(tensors)


def test_the_store_of_a_mapped_signal_is_sound_and_needs_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "IN_MEMORY", 1000)
    dataset, width = tiny(), 1 << 18
    block = np.ones((1, 1, width), dtype=np.float32)
    shape = (len(dataset), 1, width)
    tracemalloc.start()
    values = tensor_of_blocks((block for _ in range(len(dataset))), shape, block.dtype, tmp_path)
    signal = Signal(values, torch.ones(shape[:2], dtype=torch.bool))
    large = replace(dataset, signals={**dataset.signals, "text": signal})
    save(large, tmp_path / "store")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * block.nbytes < values.nbytes
    assert check_store(tmp_path / "store").checksum == large.checksum
