import json
import os
import signal as signals
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from deconfound.data import store
from deconfound.errors import StoreError
from deconfound.testing import check_dataset
from support.small import tiny


def test_what_is_saved_is_what_opens(tmp_path):
    data = tiny(provenance={"source": "here"}, latents={"C": torch.rand(12, 2)})
    again = store.open_store(store.save(data, tmp_path / "s"))
    assert again.checksum == data.checksum
    assert again.task == data.task
    assert again.provenance == {"source": "here"}
    assert again.metadata.equals(data.metadata)
    assert torch.equal(again.latents["C"], data.latents["C"])
    for name, signal in data.signals.items():
        assert torch.equal(again.signals[name].values, signal.values)
        assert torch.equal(again.signals[name].mask, signal.mask)
    check_dataset(again)
    store.check_store(tmp_path / "s")


def test_signals_that_share_memory_are_saved_each(tmp_path):
    from deconfound.data.signal import Signal

    everywhere = torch.ones(1, 1, dtype=torch.bool).expand(12, 3)
    values = torch.rand(12, 3, 4)
    signals = {"a": Signal(values, everywhere), "b": Signal(values[:, :, :2], everywhere)}
    signals |= {"c": Signal(values, signals["a"].mask), "d": Signal(values[6:].repeat(2, 1, 1), signals["a"].mask)}
    data = tiny(signals=signals)
    again = store.check_store(store.save(data, tmp_path / "s"))
    assert again.checksum == data.checksum
    assert all(torch.equal(again.signals[name].values, data.signals[name].values) for name in data.signals)


def test_opening_reads_no_rows(tmp_path):
    rows = 200_000
    big = torch.rand(rows, 1, 100)
    from deconfound.data.signal import Signal

    data = tiny(
        n=rows,
        signals={"text": Signal(big, torch.ones(rows, 1, dtype=torch.bool))},
        target=torch.zeros(rows),
        metadata={"id": torch.arange(rows)},
        environment=(),
    )
    path = store.save(data, tmp_path / "s")
    script = (
        "import resource, torch, safetensors.torch\n"
        "from deconfound.data.store import open_store\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"data = open_store({str(path)!r})\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    grown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(grown.stdout) < 20_000  # KiB; the store has 80 MB


def test_both_files_are_on_the_disk_before_the_store_has_its_name(tmp_path, monkeypatch):
    synced, sync = [], os.fsync

    def spy(handle: int) -> None:
        synced.append((Path(f"/proc/self/fd/{handle}").readlink().name, (tmp_path / "s").exists()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", spy)
    store.save(tiny(), tmp_path / "s")
    assert synced == [("data.safetensors", False), ("dataset.json", False)]


def test_where_data_came_from_does_not_change_what_they_are(tmp_path):
    first, second = (store.save(tiny(provenance={"source": place}), tmp_path / place) for place in ("here", "there"))
    assert store.check_store(first).checksum == store.check_store(second).checksum


def damage(path: Path, how: str) -> None:
    data, form = path / "data.safetensors", path / "dataset.json"
    content = bytearray(data.read_bytes())
    if how == "truncated":
        data.write_bytes(content[:-10])
    elif how == "flipped bit":
        content[-1] ^= 1
        data.write_bytes(content)
    elif how == "header":
        content[8:40] = b"x" * 32
        data.write_bytes(content)
    elif how == "no data":
        data.unlink()
    elif how == "json":
        form.write_text("{")
    else:
        values = json.loads(form.read_text())
        values.update({"version": 99} if how == "version" else {"splits": {"train": [0, 4]}})
        form.write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("truncated", "bytes"),
        ("flipped bit", "checksum"),
        ("header", "damaged"),
        ("no data", "is not a dataset store"),
        ("json", "damaged"),
        ("version", "version 99"),
        ("splits", "damaged"),
    ],
)
def test_damage_is_found(tmp_path, how, message):
    path = store.save(tiny(), tmp_path / "s")
    damage(path, how)
    with pytest.raises(StoreError, match=message) as caught:
        store.check_store(path)
    assert "\n" not in str(caught.value)


def test_a_missing_store_says_so(tmp_path):
    with pytest.raises(StoreError, match="does not exist"):
        store.open_store(tmp_path / "none")


def test_an_existing_folder_is_not_overwritten(tmp_path):
    path = store.save(tiny(), tmp_path / "s")
    with pytest.raises(StoreError, match="exists already"):
        store.save(tiny(), path)
    store.check_store(path)


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dump", full)
    with pytest.raises(StoreError, match="No space left on device"):
        store.save(tiny(), tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        store.save(tiny(), tmp_path / "file" / "s")


def test_a_killed_write_leaves_nothing_that_opens(tmp_path):
    script = (
        "import os, signal, json, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "from support.small import tiny\n"
        "from deconfound.data import store\n"
        "json.dump = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"store.save(tiny(), {str(tmp_path / 's')!r})\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signals.SIGKILL
    assert not (tmp_path / "s").exists()
    for left in tmp_path.iterdir():
        with pytest.raises(StoreError):
            store.open_store(left)
    store.save(tiny(), tmp_path / "s")
    store.check_store(tmp_path / "s")


def test_others_may_read_a_store(tmp_path):
    path = store.save(tiny(), tmp_path / "s")
    assert {file.name: file.stat().st_mode & 0o777 for file in path.iterdir()} == dict.fromkeys(
        ("data.safetensors", "dataset.json"), 0o644
    )
