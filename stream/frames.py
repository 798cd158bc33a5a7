"""Decoded frames: pixels and presentation times travel together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stream.chunk import Chunk

U8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Frames:
    """A batch of T frames of one size.

    pixels: [T, H, W, 3] uint8, RGB, upright (display rotation applied); a NumPy array on the host or a
        `torch.Tensor` on the device that decoded it. `host()` gives NumPy either way.
    pts_us: [T] int64, strictly increasing, microseconds of the feed's own presentation time.
    """

    pixels: Any
    pts_us: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.shape[3] != 3 or len(self.pixels) != len(self.pts_us):
            raise ValueError(f"frames want [T, H, W, 3] and T times, got {self.pixels.shape} and {len(self.pts_us)}")

    def __len__(self) -> int:
        return len(self.pts_us)

    def host(self) -> U8:
        """The pixels as a NumPy array [T, H, W, 3] uint8 (a copy only where they lie on a device)."""
        if isinstance(self.pixels, np.ndarray):
            return self.pixels
        return self.pixels.cpu().numpy()  # type: ignore[no-any-return]


class Decoder(Protocol):
    """Decodes one self-contained chunk. Raises `stream.decode.CorruptChunkError` where it is no good video."""

    name: str

    def decode(self, chunk: Chunk) -> Iterator[Frames]:
        """Yield the chunk's frames in presentation order, in batches of at most a few frames."""
        ...
