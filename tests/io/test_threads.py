"""Importing the package lets idle threads sleep, unless the user chose otherwise, and loads no PyTorch for it."""

import os
import subprocess
import sys

import pytest

ASK = "import deconfound, os, sys; print(os.environ['OMP_WAIT_POLICY'], os.environ['KMP_BLOCKTIME'], 'torch' in sys.modules)"


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [({}, "PASSIVE 0 False"), ({"OMP_WAIT_POLICY": "ACTIVE", "KMP_BLOCKTIME": "7"}, "ACTIVE 7 False")],
)
def test_idle_threads_sleep_unless_the_environment_says_otherwise(chosen: dict[str, str], expected: str) -> None:
    inherited = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "KMP_BLOCKTIME")}
    done = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, check=True, env=inherited | chosen
    )
    assert done.stdout.strip() == expected
