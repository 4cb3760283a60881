"""Every extractor: finite arrays of one width, the same for the same sample, and none of the neighbours in a batch."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from deconfound.errors import DataError, SpecError
from deconfound.extraction.decode import Sound, decode
from deconfound.extraction.extractor import DEFAULTS
from deconfound.extraction.extractors.image_vector import ImageVector
from deconfound.extraction.extractors.log_mel import LogMel
from deconfound.extraction.extractors.sentence import Sentence
from deconfound.extraction.extractors.token_vectors import TokenVectors
from deconfound.extraction.image_model import SIDE, as_input, features_of, load_image_model, resized
from deconfound.extraction.prepare import prepare, prepare_again
from deconfound.extraction.raw import RawColumn, SampleError
from deconfound.registry import build, get_class
from support.media import write_clip


def test_every_kind_has_a_default() -> None:
    assert {kind: get_class("extractors", name).kind for kind, name in DEFAULTS.items()} == {
        kind: kind for kind in DEFAULTS
    }


def test_a_sentence_is_the_mean_of_its_tokens_at_length_one() -> None:
    text = "A fine film."
    tokens, vector = TokenVectors().extract([text])[0], Sentence().extract([text])[0]
    mean = tokens.mean(axis=0)
    np.testing.assert_allclose(vector[0], mean / np.linalg.norm(mean), rtol=1e-5)
    near, far = Sentence().extract(["A good movie.", "The tax form is due in May."])
    assert vector[0] @ near[0] > vector[0] @ far[0] + 0.2


def test_an_image_vector_is_the_mean_of_its_places() -> None:
    image = np.random.default_rng(1).integers(0, 256, (50, 40, 3), dtype=np.uint8)
    places = ImageVector(places=True).extract([image])[0]
    assert places.shape == (49, 1280)
    np.testing.assert_allclose(ImageVector().extract([image])[0][0], places.mean(axis=0), atol=1e-5)
    with torch.no_grad():
        maps = features_of(load_image_model().eval(), as_input(torch.from_numpy(resized(image, SIDE))[None]))
    np.testing.assert_allclose(places[8], maps[0, :, 1, 1].numpy(), atol=1e-4)


def test_log_mel_finds_a_tone_in_its_band_and_a_step_in_time() -> None:
    time = np.arange(16000) / 16000
    low, high = (np.sin(2 * np.pi * tone * time).astype(np.float32) for tone in (300, 3000))
    bands = [LogMel().extract([Sound(tone, 16000)])[0].mean(axis=0).argmax() for tone in (low, high)]
    assert bands[0] + 20 < bands[1]
    late = LogMel().extract([Sound(np.concatenate([np.zeros(16000, np.float32), low]), 16000)])[0]
    assert late.shape == (51, 64)
    assert late[:20].max() < -5.9 < 0 < late[30:].max()


def test_frames_follow_the_clock(tmp_path: Path) -> None:
    frames = build("extractors", "frames", per_second=2.0).extract([write_clip(tmp_path / "clip.mp4", seconds=2.0)])[0]
    assert frames.shape == (4, 1280)
    assert np.abs(np.diff(frames, axis=0)).max(axis=1).min() > 0.01


@pytest.mark.parametrize("ending", [".wav", ".flac", ".ogg"])
def test_stereo_files_become_one_channel(ending: str, tmp_path: Path) -> None:
    import soundfile

    left = np.linspace(-0.5, 0.5, 4800, dtype=np.float64)
    soundfile.write(tmp_path / f"a{ending}", np.stack([left, left], axis=1), 48000)
    sound = decode("audio", tmp_path / f"a{ending}")
    assert sound.rate == 48000
    np.testing.assert_allclose(sound.samples, left, atol=0.05 if ending == ".ogg" else 1e-4)


def test_files_that_are_not_what_they_say_are_broken_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import soundfile
    from PIL import Image

    (tmp_path / "a.png").write_bytes(b"GIF89a, or so it says")
    (tmp_path / "a.wav").write_bytes(b"RIFF\0\0\0\0WAVE")
    (tmp_path / "a.mp4").write_bytes(b"\0" * 400)
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 8000)
    for kind, name in (("image", "a.png"), ("audio", "a.wav"), ("audio", "a.mp4"), ("audio", "none.wav")):
        with pytest.raises(SampleError):
            decode(kind, tmp_path / name)  # type: ignore[arg-type]
    with pytest.raises(SampleError, match="not a readable video"):
        build("extractors", "frames").extract([tmp_path / "a.mp4"])
    with pytest.raises(SampleError, match="no sound"):
        decode("audio", write_clip(tmp_path / "clip.mp4", seconds=2.0))
    monkeypatch.setattr("deconfound.extraction.decode.MOST_PIXELS", 100)
    Image.new("RGB", (20, 20)).save(tmp_path / "bomb.png")
    with pytest.raises(SampleError, match=r"has 20×20 pixels; at most 100"):
        decode("image", tmp_path / "bomb.png")


def test_times_are_those_of_the_steps(tmp_path: Path) -> None:
    sound = Sound(np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32), 16000)
    for name in ("log-mel", "mfcc", "pitch"):
        plain, timed = (build("extractors", name, times=times).extract([sound])[0] for times in (False, True))
        np.testing.assert_array_equal(timed[:, :-1], plain)
        np.testing.assert_allclose(timed[:, -1], np.arange(26) / 25, atol=1e-6)
    clip = write_clip(tmp_path / "clip.mp4", seconds=2.0)
    frames = build("extractors", "frames", times=True, per_second=4.0).extract([clip])[0]
    np.testing.assert_allclose(frames[:, -1], np.ceil(np.arange(8) / 4 * 10) / 10, atol=1e-3)  # of 10 frames a second


def voice(*parts: tuple[float, float]) -> Sound:
    """Stretches of (seconds, Hz), 0 Hz for a pause, with faint noise."""
    tones = [0.3 * np.sin(2 * np.pi * tone * np.arange(round(16000 * seconds)) / 16000) for seconds, tone in parts]
    samples = np.concatenate(tones)
    return Sound((samples + np.random.default_rng(0).normal(0, 1e-4, len(samples))).astype(np.float32), 16000)


def test_pitch_is_found_where_there_is_a_voice() -> None:
    track = build("extractors", "pitch").extract([voice((1.0, 220.0), (1.0, 0.0), (1.0, 110.0))])[0]
    assert track.shape == (76, 3)
    np.testing.assert_allclose(track[3:22, 0], 24, atol=0.3)
    np.testing.assert_allclose(track[53:72, 0], 12, atol=0.3)
    assert track[30:45, 2].max() < 0.3 < 0.6 < track[53:72, 2].min()
    quiet = build("extractors", "pitch").extract([Sound(np.zeros(16000, np.float32), 16000)])[0]
    assert (quiet[:, :2] == 0).all()
    with pytest.raises(SpecError, match="less than an octave"):
        build("extractors", "pitch", lowest=300.0)


def test_stretches_of_sound_are_found_joined_and_measured() -> None:
    sound = voice((0.5, 0), (1.0, 300.0), (0.1, 0), (0.5, 300.0), (1.0, 0), (0.05, 300.0), (0.5, 0), (0.4, 2000.0))
    low, high = build("extractors", "speech-segments").extract([sound])[0]
    np.testing.assert_allclose(low[-2:], [0.5, 1.6], atol=0.06)
    np.testing.assert_allclose(high[-2:], [3.65, 0.4], atol=0.06)
    assert low[:64].argmax() + 15 < high[:64].argmax()


def test_a_recording_of_silence_has_no_stretch_and_is_absent() -> None:
    silence, speech = voice((1.0, 0)), voice((0.3, 0), (1.0, 200.0))
    column = RawColumn("audio", [(s.samples, s.rate) for s in (silence, speech)], None, {"name": "speech-segments"})
    signal, note = prepare(column, "voice", ids=["a", "b"])
    assert signal.present.tolist() == [False, True]
    assert note["broken_rows"] == 0
    alone = RawColumn("audio", [(silence.samples, silence.rate)])
    assert prepare_again(alone, note, "voice", ["a"]).present.tolist() == [False]


@pytest.mark.skipif(find_spec("silero_vad") is None, reason="the extra 'speech' is not installed")
def test_speech_is_told_from_other_sound(tmp_path: Path) -> None:
    espeak = shutil.which("espeak-ng")
    if espeak is None:
        pytest.skip("there is no espeak-ng, which speaks the sample")
    subprocess.run([espeak, "-w", str(tmp_path / "a.wav"), "this is a sentence about nothing at all"], check=True)
    spoken = decode("audio", tmp_path / "a.wav")
    noise = np.random.default_rng(0).normal(0, 0.05, 2 * spoken.rate).astype(np.float32)
    sound = Sound(np.concatenate([noise, spoken.samples]), spoken.rate)
    segments = build("extractors", "speech-segments", detector="silero").extract([sound])[0]
    assert 1.8 < segments[0, -2] < 2.4
    assert build("extractors", "speech-segments").extract([sound])[0][0, -2] < 0.2


def test_egemaps_shows_its_licence_first(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match=r"for research, teaching and private use only.* set accept_licence = true"):
        prepare(RawColumn("audio", [], None, {"name": "egemaps"}), "voice", ids=[])
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(DataError, match=r"needs the package opensmile; pip install 'deconfound\[egemaps\]'"):
        build("extractors", "egemaps", accept_licence=True).model()
