"""A source recorded once, and played again and again as any number of feeds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Timer

import msgspec

from engines.errors import UserError
from producers.produce import produce
from producers.sources import open_sources
from stream.chunk import ChunkHeader, Policy, decode_header, encode_header
from stream.log import CHUNKS, Message
from stream.log.sqlite import SqliteLog

CHUNK_S = 2.0
"""Longest GOP that is kept: a camera's, whatever the source's."""


@dataclass(frozen=True, slots=True)
class Tape:
    """Chunks of a source: headers with their values, and how long one lap of them is."""

    name: str
    chunks: tuple[tuple[ChunkHeader, bytes], ...]
    lap_us: int

    @property
    def frames(self) -> int:
        return sum(header.frames for header, _ in self.chunks)

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.frames / (self.lap_us / 1e6)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as coded."""
        return self.chunks[0][0].width, self.chunks[0][0].height

    def duration_us(self, seq: int) -> int:
        """How long chunk `seq` of a feed is."""
        return self.chunks[seq % len(self.chunks)][0].duration_us

    def message(self, feed: str, seq: int, *, policy: Policy = "block", captured_wall_us: int | None = None) -> Message:
        """Chunk `seq` of a feed that plays the tape without end."""
        lap, index = divmod(seq, len(self.chunks))
        header, value = self.chunks[index]
        header = msgspec.structs.replace(
            header,
            feed=feed,
            seq=seq,
            start_us=header.start_us + lap * self.lap_us,
            origin_us=header.origin_us + lap * self.lap_us,
            policy=policy,
            captured_wall_us=captured_wall_us,
        )
        return Message(CHUNKS, feed, value, encode_header(header))


def record(source: str, *, most_s: float) -> Tape:
    """A source's first `most_s` seconds, as a producer cuts them. A live source is watched for so long.

    Raises UserError where it gives no chunk."""
    stop = Event()
    with TemporaryDirectory(prefix="strefer-profile-") as folder, closing(SqliteLog(Path(folder))) as log:
        sources = open_sources([source])
        limit = Timer(most_s, stop.set) if any(s.live for s in sources) else None

        def enough(done_s: float, total_s: float | None) -> None:
            if done_s >= most_s:
                stop.set()

        if limit is not None:
            limit.start()
        try:
            produce(
                sources, "tape", log, max_chunk_s=CHUNK_S, live_chunk_s=CHUNK_S, progress=enough, stop=stop,
                end_when_stopped=False,
            )  # fmt: skip
        finally:
            if limit is not None:
                limit.cancel()
        chunks = _chunks(log)
    if not chunks:
        raise UserError(f"{source} gives no chunk of video within {most_s:g} s")
    first, last = chunks[0][0], chunks[-1][0]
    return Tape(source, tuple(chunks), last.start_us + last.duration_us - first.start_us)


def _chunks(log: SqliteLog) -> Sequence[tuple[ChunkHeader, bytes]]:
    found = ((decode_header(dict(r.headers)), r.value) for r in log.read(CHUNKS, key="tape"))
    return [(header, value) for header, value in found if isinstance(header, ChunkHeader)]


def now_us() -> int:
    return time.time_ns() // 1000
