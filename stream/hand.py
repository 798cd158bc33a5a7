"""What a worker has in hand: records that were delivered, and what was begun of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from stream.chunk import Chunk, ChunkHeader, Header, decode_header
from stream.frames import Decoder, Frames
from stream.lanes import Task
from stream.log import Record
from stream.prefetch import Prefetch
from stream.scan import Scanning

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class InHand(Generic[T]):
    """A record, its header (or what is wrong with that), its frames where it is a chunk that is being decoded, their
    scan where that has begun, and its task once it was taken up. begun_ns: Unix time of that."""

    record: Record
    header: Header | ValueError
    begun_ns: int = 0
    frames: Prefetch[Frames] | None = None
    scanning: Scanning | None = None
    task: Task[T] | None = None

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
        """Let go of it. What goes on in a lane finds its frames at an end, and is waited for."""
        if self.scanning is not None:
            self.scanning.close()
        if self.task is not None and self.task.work is not None:
            wait([self.task.work])
        if self.scanning is not None and (after := self.scanning.take_next()) is not None:
            after.close()
        self.start_over()
        self.task = None

    def start_over(self) -> None:
        """Forget what was decoded and scanned of it."""
        if self.scanning is not None:
            self.scanning.close()
        if self.frames is not None:
            self.frames.close()
        self.scanning = self.frames = None


class Hand(Generic[T]):
    """Records of several feeds, in the order in which they came."""

    def __init__(self) -> None:
        self._held: list[InHand[T]] = []

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[InHand[T]]:
        return iter(self._held)

    def take(self, records: Iterable[Record]) -> None:
        self._held += [InHand(record, _header(record)) for record in records]

    def give(self, one: InHand[T]) -> None:
        """It is the caller's now, who closes it."""
        self._held.remove(one)

    def drop(self, places: set[tuple[str, int]] | None = None) -> None:
        """Close what came by these partitions, or everything."""
        for one in [one for one in self._held if places is None or one.place in places]:
            one.close()
            self._held.remove(one)

    def near(self) -> list[InHand[T]]:
        """The first two messages of each feed: the one that is worked on, or will be, and the next."""
        count: dict[str, int] = {}
        found = []
        for one in self._held:
            count[one.record.key] = count.get(one.record.key, 0) + 1
            if count[one.record.key] <= 2:
                found.append(one)
        return found

    def untouched(self) -> list[InHand[T]]:
        """The first message of each feed, where it was not taken up yet."""
        first: dict[str, InHand[T]] = {}
        for one in self._held:
            first.setdefault(one.record.key, one)
        return [one for one in first.values() if one.task is None]

    def tasks(self) -> dict[InHand[T], Task[T]]:
        """The first message of each partition, where it was taken up: those that may be finished, for what is
        committed of a partition is one offset."""
        first: dict[tuple[str, int], InHand[T]] = {}
        for one in self._held:
            first.setdefault(one.place, one)
        return {one: one.task for one in first.values() if one.task is not None}

    def after(self, now: InHand[T]) -> InHand[T] | None:
        """The next message of the same feed, where it is the next of its numbers too."""
        found = next((one for one in self._held if one is not now and one.record.key == now.record.key), None)
        return found if found is not None and found.seq == now.seq + 1 else None

    def chunks(self, key: str, *, but: InHand[T]) -> int:
        """How many chunks of a feed are in hand."""
        held = (one for one in self._held if one is not but and one.record.key == key)
        return sum(isinstance(one.header, ChunkHeader) for one in held)


def _header(record: Record) -> Header | ValueError:
    try:
        header = decode_header(dict(record.headers))
        if header.feed != record.key:
            raise ValueError(f"the header's feed is {header.feed!r}, the message's key {record.key!r}")
    except ValueError as e:
        return e
    return header
