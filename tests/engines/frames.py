"""Single frames of the real clips, and networks by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import av
import numpy as np

from engines.backends import F32, Session
from engines.backends.litert import LiteRtSession
from engines.backends.ort import OrtSession
from engines.catalogue import find
from engines.crops import U8
from engines.store import Store
from tests.media import samples
from tests.running import model_folder

GIRL, BOY = (316, 8, 514, 399), (164, 129, 316, 406)
"""In the first frame of bedroom.mp4, by eye."""


@cache
def frame(clip: str, number: int) -> U8:
    with av.open(samples() / clip) as container:
        for i, picture in enumerate(container.decode(video=0)):
            if i == number:
                return picture.to_ndarray(format="rgb24")
    raise AssertionError(f"{clip} has no frame {number}")


def session(name: str) -> Session:
    path = Store(Path("/nowhere"), model_folder()).locate(find(name))
    assert path is not None, name
    return LiteRtSession(path) if path.suffix == ".tflite" else OrtSession(path)


class Fake:
    """A session that keeps its input and gives the outputs it was made with."""

    backend = "fake"

    def __init__(self, *outputs: F32) -> None:
        self.outputs = tuple(np.asarray(o, np.float32) for o in outputs)
        self.seen: F32 = np.zeros(0, np.float32)

    def run(self, x: F32) -> tuple[F32, ...]:
        self.seen = x
        return self.outputs
