"""The real way from a source to its events: produce -> embedded log -> worker; what tests and the evaluation share."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from engines import lite
from engines.catalogue import find
from engines.store import Store
from producers.produce import MAX_CHUNK_S, produce
from producers.sources import open_sources
from stream.decode.pyav import PyAVDecoder
from stream.events import Event, Masklet, MaskletFrame, MaskletRevised, decode_message
from stream.log import ANNOTATIONS, CHUNKS, QUERIES, Log, Message
from stream.log.sqlite import SqliteLog
from stream.pipeline import Options, Pipeline
from stream.queries import QueryRequest, encode_request
from stream.runtime import settle
from stream.worker import GROUP, Worker


def model_folder() -> Path:
    """The folder of real weights. Fails, does not skip, where one is missing."""
    folder = Path(os.environ.get("STREFER_MODELS") or Path(__file__).parents[2] / "shared/models")
    store = Store(folder, folder)
    missing = [n for n in lite.NETWORKS if store.locate(find(n)) is None]
    assert not missing, f"weights missing in {folder}: {missing} (set STREFER_MODELS)"
    return folder


@cache
def networks() -> lite.Lite:
    """All of profile lite, loaded once a process."""
    folder = model_folder()
    return lite.load(Store(folder, folder))


def environment() -> dict[str, str]:
    """Environment of a `strefer` subprocess: this one's, with the real weights."""
    return {**os.environ, "STREFER_MODELS": str(model_folder())}


def post_queries(log: Log, feed: str, queries: Sequence[str]) -> None:
    with log.transaction() as tx:
        for i, text in enumerate(queries, 1):
            tx.send(Message(QUERIES, f"{feed}/q{i}", encode_request(QueryRequest(text))))


def work(log: Log, options: Options | None = None) -> None:
    """One worker over the log until nothing is left to do."""
    settle()
    with closing(Worker(log, Pipeline(networks(), options), PyAVDecoder())) as worker:
        drain(worker, log)


def drain(worker: Worker, log: Log) -> None:
    """Run a worker until nothing is left to do."""
    worker.run(until=lambda done: done is None and log.lag(GROUP, CHUNKS) == 0, poll_s=0.01)


def messages_of(source: str, feed: str = "feed", max_chunk_s: float = MAX_CHUNK_S) -> tuple[Message, ...]:
    """A source as a producer writes it to `video.chunks`: its chunks and the end."""
    with TemporaryDirectory() as folder, closing(SqliteLog(Path(folder))) as log:
        produce(open_sources([source]), feed, log, max_chunk_s=max_chunk_s)
        return tuple(Message(CHUNKS, r.key, r.value, dict(r.headers)) for r in log.read(CHUNKS, key=feed))


def send_all(log: Log, messages: Iterable[Message]) -> None:
    """Write messages in one transaction."""
    with log.transaction() as tx:
        for message in messages:
            tx.send(message)


def events_of(log: Log, feed: str) -> list[Event]:
    return [decode_message(dict(r.headers), r.value) for r in log.read(ANNOTATIONS, key=feed)]


def follow(source: str, folder: Path, queries: Sequence[str] = (), feed: str = "feed") -> list[Event]:
    """All events of a source, made by a producer and a worker over a log in `folder`."""
    with closing(SqliteLog(folder)) as log:
        post_queries(log, feed, queries)
        produce(open_sources([source]), feed, log)
        work(log)
        return events_of(log, feed)


def masks_of(events: Sequence[Event]) -> dict[int, dict[int, MaskletFrame]]:
    """Presentation time -> entity -> its mask, revisions included."""
    found: dict[int, dict[int, MaskletFrame]] = {}
    for event in events:
        if isinstance(event.body, Masklet | MaskletRevised):
            for frame in event.body.frames:
                found.setdefault(frame.pts_us, {})[event.body.entity] = frame
    return found
