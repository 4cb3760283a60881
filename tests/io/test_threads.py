import os
import subprocess
import sys

import pytest
import torch

from deconfound.io.threads import cpu_threads

ASK = "import deconfound, os, sys; print(os.environ['OMP_WAIT_POLICY'], os.environ['KMP_BLOCKTIME'], 'torch' in sys.modules)"


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [({}, "PASSIVE 0 False"), ({"OMP_WAIT_POLICY": "ACTIVE", "KMP_BLOCKTIME": "7"}, "ACTIVE 7 False")],
)
def test_idle_threads_sleep_unless_the_environment_says_otherwise(chosen: dict[str, str], expected: str) -> None:
    inherited = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "KMP_BLOCKTIME")}
    process = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, check=True, env=inherited | chosen
    )
    assert process.stdout.strip() == expected


def test_the_number_of_threads_holds_inside_the_block_only():
    before = torch.get_num_threads()
    with cpu_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with pytest.raises(ZeroDivisionError), cpu_threads(before + 1):
        raise ZeroDivisionError
    assert torch.get_num_threads() == before
    with cpu_threads(None):
        assert torch.get_num_threads() == before


def test_importing_it_loads_no_torch():
    script = "import sys, deconfound.io.threads; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
