"""A corpus of spoken commands as WAV files: ten words, eight synthetic voices, a table, and one TOML per left-out voice.

    python benchmarks/raw/spoken.py FOLDER

Needs the program espeak-ng (GPL-3; `apt install espeak-ng`): nothing of it is copied into the corpus but the sound. Each voice
says each word alone and in two sentences, at three speeds and two pitches: 1,440 recordings of about a second. `clips/` holds
them, `rows.csv` a row for each, and `without-VOICE-EXTRACTOR.toml` the split that leaves a voice out: all of it is the test
"test-voice", the next voice is validation, and a sixth of the rows of the other six voices the test "test-iid". Files that are
there are not made again.
"""

from __future__ import annotations

import argparse
import csv
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

from deconfound.errors import DataError
from deconfound.io.files import atomic_write

WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
CARRIERS = ("{}", "please say {} now", "the word is {}")
SPEEDS = (130, 165, 200)
PITCHES = (35, 60)
VOICES = {
    "america": "en-us",
    "scotland": "en-gb-scotland+m3",
    "lancaster": "en-gb-x-gbclan+m7",
    "caribbean": "en-029+m5",
    "anna": "en-us+f2",
    "belinda": "en-gb+f4",
    "whisper": "en-us+whisper",
    "robot": "en-gb+klatt2",
}
"""Name → voice and variant of espeak-ng."""

Say = Callable[[str, str, int, int, Path], None]
"""Writes a WAV file of (text, voice, words per minute, pitch 0 to 99, path)."""


def espeak(text: str, voice: str, speed: int, pitch: int, path: Path) -> None:
    """Say a text with espeak-ng.

    Raises:
        DataError: the program is not there, or fails.
    """
    if shutil.which("espeak-ng") is None:
        raise DataError("the program espeak-ng is not installed; install it, such as with 'apt install espeak-ng'")
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "-w", str(path), text]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not path.is_file():
        raise DataError(
            f"espeak-ng could not say {text!r} as {voice!r}: {done.stderr.strip()[:100]}; try another voice"
        )


def make(folder: Path, say: Say = espeak) -> list[Path]:
    """Make what is missing of the corpus; one TOML per left-out voice."""
    clips = folder / "clips"
    clips.mkdir(parents=True, exist_ok=True)
    rows = []
    for voice, (number, word), (form, carrier), speed, pitch in product(
        VOICES, enumerate(WORDS), enumerate(CARRIERS), SPEEDS, PITCHES
    ):
        name = f"{voice}-{number}-{form}-{speed}-{pitch}"
        path = clips / f"{name}.wav"
        if not path.is_file():
            part = path.with_suffix(".part.wav")
            say(carrier.format(word), VOICES[voice], speed, pitch, part)
            part.replace(path)
        rows.append({"id": name, "clip": f"clips/{name}.wav", "word": word, "voice": voice, "sentence": form})
    for voice in VOICES:
        for row, split in zip(rows, splits([row["voice"] for row in rows], voice), strict=True):
            row[f"without {voice}"] = split
    with atomic_write(folder / "rows.csv") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return [_toml(folder, voice, extractor) for voice in VOICES for extractor in ("log-mel", "mfcc")]


def splits(voices: Sequence[str], out: str, seed: int = 0) -> list[str]:
    """The split of each row where the voice `out` is left out."""
    following = list(VOICES)[(list(VOICES).index(out) + 1) % len(VOICES)]
    draw = random.Random(f"{out} {seed}")
    kept = [number for number, voice in enumerate(voices) if voice not in (out, following)]
    seen = set(draw.sample(kept, len(kept) // 6))
    return [
        "test-voice" if voice == out else "valid" if voice == following else "test-iid" if number in seen else "train"
        for number, voice in enumerate(voices)
    ]


def _toml(folder: Path, voice: str, extractor: str) -> Path:
    path = folder / f"without-{voice}-{extractor}.toml"
    text = f"""name = "spoken-{extractor}-{voice}"
manifest = "rows.csv"
environment = ["voice"]
metadata = ["voice", "sentence"]

[target]
column = "word"
kind = "classification"
classes = {list(WORDS)}

[split]
column = "without {voice}"

[modalities.sound]
column = "clip"
extractor = "{extractor}"
"""
    with atomic_write(path) as file:
        file.write(text.replace("'", '"'))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    try:
        tables = make(folder)
    except DataError as error:
        sys.exit(f"spoken.py: {error}")
    print(f"{folder}: {len(list((folder / 'clips').glob('*.wav')))} recordings, {len(tables)} tables")


if __name__ == "__main__":
    main()
