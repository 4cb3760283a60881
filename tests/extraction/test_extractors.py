"""Every extractor: finite arrays of one width, the same for the same sample, and none of the neighbours in a batch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deconfound.extraction.decode import Sound, decode
from deconfound.extraction.extractor import DEFAULTS, Extractor
from deconfound.extraction.extractors.image_vector import ImageVector
from deconfound.extraction.extractors.log_mel import LogMel
from deconfound.extraction.extractors.sentence import Sentence
from deconfound.extraction.extractors.token_vectors import TokenVectors
from deconfound.extraction.image_model import SIDE, as_input, features_of, load_image_model, resized
from deconfound.extraction.raw import SampleError
from deconfound.registry import build, get_class, names


def video(folder: Path, seconds: float = 2.0, rate: int = 10) -> Path:
    """A video whose picture brightens with time."""
    import av

    path = folder / "clip.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(int(seconds * rate)):
            picture = np.full((48, 64, 3), min(255, 10 * number), np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                file.mux(packet)
        for packet in stream.encode():
            file.mux(packet)
    return path


def samples(kind: str, folder: Path) -> list[Any]:
    generator = np.random.default_rng(0)
    if kind == "text":
        return ["A fine film.", "", "Nothing in it works, and the end is worse than that, if there is one at all."]
    if kind == "image":
        return [generator.integers(0, 256, (height, 40, 3), dtype=np.uint8) for height in (20, 60)]
    if kind == "audio":
        return [
            Sound(generator.normal(0, 0.1, size).astype(np.float32), rate) for size, rate in ((9000, 8000), (5, 16000))
        ]
    return [video(folder)]


@pytest.mark.parametrize("name", names("extractors"))
def test_an_extractor_keeps_its_promises(name: str, tmp_path: Path) -> None:
    extractor: Extractor = build("extractors", name)
    given = samples(extractor.kind, tmp_path)
    together = extractor.extract(given)
    widths = {array.shape[1:] for array in together}
    assert len(together) == len(given)
    assert len(widths) == 1
    for sample, array in zip(given, together, strict=True):
        assert array.dtype in (np.float32, np.int64)
        assert len(array) >= 1
        assert np.isfinite(array).all()
        np.testing.assert_allclose(extractor.extract([sample])[0], array, atol=2e-5 * max(1, np.abs(array).max()))


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
    frames = build("extractors", "frames", per_second=2.0).extract([video(tmp_path)])[0]
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
        decode("audio", video(tmp_path))
    monkeypatch.setattr("deconfound.extraction.decode.MOST_PIXELS", 100)
    Image.new("RGB", (20, 20)).save(tmp_path / "bomb.png")
    with pytest.raises(SampleError, match=r"has 20×20 pixels; at most 100"):
        decode("image", tmp_path / "bomb.png")
