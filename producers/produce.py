"""Sources -> numbered chunks in the log, resumable after a kill at any moment."""

from __future__ import annotations

import hashlib
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import structlog

from engines.errors import UserError
from producers.live import Outage
from producers.piece import BrokenSourceError, Piece
from producers.sources import Source
from producers.spool import Spooling, open_journal
from producers.state import Journal, ProducerState
from stream.chunk import ChunkHeader, EndHeader, GapHeader, Header, Policy, encode_header
from stream.log import CHUNKS, Log, Message, check_name
from stream.tracing import Attributes, Spans, Untraced

MAX_CHUNK_S, LIVE_CHUNK_S = 10.0, 2.0
JUMP_S = 10.0
"""A live clock that leaps forward by more than this has been set anew: its time is not the feed's."""
ROOM_PAUSE_S = 0.5
"""A file looks this often whether a full spool has room again."""

Progress = Callable[[float, float | None], None]
"""Told (seconds of video done, seconds in all or None) after every chunk."""


@dataclass(frozen=True, slots=True)
class Produced:
    """What a run of `produce` did. `complete`: the feed had been finished before, nothing was appended."""

    chunks: int
    reason: Literal["end", "stopped", "error"]
    complete: bool = False


def produce(
    sources: Sequence[Source],
    feed: str,
    log: Log,
    *,
    realtime: bool = False,
    loop: bool = False,
    max_chunk_s: float = MAX_CHUNK_S,
    live_chunk_s: float = LIVE_CHUNK_S,
    policy: Policy | None = None,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    end_when_stopped: bool = True,
    spooling: Spooling | None = None,
    spans: Spans | None = None,
) -> Produced:
    """Write all sources, one after the other on one time line, to `feed`; returns when they end or `stop` is set.

    A producer that is started again on the same sources skips what is in the log and goes on; on other sources it
    continues the feed after its former end. `end_when_stopped`: whether a stopped feed is told to have ended (else it
    waits to be gone on with). `policy`: what a worker does when chunks wait (`stream.pressure`); without one it is
    `latest` for live sources and `block` for the rest. `spooling`: where chunks wait while the log is away; without it
    the sources wait. `spans` get one for each chunk, and the chunk its headers.

    Raises UserError for a bad feed name or bounds, LogAwayError where it was stopped while it waited for a log that is
    away: what is missing then is produced by the next start.
    """
    check_name(feed, "feed")
    if not (0 < max_chunk_s <= 3600 and 0 < live_chunk_s <= 3600):
        raise UserError(f"chunk lengths must be between 0 and 3600 s, got {max_chunk_s:g} and {live_chunk_s:g}")
    if loop and any(s.live for s in sources):
        raise UserError("a live source cannot be looped")
    stop = stop or threading.Event()
    with open_journal(log, feed, stop, spooling) as journal:
        run = _Run(sources, feed, journal, loop, max_chunk_s, live_chunk_s, policy, progress, stop, spans)
        return run.all(realtime=realtime, end_when_stopped=end_when_stopped)


class _Run:
    """One run over the sources of one feed."""

    def __init__(
        self, sources: Sequence[Source], feed: str, journal: Journal, loop: bool, max_chunk_s: float,
        live_chunk_s: float, policy: Policy | None, progress: Progress | None, stop: threading.Event,
        spans: Spans | None,
    ) -> None:  # fmt: skip
        self.sources, self.feed, self.loop = sources, feed, loop
        self.max_chunk_s, self.live_chunk_s = max_chunk_s, live_chunk_s
        self.policy, self.progress, self.stop = policy, progress, stop
        self.journal = journal
        self.spans = spans or Untraced()
        self.dropped_us: int | None = None  # feed time since when chunks had no room
        self.written = 0
        self.begun_wall, self.begun_us = 0.0, 0
        lengths = [s.seconds for s in sources]
        self.total_s = None if loop or None in lengths else sum(s for s in lengths if s is not None)

    def all(self, *, realtime: bool, end_when_stopped: bool) -> Produced:
        state, known = self._start()
        if known and state.ended in ("end", "error"):
            return Produced(0, state.ended, complete=True)
        state.ended = ""
        self.begun_wall, self.begun_us = time.monotonic(), state.end_us
        while True:
            for index in range(state.source, len(self.sources)):
                if index != state.source:
                    state.begin_source(index)
                if not self._source(state, realtime=realtime):
                    return self._end(state, "stopped") if end_when_stopped else Produced(self.written, "stopped")
            if not self.loop or state.broken:
                return self._end(state, "error" if state.broken else "end")
            state.passes += 1
            state.begin_source(0)

    def _start(self) -> tuple[ProducerState, bool]:
        """The state to go on from, and whether it is of these very sources."""
        facts = [s.identity for s in self.sources]
        facts += [f"max={self.max_chunk_s:g}", f"live={self.live_chunk_s:g}", f"loop={self.loop}"]
        identity = hashlib.sha256("\n".join(facts).encode()).hexdigest()
        former = self.journal.load()
        if former is None:
            return ProducerState(identity=identity), False
        if former.identity != identity or any(s.live for s in self.sources):
            return ProducerState(
                identity=identity,
                next_seq=former.next_seq,
                begun_us=former.end_us,
                origin_us=former.end_us,
                end_us=former.end_us,
            ), False
        return former, True

    def _source(self, state: ProducerState, *, realtime: bool) -> bool:
        """Write what is left of the source in work; False where the run was stopped."""
        source = self.sources[state.source]
        skip, number = state.pieces, 0
        limit_s = self.live_chunk_s if source.live else self.max_chunk_s
        try:
            for piece in source.pieces(limit_s=limit_s, stop=self.stop):
                number += 1
                if number <= skip:
                    continue
                if self.stop.is_set():
                    return False
                if isinstance(piece, Outage):
                    self._gap(state, piece)
                    continue
                if not self._piece(state, piece, source, pace=realtime and not source.live):
                    return False
        except BrokenSourceError as e:
            structlog.get_logger().warning(str(e))
            state.broken = True
        else:
            self._compare(source, (state.end_us - state.origin_us) / 1e6)
        return not self.stop.is_set()

    def _compare(self, source: Source, read_s: float) -> None:
        """Say so where a file is much shorter than it claims: nothing in it shows where it was cut."""
        if self.stop.is_set() or source.live or source.seconds is None:
            return
        if read_s < 0.9 * source.seconds and source.seconds - read_s > 1:
            structlog.get_logger().warning(
                f"{source.name} says that it is {source.seconds:.1f} s long and holds {read_s:.1f} s of video: "
                "it may have been cut off"
            )

    def _gap(self, state: ProducerState, outage: Outage) -> None:
        end_us = state.end_us + round(outage.seconds * 1e6)
        header = GapHeader(feed=self.feed, seq=0, start_us=state.end_us, end_us=end_us, reason=outage.reason)
        state.pieces += 1
        state.end_us = state.origin_us = end_us
        state.first_pts = None
        self._commit(state, header, at_us=header.start_us)

    def _piece(self, state: ProducerState, piece: Piece, source: Source, *, pace: bool) -> bool:
        """Write one chunk, at its time; False where the run was stopped while waiting for that time, or for room."""
        self._rebase(state, piece, source)
        assert state.first_pts is not None
        header = ChunkHeader(
            feed=self.feed,
            seq=0,
            start_us=0,
            duration_us=0,
            codec=piece.codec,
            width=piece.width,
            height=piece.height,
            frames=piece.frames,
            crc32=zlib.crc32(piece.data),
            origin_us=state.origin_us,
            start_pts=piece.first_pts - state.first_pts,
            time_base=str(piece.time_base),
            rate=f"{piece.rate.numerator}/{piece.rate.denominator}",
            rotation=piece.rotation,
            reencoded=piece.reencoded,
            source=source.name,
            captured_wall_us=round((time.time() - piece.seconds) * 1e6) if source.live else None,
            policy=self.policy or ("latest" if source.live else "block"),
        )
        start_us, end_us = header.pts_us(0), header.pts_us(piece.end_pts - piece.first_pts)
        header = msgspec.structs.replace(header, start_us=start_us, duration_us=end_us - start_us)
        if pace and self.stop.wait(max(self.begun_wall + (end_us - self.begun_us) / 1e6 - time.monotonic(), 0)):
            return False
        if pace:  # it is shown now, as a camera would
            header = msgspec.structs.replace(header, captured_wall_us=round((time.time() - piece.seconds) * 1e6))
        while not (room := self.journal.room(len(piece.data))) and not source.live:
            if self.stop.wait(ROOM_PAUSE_S):
                return False
        before_us = state.end_us
        state.pieces += 1
        state.end_us = max(end_us, before_us)
        if not room:
            self.dropped_us = before_us if self.dropped_us is None else self.dropped_us
            return True
        self._commit(state, header, piece.data, at_us=before_us)
        self.written += 1
        if self.progress is not None:
            self.progress((end_us - state.begun_us) / 1e6, self.total_s)
        return True

    def _rebase(self, state: ProducerState, piece: Piece, source: Source) -> None:
        """Begin a new clock where the source's own begins, runs backwards or (live) leaps: feed time only grows."""
        if state.first_pts is not None:
            at_us = state.origin_us + round((piece.first_pts - state.first_pts) * piece.time_base * 1_000_000)
            leap_us = at_us - state.end_us
            # a re-encoded piece's end is a guess of half a frame: only what really runs back is a new clock
            if leap_us > -500_000 and not (source.live and leap_us > JUMP_S * 1e6):
                return
        state.origin_us, state.first_pts = state.end_us, piece.first_pts

    def _end(self, state: ProducerState, reason: Literal["end", "stopped", "error"]) -> Produced:
        header = EndHeader(feed=self.feed, seq=0, at_us=state.end_us, reason=reason)
        state.ended = reason
        self._commit(state, header, at_us=header.at_us)
        return Produced(self.written, reason)

    def _commit(self, state: ProducerState, header: Header, data: bytes = b"", *, at_us: int) -> None:
        """Number a message and write it, and before it the gap that stands for what had no room until `at_us`."""
        captured_us = header.captured_wall_us if isinstance(header, ChunkHeader) else None
        begun_ns = None if captured_us is None else captured_us * 1000
        parts: list[tuple[Header, bytes]] = [(header, data)]
        if self.dropped_us is not None:
            gap = GapHeader(feed=self.feed, seq=0, start_us=self.dropped_us, end_us=at_us, reason="spool is full")
            parts.insert(0, (gap, b""))
            self.dropped_us = None
        attributes: Attributes = {"feed": self.feed, "seq": state.next_seq, "bytes": len(data)}
        with self.spans.span("produce", attributes, begun_ns=begun_ns) as traced:
            messages = []
            for part, value in parts:
                numbered = msgspec.structs.replace(part, seq=state.next_seq)
                messages.append(Message(CHUNKS, self.feed, value, encode_header(numbered) | traced))
                state.next_seq += 1
            self.journal.commit(state, *messages)
