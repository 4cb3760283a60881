"""Standard streams that are closed or full or know few characters, and Ctrl-C at any time."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deconfound.data import store
from deconfound.datasets.synthetic import synthetic
from support.small import small_run

CLI = [sys.executable, "-m", "deconfound.cli"]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    store.save(synthetic(rows=64), folder / "data")
    small_run(folder / "run", data={"store": str(folder / "data")}).evaluate()
    return folder


def shell(home: Path, line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = line.replace("deconfound", f"{sys.executable} -m deconfound.cli")
    return subprocess.run(
        ["bash", "-c", command],
        cwd=home,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, **environment},
        check=False,
    )


COMMANDS = ["list", "show cmir", "--help", "predict run data"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("where", "message"),
    [(">/dev/full", "cannot write standard output: No space left on device"), (">&-", "standard output is closed")],
)
def test_an_output_that_takes_nothing_is_one_line(home, command, where, message):
    ended = shell(home, f"deconfound {command} {where}")
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"deconfound: {message}")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_goes_away_ends_a_command_as_it_ends_others(home, command):
    ended = shell(home, f"set -o pipefail; deconfound {command} | true")
    assert ended.returncode in (0, 141)  # 0 where all fitted into the pipe before its reader ended
    assert ended.stderr == ""
    read, write = os.pipe()
    os.close(read)
    closed = subprocess.run([*CLI, *command.split()], cwd=home, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (closed.returncode, closed.stderr) == (141, b"")


@pytest.mark.parametrize("where", ["2>/dev/full", "2>&-", "<&-", "<&- 2>&-"])
def test_other_streams_do_not_matter(home, where):
    ended = shell(home, f"deconfound data check data {where}")
    assert ended.returncode == 0
    assert "data is sound" in ended.stdout
    assert shell(home, f"deconfound data check nowhere {where}").returncode == 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_terminal_of_few_characters_shows_all_of_them(home, command, encoding):
    ended = shell(home, f"deconfound {command}", PYTHONIOENCODING=encoding, COLUMNS="200")
    assert (ended.returncode, ended.stderr) == (0, "")
    ended = shell(home, "deconfound predict nowhere-é rows", PYTHONIOENCODING=encoding)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1


def test_a_row_from_standard_input_is_utf_8_in_any_terminal(home):
    row = json.dumps({"id": "zwölf", "m1": [0.0] * 10}, ensure_ascii=False)
    ended = subprocess.run(
        [*CLI, "predict", "run", "-"],
        cwd=home,
        input=row.encode(),
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert ended.returncode == 0
    assert b"zw\\xf6lf" in ended.stdout


def test_an_import_that_fails_because_of_ctrl_c_is_no_traceback():
    """Code that is imported may answer an interrupt with an error of its own."""
    script = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Answering:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'deconfound.cli.app':\n"
        "            try:\n"
        "                os.kill(os.getpid(), signal.SIGINT)\n"
        "            except KeyboardInterrupt:\n"
        "                raise TypeError('half imported')\n"
        "sys.meta_path.insert(0, Answering())\n"
        "from deconfound.cli import main\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (
        130,
        "deconfound: interrupted; call train, sweep, tune or demo again to resume\n",
    )


@pytest.mark.parametrize("delay", [0.05, 0.1, 0.2, 0.4, 0.8, 1.6])
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_is_one_line_from_the_first_second_on(home, tmp_path, delay, times):
    (tmp_path / "spec.toml").write_text(
        f'method = "erm"\n[data]\nstore = "{home / "data"}"\n[train]\nepochs = 2000\npatience = 2000\naccelerator = "cpu"\n'
    )
    script = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may have had it ignored\n"
        "print('ready', flush=True)\n"
        "from deconfound.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", script, "train", "spec.toml", "--out", "run"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(delay)
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    _, errors = process.communicate(timeout=120)
    lines = [line for line in errors.splitlines() if line]
    assert lines == ["deconfound: interrupted; call train, sweep, tune or demo again to resume"]
    assert process.returncode == 130
    assert not [path for path in tmp_path.rglob("*.partial-*") if path.is_file()]
