import subprocess
import sys

import pytest
import torch

from deconfound.io.threads import cpu_threads


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
