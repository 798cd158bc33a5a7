"""More objects than a source shows: they are followed as real ones are, and what becomes of them is thrown away."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from engines.crops import F32
from engines.work import Call
from stream.patch import Bool, Window
from stream.sam import Seen, Segments


class Crowded:
    """A segmenter in which each feed's thread has `objects` besides its own, in a grid over its first frame. A feed's
    are let go of with its thread's next first frame."""

    def __init__(self, segmenter: Segments, objects: int) -> None:
        self._segmenter, self._objects = segmenter, objects
        self._mine = threading.local()
        self.name, self.backend, self.sha256 = segmenter.name, segmenter.backend, segmenter.sha256
        self.quick = segmenter.quick

    @property
    def free(self) -> int:
        return self._segmenter.free

    def taking_part(self) -> AbstractContextManager[None]:
        return self._segmenter.taking_part()

    def look(self, picture: Any, full: tuple[int, int] | None = None) -> Any:
        frame = self._segmenter.look(picture, full)
        if not hasattr(self._mine, "slots"):
            masks = grid(self._objects, (int(picture.shape[0]), int(picture.shape[1])))
            self._mine.slots = [self._segmenter.begin(frame, mask) for mask in masks]
            self._mine.new = True
        else:
            self._mine.new = False
        return frame

    def outlines(self, frame: Any, boxes: Sequence[F32], within: Sequence[Window]) -> Sequence[Seen]:
        return self._segmenter.outlines(frame, boxes, within)

    def begin(self, frame: Any, mask: Bool) -> int:
        return self._segmenter.begin(frame, mask)

    def follow(self, frame: Any, slots: Sequence[int]) -> Sequence[Seen]:
        besides = [] if self._mine.new else self._mine.slots
        return self._segmenter.follow(frame, [*slots, *besides])[: len(slots)]

    def forget(self, slots: Sequence[int]) -> None:
        self._segmenter.forget(slots)

    def calls(self) -> list[Call]:
        return self._segmenter.calls()


def grid(count: int, size: tuple[int, int]) -> list[Bool]:
    """Masks [H, W] of `count` discs in a grid over a frame of `size` (H, W)."""
    h, w = size
    columns = int(np.ceil(np.sqrt(count)))
    ys, xs = np.mgrid[:h, :w]
    radius = min(h, w) / (3 * columns)
    places = [((i % columns + 0.5) / columns * w, (i // columns + 0.5) / columns * h) for i in range(count)]
    return [(xs - x) ** 2 + (ys - y) ** 2 <= radius**2 for x, y in places]
