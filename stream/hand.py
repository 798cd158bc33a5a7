"""What a worker has in hand: a record that was delivered, and what was begun of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stream.chunk import Chunk, ChunkHeader, Header, decode_header
from stream.frames import Decoder, Frames
from stream.log import Record
from stream.prefetch import Prefetch
from stream.scan import Scanning


@dataclass(slots=True)
class InHand:
    """A record, its header (or what is wrong with that), its frames where it is a chunk that is being decoded, and
    their scan where that has begun."""

    record: Record
    header: Header | ValueError
    frames: Prefetch[Frames] | None = None
    scanning: Scanning | None = None

    @property
    def place(self) -> tuple[str, int]:
        return self.record.topic, self.record.partition

    @property
    def seq(self) -> int:
        """-1 where it cannot be read."""
        return -1 if isinstance(self.header, ValueError) else self.header.seq

    def decode(self, decoder: Decoder) -> Prefetch[Frames]:
        """The chunk's frames, begun now where they were not. Raises out of them where it is not what was sent."""
        header, value = self.header, self.record.value
        assert isinstance(header, ChunkHeader)

        def frames(chunk: Chunk) -> Iterator[Frames]:
            chunk.verify()
            yield from decoder.decode(chunk)

        self.frames = self.frames or Prefetch(frames(Chunk(header, value)))
        return self.frames

    def close(self) -> None:
        if self.scanning is not None:
            self.scanning.close()
        if self.frames is not None:
            self.frames.close()
        self.scanning = self.frames = None


def take(record: Record) -> InHand:
    """A record as it was delivered, its header read."""
    try:
        header = decode_header(dict(record.headers))
        if header.feed != record.key:
            raise ValueError(f"the header's feed is {header.feed!r}, the message's key {record.key!r}")
    except ValueError as e:
        return InHand(record, e)
    return InHand(record, header)
