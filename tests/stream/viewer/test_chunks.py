"""A chunk is found by its seq in few reads, wherever it lies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stream.log import CHUNKS, Message, Record, Topic
from stream.log.sqlite import SqliteLog
from stream.viewer.chunks import MAX_PLACES, ChunkFinder, LostChunkError
from tests.stream.viewer.told_log import chunk_messages

COUNT = 400


class CountingLog(SqliteLog):
    reads = 0

    def read(self, topic: str, *, key: str | None = None, after: int = -1) -> Iterator[Record]:
        self.reads += 1
        return super().read(topic, key=key, after=after)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CountingLog]:
    """Chunks 50 to 449 of two feeds, which share one partition unevenly; chunk 300 is missing."""
    chunk = chunk_messages()[0]
    folder = tmp_path_factory.mktemp("chunks")
    with closing(CountingLog(folder, topics=[Topic(CHUNKS, partitions=1)])) as made:
        with made.transaction() as tx:
            for seq in range(50, 50 + COUNT):
                if seq != 300:
                    tx.send(Message(CHUNKS, "door", chunk.value, {**chunk.headers, "ce_id": f"door/{seq}"}))
                for other in range(seq % 3):
                    tx.send(Message(CHUNKS, "gate", chunk.value, {**chunk.headers, "ce_id": f"gate/{seq * 3 + other}"}))
        yield made


@pytest.mark.parametrize("seq", [50, 51, 177, 299, 301, 449])
def test_found_in_few_reads(log: CountingLog, seq: int) -> None:
    finder = ChunkFinder(log)
    log.reads = 0
    assert finder.find("door", seq).data == chunk_messages()[0].value
    assert log.reads <= 2 * 11
    log.reads = 0
    finder.find("door", seq)
    assert log.reads == 1


def test_chunks_in_order_take_a_read_each(log: CountingLog) -> None:
    finder = ChunkFinder(log)
    finder.find("door", 60)
    log.reads = 0
    for seq in range(61, 101):
        finder.find("door", seq)
    assert log.reads == 40


@pytest.mark.parametrize("seq", [0, 49, 300, 450, 10_000])
def test_what_is_not_there_is_lost(log: CountingLog, seq: int) -> None:
    with pytest.raises(LostChunkError, match=f"chunk {seq} of door is no longer in the log"):
        ChunkFinder(log).find("door", seq)


def test_places_are_bounded(log: CountingLog) -> None:
    finder = ChunkFinder(log)
    for i in range(3 * MAX_PLACES):
        finder._know("door", i, i)
    assert len(finder._places["door"]) <= MAX_PLACES


def test_a_damaged_chunk_is_lost(tmp_path: Path) -> None:
    chunk = chunk_messages()[0]
    with closing(SqliteLog(tmp_path)) as log:
        with log.transaction() as tx:
            tx.send(Message(CHUNKS, "feed", chunk.value[:-1], {**chunk.headers, "ce_id": "feed/0"}))
        with pytest.raises(LostChunkError, match="is no good: crc32"):
            ChunkFinder(log).find("feed", 0)


def test_a_message_without_video_is_lost(tmp_path: Path) -> None:
    end = chunk_messages()[-1]
    with closing(SqliteLog(tmp_path)) as log:
        with log.transaction() as tx:
            tx.send(Message(CHUNKS, "feed", b"", dict(end.headers)))
        seq = int(end.headers["ce_id"].rpartition("/")[2])
        with pytest.raises(LostChunkError, match="holds no video"):
            ChunkFinder(log).find("feed", seq)
