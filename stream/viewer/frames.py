"""Chunks as JPEGs of a working size, each with its time; decoded once for all viewers, and not at a viewer's pace.

What is held is bounded: two chunks are decoded at a time, `MAX_WAITING` more may wait, and finished ones are kept up to
`KEPT_BYTES` together, the least used going first. A viewer that reads slowly holds on to one chunk's JPEGs, no more.
"""

from __future__ import annotations

import struct
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np

from engines.crops import U8
from stream.chunk import Chunk
from stream.cutout import cut_out
from stream.decode.pyav import PyAVDecoder
from stream.events import MaskletFrame
from stream.viewer.chunks import LostChunkError

SIDES = (320, 640, 960)
"""Longer sides that may be asked for, pixels; frames are never enlarged."""
DECODES, MAX_WAITING = 2, 16
KEPT_BYTES = 128 << 20
MAX_CHUNK_BYTES = 32 << 20
"""JPEGs of one chunk; what comes after is left out. A chunk of 10 s at 30 frames a second is 20 MB."""
MAX_PICTURES = 512
"""Cut-outs of entities kept, some 10 KB each."""
_QUALITY = 80
_HEAD = struct.Struct("<Iq")


class BusyError(RuntimeError):
    """Too much waits to be decoded: ask again later."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """first: the chunk's first frame only, for a tile of the wall."""

    feed: str
    seq: int
    side: int
    first: bool = False


@dataclass(slots=True)
class Shown:
    """The JPEGs of a chunk, growing until it is done. parts: each is its length and pts_us (little-endian uint32 and
    int64), then the JPEG. trouble: why there are no more."""

    parts: list[bytes] = field(default_factory=list)
    bytes: int = 0
    done: bool = False
    trouble: str = ""


class FrameStore:
    """May be shared by threads. `find` gives a chunk of the log and raises LostChunkError."""

    def __init__(self, find: Callable[[str, int], Chunk]) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(DECODES, thread_name_prefix="view-decode")
        self._kept: OrderedDict[Wanted, Shown] = OrderedDict()
        self._pictures: OrderedDict[tuple[str, int, MaskletFrame], bytes] = OrderedDict()
        self._waiting = 0

    def shown(self, wanted: Wanted) -> Shown:
        """The chunk's JPEGs, their decoding begun where it was not yet. Raises BusyError."""
        with self._lock:
            shown = self._kept.get(wanted)
            if shown is not None and not shown.trouble:
                self._kept.move_to_end(wanted)
                return shown
            self._wait()
            shown = self._kept[wanted] = Shown()
            self._kept.move_to_end(wanted)
        self._pool.submit(self._show, wanted, shown)
        return shown

    def picture(self, feed: str, seq: int, frame: MaskletFrame) -> bytes:
        """An entity cut out of a frame of a chunk: PNG. Raises LostChunkError, CorruptChunkError and BusyError.

        Decodes up to the frame; whoever calls has a thread to spare.
        """
        key = (feed, seq, frame)
        with self._lock:
            if key in self._pictures:
                self._pictures.move_to_end(key)
                return self._pictures[key]
            self._wait()
        try:
            picture = self._pool.submit(self._cut, feed, seq, frame).result()
        finally:
            with self._lock:
                self._waiting -= 1
        with self._lock:
            self._pictures[key] = picture
            while len(self._pictures) > MAX_PICTURES:
                self._pictures.popitem(last=False)
        return picture

    def _wait(self) -> None:
        """One more waits to be decoded. To be called with the lock; raises BusyError."""
        if self._waiting >= DECODES + MAX_WAITING:
            raise BusyError(f"{self._waiting} chunks are being decoded")
        self._waiting += 1

    def held_bytes(self) -> int:
        with self._lock:
            return sum(s.bytes for s in self._kept.values())

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _cut(self, feed: str, seq: int, frame: MaskletFrame) -> bytes:
        for frames in PyAVDecoder(batch=4, threads=1).decode(self._find(feed, seq)):
            for rgb, pts_us in zip(frames.host(), frames.pts_us.tolist(), strict=True):
                if pts_us == frame.pts_us:
                    return cut_out(rgb, frame, side=160)
        raise LostChunkError(f"chunk {seq} of {feed} has no frame at {frame.pts_us} us")

    def _show(self, wanted: Wanted, shown: Shown) -> None:
        try:
            chunk = self._find(wanted.feed, wanted.seq)
            for frames in PyAVDecoder(batch=1 if wanted.first else 4, threads=1).decode(chunk):
                for rgb, pts_us in zip(frames.host(), frames.pts_us.tolist(), strict=True):
                    jpeg = _jpeg(rgb, wanted.side)
                    shown.parts.append(_HEAD.pack(len(jpeg), pts_us) + jpeg)
                    shown.bytes += len(jpeg) + _HEAD.size
                if wanted.first or shown.bytes > MAX_CHUNK_BYTES:
                    break
        except Exception as e:  # a reader waits for `done`, whatever happened
            shown.trouble = str(e) or type(e).__name__
        finally:
            with self._lock:
                shown.done = True
                self._waiting -= 1
                held = sum(s.bytes for s in self._kept.values())
                for old in [w for w, s in self._kept.items() if s.done and w != wanted]:
                    if held <= KEPT_BYTES:
                        break
                    held -= self._kept.pop(old).bytes


def _jpeg(rgb: U8, side: int) -> bytes:
    h, w = rgb.shape[:2]
    k = min(1.0, side / max(h, w))
    if k < 1:
        rgb = cv2.resize(rgb, (max(1, round(w * k)), max(1, round(h * k))), interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", np.ascontiguousarray(rgb[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1])
