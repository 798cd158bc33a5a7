"""What the tests of the producers share: pieces of a file, a log in memory, the frames of a feed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av

from producers.chunker import Chunker
from producers.piece import Piece
from producers.sources import Source
from stream.chunk import Chunk, ChunkHeader, Header, decode_header
from stream.decode.pyav import PyAVDecoder
from stream.log import CHUNKS, FencedError, Message, Record
from tests.media import Decoded, decode


def cut(path: Path, *, limit_s: float = 10.0, live: bool = False) -> list[Piece]:
    with av.open(path, mode="r") as container:
        track = container.streams.video[0]
        return list(Chunker(track, limit_s=limit_s, live=live).pieces(container.demux(track)))


def frames_of(pieces: list[Piece], pix_fmt: str | None = None) -> list[Decoded]:
    """Each piece decoded alone; times from the first frame of the first piece."""
    found: list[Decoded] = []
    for piece in pieces:
        own = decode(piece.data, pix_fmt)
        assert len(own) == piece.frames
        at = (piece.first_pts - pieces[0].first_pts) * piece.time_base
        found += [Decoded(Fraction(at + f.time), f.planes) for f in own]
    return found


class MemoryLog:
    """As much of `Log` as a producer needs, in memory."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.newest_writer: dict[str, MemoryWriter] = {}

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        transaction = MemoryTransaction()
        yield transaction
        self.messages += transaction.messages

    def writer(self, name: str) -> MemoryWriter:
        self.newest_writer[name] = MemoryWriter(self, name)
        return self.newest_writer[name]

    def latest(self, topic: str, key: str) -> Record | None:
        found = [m for m in self.messages if m.topic == topic and m.key == key]
        return Record(topic, 0, len(found), key, found[-1].value, found[-1].headers, 0) if found else None

    def headers(self) -> list[Header]:
        """Of all messages on the chunks' topic; their numbers are checked to have no holes."""
        headers = [decode_header(dict(m.headers)) for m in self.messages if m.topic == CHUNKS]
        assert [h.seq for h in headers] == list(range(len(headers)))
        return headers

    def chunks(self) -> list[Chunk]:
        pairs = [(decode_header(dict(m.headers)), m.value) for m in self.messages if m.topic == CHUNKS]
        return [Chunk(h, value) for h, value in pairs if isinstance(h, ChunkHeader)]

    def times_us(self) -> list[int]:
        """Feed time of every frame, each chunk verified and decoded as a worker does."""
        times: list[int] = []
        for chunk in self.chunks():
            chunk.verify()
            own = [int(t) for batch in PyAVDecoder().decode(chunk) for t in batch.pts_us]
            header = chunk.header
            assert own[0] == header.start_us
            assert own[-1] < header.start_us + header.duration_us
            times += own
        return times


class MemoryWriter:
    def __init__(self, log: MemoryLog, name: str) -> None:
        self.log, self.name = log, name

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        with self.log.transaction() as transaction:
            yield transaction
            if self.log.newest_writer[self.name] is not self:
                raise FencedError

    def close(self) -> None:
        """Nothing to let go of."""


class MemoryTransaction:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    def send(self, message: Message) -> None:
        self.messages.append(message)


def pieces_of(source: Source, limit_s: float = 10.0) -> list[Piece]:
    return [p for p in source.pieces(limit_s=limit_s, stop=threading.Event()) if isinstance(p, Piece)]
