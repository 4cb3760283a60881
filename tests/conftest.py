"""One thread for each process, before PyTorch is loaded, and one browser for all tests.

The tests run in as many processes as there are cores; with threads beside these a small model takes ten times as long.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from support.browsing import browser  # after the number of threads

__all__ = ["browser"]
