"""Live sources: network addresses and cameras, that stall, break and come back."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import av
import structlog
from av.container import InputContainer
from av.video.stream import VideoStream

from engines.errors import UserError
from producers.chunker import Chunker, VideoPacket
from producers.piece import BrokenSourceError, Piece
from producers.probe import reason, require_video, seconds_of
from producers.remux import packet_ticks

OPEN_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 10.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0


@dataclass(frozen=True, slots=True)
class Outage:
    """A live source was away for this long; the next piece belongs to a new connection with a clock of its own."""

    seconds: float
    reason: str


class LiveSource:
    """An RTSP, HLS, HTTP, RTMP, SRT or UDP address. An address with an end (a file over HTTP) ends; all others are
    connected again whenever they break, after pauses that double up to half a minute, with jitter.

    Raises UserError on creation where nothing answers.
    """

    def __init__(self, address: str, *, timeouts_s: tuple[float, float] = (OPEN_TIMEOUT_S, READ_TIMEOUT_S)) -> None:
        self.name = self.identity = address
        self._timeouts_s = timeouts_s
        self._options = {"rtsp_transport": "tcp"} if address.startswith("rtsp") else {}
        try:
            with self._connect() as container:
                require_video(container, address)
                length = None if address.startswith("rtsp") else seconds_of(container)
        except (av.error.FFmpegError, OSError) as e:
            raise UserError(f"nothing can be read from {address}: {reason(e)}") from None
        self.live, self.seconds = length is None, length

    def pieces(self, *, limit_s: float, stop: threading.Event) -> Iterator[Piece | Outage]:
        lost_at: float | None = None
        cause, pause_s = "", FIRST_WAIT_S
        while not stop.is_set():
            try:
                for piece in self._connection(limit_s, stop, again=lost_at is not None):
                    if lost_at is not None:
                        away = time.monotonic() - lost_at - piece.seconds
                        yield Outage(max(away, 0.0), cause)
                    lost_at, pause_s = None, FIRST_WAIT_S
                    yield piece
                if not self.live:
                    return
                failure = "the stream ended"
            except (av.error.FFmpegError, OSError) as e:
                failure = reason(e)
                if not self.live:
                    raise BrokenSourceError(f"{self.name} breaks off: {failure}") from e
            if lost_at is None:
                lost_at, cause = time.monotonic(), failure
            pause = pause_s * random.uniform(0.5, 1.0)
            structlog.get_logger().warning("source lost", source=self.name, cause=failure, retry_s=round(pause, 1))
            stop.wait(pause)
            pause_s = min(pause_s * 2, LONGEST_WAIT_S)

    def _connection(self, limit_s: float, stop: threading.Event, *, again: bool) -> Iterator[Piece]:
        """Pieces until the connection breaks."""
        with self._connect() as container:
            require_video(container, self.name)
            track = container.streams.video[0]
            if "hls" in container.format.name and seconds_of(container) is not None:
                self.live = False
                if again:  # the playlist has its end mark now, and what it lists has been seen
                    return
            chunker = Chunker(track, limit_s=limit_s, live=True)
            yield from chunker.pieces(_timed(_until_stopped(container, track, stop), track))

    @contextmanager
    def _connect(self) -> Iterator[InputContainer]:
        container = av.open(self.name, mode="r", options=self._options, timeout=self._timeouts_s)
        try:
            yield container
        finally:
            container.close()


class CameraSource(LiveSource):
    """A V4L2 device such as /dev/video0."""

    def __init__(self, device: str) -> None:
        super().__init__(device)

    @contextmanager
    def _connect(self) -> Iterator[InputContainer]:
        container = av.open(self.name, mode="r", format="v4l2", timeout=self._timeouts_s)
        try:
            yield container
        finally:
            container.close()


def _timed(packets: Iterator[VideoPacket], track: VideoStream) -> Iterator[VideoPacket]:
    """Give packets without a time stamp one: RTSP sends the first frames before the clocks are known. Those are
    counted back from the first known time; later ones follow the packet before."""
    waiting: list[VideoPacket] = []
    newest: int | None = None
    for packet in packets:
        if packet.size == 0:
            continue
        if packet.pts is None and newest is None and len(waiting) < 250:
            waiting.append(packet)
            continue
        step = packet_ticks(packet, track)
        if packet.pts is None:
            packet.pts = packet.dts = (newest or 0) + step
        for i, early in enumerate(waiting):
            early.pts = packet.pts - (len(waiting) - i) * step
            early.dts = (packet.dts if packet.dts is not None else packet.pts) - (len(waiting) - i) * step
            yield early
        waiting, newest = [], packet.pts
        yield packet


def _until_stopped(container: InputContainer, track: VideoStream, stop: threading.Event) -> Iterator[VideoPacket]:
    for packet in container.demux(track):
        if stop.is_set():
            return
        yield packet
