"""Kinds are inferred from the samples, contents are told apart, and paths stay in their folder."""

from pathlib import Path

import numpy as np
import pytest

from deconfound.errors import DataError
from deconfound.extraction.raw import RawColumn, SampleError, content_key, kind_of


@pytest.mark.parametrize(
    ("samples", "kind"),
    [
        (["a.JPG", None, "b/c.png"], "image"),
        (["a.wav", "b.mp3"], "audio"),
        (["a.mp4"], "video"),
        (["I saw a.jpg of it. Nice.", "no", "yes", "see b.png"], "text"),
        (["12", "7"], "text"),
    ],
)
def test_the_kind_follows_from_the_endings(samples: list[str | None], kind: str) -> None:
    assert kind_of(samples, "posts.csv: 'x'") == kind


def test_a_column_of_several_kinds_or_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match=r"mixes kinds \(2 image, 1 audio\); name one"):
        kind_of(["a.jpg", "b.wav", "c.png"], "posts.csv: 'x'")
    with pytest.raises(DataError, match="no row has a value; name the kind"):
        kind_of([None, None], "posts.csv: 'x'")


def test_equal_contents_have_equal_keys(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"same")
    (tmp_path / "b.png").write_bytes(b"same")
    keys = [content_key(tmp_path / name) for name in ("a.png", "b.png")]
    assert keys[0] == keys[1] != content_key("same text")
    assert content_key(np.zeros((2, 3), np.uint8)) != content_key(np.zeros((3, 2), np.uint8))
    assert content_key((np.zeros(4, np.float32), 8000)) != content_key((np.zeros(4, np.float32), 16000))
    assert len(content_key("\ud800 a lone surrogate")) == 32
    with pytest.raises(SampleError, match="no such file"):
        content_key(tmp_path / "none.png")


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../b.png", "nul\0.png"])
def test_a_path_outside_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="points outside"):
        RawColumn("image", [name], tmp_path).source(0)


def test_a_link_out_of_the_folder_is_refused_and_a_loop_is_a_broken_sample(tmp_path: Path) -> None:
    folder = tmp_path / "posts"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(b"x")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match="is a link that leads out"):
        RawColumn("image", ["link.png"], folder).source(0)
    (folder / "loop.png").symlink_to(folder / "loop.png")
    with pytest.raises(SampleError):
        content_key(RawColumn("image", ["loop.png"], folder).source(0))
