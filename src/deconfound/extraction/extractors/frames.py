"""`frames`: frames of a video at equal distances, each as the vector of a frozen EfficientNet-Lite0."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from deconfound.extraction.decode import needs, opened
from deconfound.extraction.extractor import Extractor
from deconfound.extraction.image_features import image_maps
from deconfound.extraction.image_model import PACKAGED, image_model_checksum
from deconfound.extraction.raw import SampleError


class Frames(Extractor):
    """(T, 1280) float32, the frame at t / `per_second` seconds at step t; with `times` 1281."""

    kind = "video"
    batch = 1

    def __init__(
        self,
        *,
        per_second: Annotated[float, Field(gt=0, le=60, description="frames per second that are read")] = 2.0,
        most_seconds: Annotated[float, Field(gt=0, le=3600, description="seconds that are read")] = 20.0,
        times: Annotated[
            bool, Field(description="a last column with the seconds at which each frame is shown")
        ] = False,
    ) -> None:
        self.times = times
        self.per_second, self.most_seconds = per_second, most_seconds

    def model(self) -> dict[str, str]:
        return {"model": PACKAGED, "sha256": image_model_checksum()}

    def extract(self, samples: Sequence[Any]) -> list[np.ndarray]:
        return [self._vectors(video) for video in samples]

    def _vectors(self, video: Path | bytes) -> np.ndarray:
        images, seconds = self._images(video)
        maps = [image_maps(images[start : start + 16]).mean(dim=(2, 3)) for start in range(0, len(images), 16)]
        vectors = np.concatenate([part.numpy() for part in maps])
        return np.concatenate([vectors, seconds[:, None]], axis=1) if self.times else vectors

    def _images(self, video: Path | bytes) -> tuple[list[np.ndarray], np.ndarray]:
        """T frames (H, W, 3), and (T,) float32 the seconds at which they are shown."""
        try:
            import av
        except ImportError as error:
            raise needs("av", "video") from error
        images: list[np.ndarray] = []
        times: list[float] = []
        try:
            with av.open(opened(video), "r") as file:
                if not file.streams.video:
                    raise SampleError("has no pictures")
                for number, frame in enumerate(file.decode(video=0)):
                    seconds = (
                        frame.time
                        if frame.time is not None
                        else number / float(file.streams.video[0].average_rate or 25)
                    )
                    if seconds > self.most_seconds:
                        break
                    if seconds + 1e-6 >= len(images) / self.per_second:
                        images.append(frame.to_ndarray(format="rgb24"))
                        times.append(seconds)
        except SampleError:
            raise
        except Exception as error:  # FFmpeg raises errors of many types
            raise SampleError(f"is not a readable video ({str(error)[:120]})") from error
        if not images:
            raise SampleError("has no pictures")
        return images, np.array(times, dtype=np.float32)
