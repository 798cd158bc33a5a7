"""A log of two small feeds with real chunks and hand-made events, as a worker would have left it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from kernels import rle
from stream import events as ev
from stream.chunk import ChunkHeader, decode_header
from stream.events import Body, Event, MaskletFrame, Rle, encode_body
from stream.log import ANNOTATIONS, STATE, Log, Message
from tests.running import messages_of

SCENE = "synthetic:two-people?seconds=4&size=320x180&fps=8"
SIZE = (180, 320)


@cache
def chunk_messages() -> tuple[Message, ...]:
    return messages_of(SCENE)


def headers() -> list[ChunkHeader]:
    return [h for m in chunk_messages() if isinstance(h := decode_header(dict(m.headers)), ChunkHeader)]


def square(x0: int, y0: int, side: int = 40) -> tuple[str, tuple[float, float, float, float], int]:
    """COCO counts of a square mask, its box and its area."""
    mask = np.zeros(SIZE, np.bool_)
    mask[y0 : y0 + side, x0 : x0 + side] = True
    return rle.encode(mask), (x0, y0, x0 + side, y0 + side), side * side


def frames(header: ChunkHeader, x0: int) -> list[MaskletFrame]:
    step = header.duration_us // header.frames
    counts, box, area = square(x0, 60)
    return [MaskletFrame(header.start_us + i * step, Rle(SIZE, counts), box, area, 0.9) for i in range(header.frames)]


def bodies(header: ChunkHeader) -> Iterator[Body]:
    """Of one chunk: entity 1 all the time, entity 2 in the first chunk only."""
    if header.seq == 0:
        yield ev.FeedStarted(
            at_us=0, codec="h264", width=320, height=180, rate="8/1", source="rtsp://user:secret@camera/",
            reencoded=False, profile="lite", engines=[],
        )  # fmt: skip
        yield ev.SegmentOpened(segment=1, start_us=0, reason="start")
        for entity in (1, 2):
            yield ev.EntityAppeared(entity=entity, at_us=0, category="person", score=0.9, bbox=(0, 0, 9, 9))
            yield ev.EntityDescribed(
                entity=entity, expression=f"<b>the person</b> {entity}", noun="person", category="person",
                attributes=[], source="measured",
            )  # fmt: skip
        yield ev.Masklet(entity=2, start_us=0, frames=frames(header, 200))
    if header.seq == 1:
        yield ev.EntityExited(entity=2, at_us=header.start_us - 125_000, reason="edge", bbox=(0, 0, 9, 9))
        yield ev.MaskletRevised(entity=3, start_us=0, frames=[moved(f, 100) for f in frames(headers()[0], 100)[-2:]])
    yield ev.Masklet(entity=1, start_us=header.start_us, frames=frames(header, 20 + 10 * header.seq))
    yield ev.ChunkDone(
        seq=header.seq, frames=header.frames, dropped=0, stage_us={}, latency_us=None,
        start_us=header.start_us, end_us=header.start_us + header.duration_us,
    )  # fmt: skip


def moved(frame: MaskletFrame, x0: int) -> MaskletFrame:
    counts, box, area = square(x0, 100)
    return MaskletFrame(frame.pts_us, Rle(SIZE, counts), box, area, 0.5)


def send_events(log: Log, feed: str, seq: int, told: Sequence[Body], first: int = 0) -> None:
    with log.transaction() as tx:
        for n, body in enumerate(told, first):
            tx.send(Message(ANNOTATIONS, feed, encode_body(body), Event(feed, seq, n, body).headers()))
        tx.send(Message(STATE, feed, b"a state"))


def send_chunk(log: Log, feed: str, seq: int) -> None:
    """A chunk and what a worker says of it."""
    message = chunk_messages()[seq]
    with log.transaction() as tx:
        tx.send(Message(message.topic, feed, message.value, {**message.headers, "ce_id": f"{feed}/{seq}"}))
    header = decode_header(dict(message.headers))
    if isinstance(header, ChunkHeader):
        send_events(log, feed, seq, list(bodies(header)))
    else:
        send_events(log, feed, seq, [ev.FeedEnded(at_us=4_000_000, reason="end")])
