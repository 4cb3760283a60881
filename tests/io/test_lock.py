import json
import signal
import subprocess
import sys
import time

import pytest

from deconfound.errors import RunError
from deconfound.io.files import claim_folder
from deconfound.io.lock import exclusive_lock, is_locked, try_lock, wait_for_lock

HOLDER = """
import sys, time
from pathlib import Path
from deconfound.io.lock import try_lock
with try_lock(Path(sys.argv[1])) as acquired:
    print(acquired, flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holder(path, seconds: float) -> subprocess.Popen[str]:
    """A process that holds the lock already."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    return process


def test_a_lock_is_refused_while_another_process_holds_it_and_free_once_that_is_killed(tmp_path):
    path = tmp_path / ".lock"
    with holder(path, 60) as process:
        try:
            assert is_locked(path)
            with try_lock(path) as acquired:
                assert not acquired
            with pytest.raises(RunError, match="is being written by another process; wait or choose another folder"):
                exclusive_lock(tmp_path).__enter__()
            assert is_locked(path)
        finally:
            process.send_signal(signal.SIGKILL)
    assert not is_locked(path)
    with exclusive_lock(tmp_path):
        assert is_locked(path)
    assert not is_locked(path)


def test_a_lock_is_waited_for(tmp_path):
    path = tmp_path / ".lock"
    with holder(path, 0.4), try_lock(path, timeout=30) as acquired:
        assert acquired
    with holder(path, 0.4):
        began = time.monotonic()
        with try_lock(path, timeout=0.05) as acquired:
            assert not acquired
        assert time.monotonic() - began < 0.35
        with wait_for_lock(path):
            assert is_locked(path)


def test_an_error_in_the_block_frees_the_lock(tmp_path):
    def fail():
        with exclusive_lock(tmp_path):
            raise KeyError("in the block")

    with pytest.raises(KeyError, match="in the block"):
        fail()
    with exclusive_lock(tmp_path):
        pass


def test_looking_at_a_lock_writes_nothing_and_does_not_disturb_another_look(tmp_path):
    path = tmp_path / ".job"
    assert not is_locked(path)
    assert not path.exists()
    path.touch(mode=0o444)
    assert not is_locked(path)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match=r"cannot write .*file: .*; choose a folder you may write to"):
        exclusive_lock(tmp_path / "file").__enter__()


def test_a_folder_is_claimed_if_it_is_new_empty_or_of_the_same_kind(tmp_path):
    out = tmp_path / "a" / "b"
    claim_folder(out, "sweep", "sweep.json")
    with exclusive_lock(out):
        claim_folder(out, "sweep", "sweep.json")
    claim_folder(out, "sweep", "sweep.json")
    (out / "notes.txt").write_text("mine")
    claim_folder(out, "sweep", "sweep.json", ignored=("notes.txt",))
    with pytest.raises(RunError, match=r"is not empty and not a sweep \(it holds 'notes.txt'\); choose another folder"):
        claim_folder(out, "sweep", "sweep.json")
    (out / "sweep.json").write_text(json.dumps({}))
    claim_folder(out, "sweep", "sweep.json")
    with pytest.raises(RunError, match="cannot write"):
        claim_folder(out / "notes.txt", "sweep", "sweep.json")
