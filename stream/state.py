"""All a worker knows of one feed, and its bytes: it travels in `video.state` inside the transaction of its events."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
import numpy as np

from stream.ask import AskState
from stream.background import BackgroundState
from stream.lookback import Past
from stream.pressure import Pressure, Skipped
from stream.refer import ReferState
from stream.scan import ScanState
from stream.transcribe import TranscribeState
from stream.view import FollowState

VERSION = 6


class RecentChunk(msgspec.Struct, frozen=True):
    """Where a chunk that the look-back still reaches lies in the log."""

    seq: int
    offset: int
    end_us: int
    every: int = 1
    """Every how many-th of its frames was followed."""


class FeedState(msgspec.Struct):
    """The feed's state after message `seq`. The look-back's images are not saved but decoded again from `recent`."""

    feed: str
    seq: int = -1
    offset: int = -1
    """Where message `seq` lies in the log."""
    started: bool = False
    rejected: int = 0
    """Messages under this feed's key that could not be read at all."""
    unread_queries: dict[str, int] = msgspec.field(default_factory=dict)
    """Queries that could not be read, by key: crc32 of the value that was told of."""
    pressure: Pressure = msgspec.field(default_factory=Pressure)
    skipped: Skipped | None = None
    last_us: int = -1
    size: tuple[int, int] = (0, 0)
    """(H, W) of the working frame."""
    scale: float = 1.0
    """Pixels of the feed's frame in one of the working frame."""
    recent: list[RecentChunk] = msgspec.field(default_factory=list)
    past_from_us: int = -1
    """First frame the look-back holds: earlier ones belong to another shot."""
    past: Past = msgspec.field(default_factory=Past)
    scan: ScanState = msgspec.field(default_factory=ScanState)
    background: BackgroundState = msgspec.field(default_factory=BackgroundState)
    follow: FollowState = msgspec.field(default_factory=FollowState)
    refer: ReferState = msgspec.field(default_factory=ReferState)
    ask: AskState = msgspec.field(default_factory=AskState)
    transcribe: TranscribeState = msgspec.field(default_factory=TranscribeState)


def _to_plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [value.dtype.str, list(value.shape), np.ascontiguousarray(value).tobytes()]
    raise TypeError(f"no state may hold a {type(value)}")


def _from_plain(kind: type, value: Any) -> Any:
    if kind is np.ndarray:
        dtype, shape, data = value
        return np.frombuffer(data, np.dtype(dtype)).reshape(shape).copy()
    raise TypeError(f"no state may hold a {kind}")


class Kept(msgspec.Struct, frozen=True):
    """What survives a change of `VERSION`: the feed goes on where it was, and no number is given out twice."""

    seq: int
    rejected: int
    next_id: int
    segment: int


def snapshot(state: FeedState) -> bytes:
    """The state as bytes; `restore` gives an equal one, but for the images of the last frames."""
    images, times, last = state.past.images, state.past.times, state.scan.image
    state.past_from_us = times[0] if times else -1
    state.past.images, state.past.times, state.scan.image = [], [], None
    kept = Kept(state.seq, state.rejected, state.follow.next_id, state.scan.clip.segment)
    try:
        plain = msgspec.msgpack.encode([VERSION, kept, state], enc_hook=_to_plain)
    finally:
        state.past.images, state.past.times, state.scan.image = images, times, last
    return zlib.compress(plain, 1)


def restore(data: bytes) -> FeedState:
    """The state of `snapshot`'s bytes. Those of another version give a state that has only gone on counting.

    Raises ValueError where they are damaged.
    """
    try:
        version, kept, body = msgspec.msgpack.decode(zlib.decompress(data), type=tuple[int, Kept, msgspec.Raw])
        if version == VERSION:
            return msgspec.msgpack.decode(body, type=FeedState, dec_hook=_from_plain)
        feed = msgspec.msgpack.decode(body, type=_Named).feed
    except (zlib.error, msgspec.MsgspecError) as e:
        raise ValueError(f"the feed's saved state does not read: {e}") from None
    state = FeedState(feed, seq=kept.seq, rejected=kept.rejected)
    state.follow.next_id, state.scan.clip.segment = kept.next_id, kept.segment
    return state


class _Named(msgspec.Struct):
    feed: str
