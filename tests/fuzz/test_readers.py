"""Whatever is in a file, its reader returns or raises one of our errors; `make fuzz` gives each reader more inputs."""

from __future__ import annotations

import os
import resource
import time
import warnings
import zlib
from pathlib import Path
from random import Random

import pytest

from deconfound.errors import DeconfoundError
from fuzz.readers import READERS, Reader

FACTOR = float(os.environ.get("FUZZ", "1"))
"""How many times as many inputs as in the usual run."""

INPUTS = {name: int(FACTOR * max(100, min(2000, 3000 / reader.cost))) for name, reader in READERS.items()}
LONGEST_LINE = 2000


@pytest.mark.parametrize("name", READERS)
def test_a_mutated_file_is_read_or_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reader = READERS[name]
    reader.make(tmp_path)
    originals = {file: (tmp_path / file).read_bytes() for file in reader.mutations}
    reader.read(tmp_path)
    random = Random(zlib.crc32(name.encode()) + int(os.environ.get("FUZZ_SEED", "0")))
    failures, refused, longest = [], 0, 0.0
    for _ in range(INPUTS[name]):
        file = random.choice([*originals])
        (tmp_path / file).write_bytes(reader.mutations[file](originals[file], random))
        began = time.process_time()
        failure = _outcome(reader, tmp_path)
        longest = max(longest, time.process_time() - began)
        refused += failure is not None
        if failure:
            failures.append(f"{file}: {failure}")
        for other, content in originals.items():
            (tmp_path / other).write_bytes(content)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with capsys.disabled():
        if FACTOR > 1:
            print(f"{name}: {INPUTS[name]} inputs, {refused} refused, longest {longest:.2f} s, peak {memory:.0f} MB")
    assert not failures, f"{len(failures)} of {INPUTS[name]}:\n" + "\n".join(dict.fromkeys(failures))
    assert memory < 4000


def _outcome(reader: Reader, folder: Path) -> str | None:
    """None if the file is read, "" if it is refused, else what went wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(folder)
    except DeconfoundError as error:
        return "" if len(str(error)) < LONGEST_LINE else f"a line of {len(str(error))} characters: {str(error)[:200]}"
    except Exception as error:
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        assert place is not None, "an exception that was raised has a traceback"
        code = place.tb_frame.f_code
        return f"{type(error).__name__} in {Path(code.co_filename).name}:{place.tb_lineno}: {str(error)[:120]}"
    return None


def test_there_are_enough_inputs() -> None:
    assert sum(INPUTS.values()) >= FACTOR * 20_000
