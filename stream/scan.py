"""The first half of every frame: what needs nothing of the entities. It runs ahead of the second in its own thread.

Cuts, optical flow, motion, and the detector where it is due. A chunk's scan may begin before the chunk in front of it
was followed to its end (`Scanning.follow_on`): every scan works on a state of its own, and whoever changes the feed's
meanwhile simply has it begun anew.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np

from engines.crops import U8, shrink
from engines.detections import Detections, Detector
from kernels.preprocess import smaller
from stream import detect, motion
from stream.clip import Clipper, ClipState
from stream.closeup import CloseUp, CloseUpState
from stream.events import Body
from stream.flow import Flow, flow_image, small_image
from stream.frames import Frames
from stream.prefetch import Prefetch
from stream.pressure import SLOWER_LOOKS
from stream.region import Polygon
from stream.stopwatch import Stopwatch

WORK_SIDE = 1280
"""Longer side in pixels of the working frame: larger frames are followed at this size, their masks scaled back."""

AHEAD = 4
"""Frames by which the first half may run ahead of the second."""


@dataclass(frozen=True, slots=True)
class Scan:
    """One frame after the first half: the working frame, its small and grey images, and what was found.

    full: (H, W) of the feed's frame, `scale` of whose pixels are one of the working frame's. rgb: the working frame;
    picture: the same on the device that decoded it, None where that is host memory.
    """

    full: tuple[int, int]
    rgb: U8
    picture: Any
    scale: float
    small: U8
    image: U8
    pts_us: int
    step_us: int
    flow: Flow | None
    cut: bool
    found: Detections | None
    segment: int
    events: list[Body]


class ScanState(msgspec.Struct):
    """What the first half knows of a feed. image: the last frame's `flow_image`; it is not saved."""

    clip: ClipState = msgspec.field(default_factory=ClipState)
    motion: motion.MotionState = msgspec.field(default_factory=motion.MotionState)
    close_up: CloseUpState = msgspec.field(default_factory=CloseUpState)
    image: np.ndarray | None = None
    detected_us: int = -1
    last_us: int = -1
    step_us: int = 33_333
    size: tuple[int, int] = (0, 0)
    """(H, W) of the working frame."""
    masks: list[Polygon] = msgspec.field(default_factory=list)
    """Regions outside of which nothing is detected; none: the whole frame."""
    level: int = 0
    """How much work is saved (`pressure`): from 1 on fewer looks of the detector, from 2 on half the frames."""
    dropped: int = 0
    """Frames of the last chunk that were left out."""

    @property
    def every(self) -> int:
        """Every how many-th frame of a chunk is followed."""
        return 2 if self.level >= 2 else 1


class Scanner:
    """Scans chunks; holds the stages and the detector, and nothing of any feed."""

    def __init__(
        self,
        detector: Detector | None,
        *,
        detect_every_us: int,
        asked: Sequence[str] = (),
        stopwatch: Callable[[], Stopwatch] = Stopwatch,
    ) -> None:
        self._every_us = detect_every_us
        self.stopwatch = stopwatch
        self._clip, self._motion = Clipper(), motion.MotionDetector()
        self._detect = detect.Detect(detector, asked=asked)
        self._close_up = CloseUp(self._detect)

    def begin(self, state: ScanState, frames: Iterable[Frames]) -> Scanning:
        """Scan a chunk's frames from `state` on, which stays as it is. What `frames` raise comes out of the scan."""
        return Scanning(self, state, frames)

    def close(self, state: ScanState, end_us: int, reason: str) -> list[Body]:
        """The feed ends or pauses at `end_us`: close the open segment, and begin afresh after it."""
        events = self._clip.close(state.clip, end_us, "end" if reason == "end" else "gap")
        state.motion.energy = state.image = None
        state.close_up = CloseUpState()
        state.detected_us = state.last_us = -1
        return events

    def frames(self, state: ScanState, frames: Iterable[Frames], watch: Stopwatch) -> Iterator[Scan]:
        every_us = self._every_us * (SLOWER_LOOKS if state.level else 1)
        state.dropped = 0
        for n, (full, pts_us) in enumerate(_timed(frames, watch)):
            if n % state.every:
                state.dropped += 1
                continue
            frame = working_frame(full)
            rgb = frame.rgb
            size = (int(rgb.shape[0]), int(rgb.shape[1]))
            with watch("clip"):
                small = small_image(rgb)
                cut, events = self._clip.step(state.clip, small, pts_us)
                cut = cut or state.size not in ((0, 0), size)
                blank, was_blank = state.clip.cuts.blank, state.image is None
            with watch("flow"):
                image = flow_image(small)
                if state.last_us >= 0:
                    state.step_us = max(1, pts_us - state.last_us)
                # Nobody is in sight in a blank frame, and none is carried through it: the detector finds them again.
                flow = Flow(image, state.image, size) if state.image is not None and not (cut or blank) else None
            with watch("motion"):
                self._motion.step(state.motion, flow, state.step_us)
            found = None
            if not blank and (cut or was_blank or detect.is_due(pts_us, state.detected_us, every_us)):
                with watch("detect"):
                    moving = self._motion.detect(state.motion, size)
                    found = motion.corroborate(self._detect.look(rgb, frame.picture), moving)
                    found = detect.merge(self._close_up.step(state.close_up, rgb, found, moving), moving)
                    found = detect.within(found, state.masks, size)
                    state.detected_us = pts_us
            state.image, state.last_us, state.size = None if blank else image, pts_us, size
            segment = state.clip.segment
            whole = (int(full.shape[0]), int(full.shape[1]))
            yield Scan(
                whole, rgb, frame.picture, frame.scale, small, image, pts_us, state.step_us, flow, cut, found, segment,
                events,
            )  # fmt: skip


class Scanning:
    """A chunk being scanned: iterate it for its frames. `close` it where it is not read to the end.

    begun_from: the state it began with. state: the state after it, once it was read to the end.
    """

    def __init__(self, scanner: Scanner, begun_from: ScanState, frames: Iterable[Frames]) -> None:
        self.begun_from, self.state = begun_from, copy.deepcopy(begun_from)
        self.watch = scanner.stopwatch()
        self._scanner = scanner
        self._lock = threading.Lock()
        self._done = False
        self._then: Iterable[Frames] | None = None
        self._next: Scanning | None = None
        self._scans = Prefetch(self._run(frames), depth=AHEAD)

    def __iter__(self) -> Iterator[Scan]:
        return iter(self._scans)

    def follow_on(self, frames: Iterable[Frames]) -> None:
        """When this chunk is scanned, go on with the frames of the next one of its feed."""
        with self._lock:
            self._then = frames
            self._go_on()

    def take_next(self) -> Scanning | None:
        """The scan of the next chunk, if one has begun; it is the caller's then."""
        with self._lock:
            taken, self._next, self._then = self._next, None, None
            return taken

    def close(self) -> None:
        self._scans.close()

    def _run(self, frames: Iterable[Frames]) -> Iterator[Scan]:
        yield from self._scanner.frames(self.state, frames, self.watch)
        with self._lock:
            self._done = True
            self._go_on()

    def _go_on(self) -> None:
        if self._done and self._then is not None:
            self._next, self._then = Scanning(self._scanner, self.state, self._then), None


def _timed(batches: Iterable[Frames], watch: Stopwatch) -> Iterator[tuple[Any, int]]:
    """Frames one by one, where they were decoded; the time spent waiting for the decoder is stage `decode`."""
    source = iter(batches)
    while True:
        with watch("decode"):
            frames = next(source, None)
        if frames is None:
            return
        yield from zip(frames.pixels, frames.pts_us.tolist(), strict=True)


class WorkingFrame(NamedTuple):
    """rgb: [H, W, 3] uint8 in host memory. picture: the same on the device that decoded it, None where none did.
    scale: pixels of the full frame in one of its own."""

    rgb: U8
    picture: Any
    scale: float


def working_frame(full: Any) -> WorkingFrame:
    """The working frame of a full one [H, W, 3] uint8: a NumPy array, or a `torch.Tensor`, which is made smaller where
    it lies, so that no more than is worked on crosses to host memory."""
    h, w = (int(n) for n in full.shape[:2])
    k = min(1.0, WORK_SIDE / max(h, w))
    size = (round(w * k), round(h * k))
    if isinstance(full, np.ndarray):
        return WorkingFrame(full if k == 1 else shrink(full, size), None, 1 / k)
    picture = full if k == 1 else smaller(full, size)
    return WorkingFrame(picture.cpu().numpy(), picture, 1 / k)
