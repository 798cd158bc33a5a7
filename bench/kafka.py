"""The Kafka log: chunks and bytes a second in and out, what transactions cost, and the time from capture to event.

    python -m bench.kafka [--chunks 200] [--feeds 1,4,16] [--seconds 20] [--workers 2]

On the broker of STREFER_KAFKA, Docker or the jars (tools/kafka). The peer is plain kafka-python in the same run: a
producer that waits for all copies, and a consumer that commits nothing. End to end, cameras of 1280x720 at 30 frames/s
write a chunk a second each, feeds of the policy `latest`, to worker processes of profile lite.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
from kafka import KafkaConsumer, KafkaProducer
from rich.console import Console
from rich.table import Table

from bench.video import scaled
from engines.store import environment_store
from producers.produce import produce
from producers.sources import open_sources
from stream.chunk import ChunkHeader, decode_header, encode_header
from stream.events import ChunkDone, FeedGap, decode_message
from stream.log import ANNOTATIONS, CHUNKS, STATE, Message
from stream.log.kafka import KafkaLog
from stream.log.sqlite import SqliteLog
from stream.profiling.machine import facts
from tools.kafka.broker import broker

EVENTS_BYTES, STATE_BYTES = 60_000, 290_000
"""What a worker writes for a chunk of two people."""


def chunks_of(clip: Path) -> list[tuple[ChunkHeader, bytes]]:
    """A clip's chunks at 1280x720."""
    with tempfile.TemporaryDirectory() as folder, closing(SqliteLog(Path(folder) / "log")) as log:
        produce(open_sources([str(scaled(clip, Path(folder) / "clip.mp4", (1280, 720)))]), "bench", log)
        pairs = [(decode_header(dict(r.headers)), r.value) for r in log.read(CHUNKS)]
        return [(h, v) for h, v in pairs if isinstance(h, ChunkHeader)]


def transport(address: str, values: Sequence[bytes], table: Table) -> None:
    """In and out, with transactions and without."""
    megabytes = sum(map(len, values)) / 1e6

    def row(what: str, seconds: float, peer: float | None) -> float:
        ratio = "" if peer is None else f"{peer / seconds:.2f}"
        table.add_row(what, f"{len(values) / seconds:.0f}", f"{megabytes / seconds:.0f}", ratio)
        return seconds

    topic = f"plain-{uuid.uuid4().hex[:8]}"
    log = KafkaLog((address,), prefix=f"bench-{uuid.uuid4().hex[:8]}-")
    from stream.log.kafka.clients import Clients

    admin = Clients((address,)).admin()
    admin.create_topics(
        {topic: {"num_partitions": 8, "configs": {"max.message.bytes": "8388608"}}}, wait_for_metadata=True
    )
    admin.close()
    plain = KafkaProducer(bootstrap_servers=address, acks="all", max_request_size=1 << 24)
    written = row("plain kafka-python, produce", _seconds(lambda: _plain_produce(plain, topic, values)), None)
    plain.close()
    ours = row("strefer, one transaction a chunk", _seconds(lambda: _produce(log, values)), written)
    table.add_row("  a transaction costs", f"{1000 * (ours - written) / len(values):.1f} ms", "", "")
    reader = KafkaConsumer(
        topic, bootstrap_servers=address, auto_offset_reset="earliest", group_id=None, max_partition_fetch_bytes=8 << 20
    )
    read = row("plain kafka-python, consume", _seconds(lambda: _plain_consume(reader, len(values))), None)
    reader.close()
    row("strefer, consume", _seconds(lambda: _consume(log, len(values), commit=False)), read)
    row("strefer, consume + events + state + offset", _seconds(lambda: _consume(log, len(values), commit=True)), read)
    log.close()


def _seconds(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _plain_produce(producer: KafkaProducer, topic: str, values: Sequence[bytes]) -> None:
    for n, value in enumerate(values):
        producer.send(topic, value, key=f"feed-{n % 8}".encode()).get(30)  # one at a time, as a camera's chunks come


def _produce(log: KafkaLog, values: Sequence[bytes]) -> None:
    for n, value in enumerate(values):
        with log.transaction() as tx:
            tx.send(Message(CHUNKS, f"feed-{n % 8}", value))


def _plain_consume(consumer: KafkaConsumer, count: int) -> None:
    while count > 0:
        count -= sum(len(records) for records in consumer.poll(timeout_ms=500).values())


def _consume(log: KafkaLog, count: int, *, commit: bool) -> None:
    consumer = log.consumer(uuid.uuid4().hex, [CHUNKS])
    events, state = bytes(EVENTS_BYTES), np.random.default_rng(0).bytes(STATE_BYTES)
    while count > 0:
        for record in consumer.poll(max_records=2, timeout_s=0.5):
            count -= 1
            if commit:
                with log.transaction() as tx:
                    tx.send(Message(ANNOTATIONS, record.key, events))
                    tx.send(Message(STATE, record.key, state))
                    tx.commit_offset(consumer, record)
    consumer.close()


def live(
    address: str,
    chunks: Sequence[tuple[ChunkHeader, bytes]],
    feeds: int,
    seconds: float,
    workers: int,
    table: Table,
    *,
    pause: float = 1.0,
) -> None:
    """Cameras in threads, worker processes, and the latency that the events tell. pause: between a camera's chunks, in
    chunks: at 3 each is done before the next one comes, so that none waits."""
    prefix = f"bench-{uuid.uuid4().hex[:8]}-"
    with closing(KafkaLog((address,), prefix=prefix)) as log:
        command = [sys.executable, "-m", "stream.cli", "worker", "--kafka", address, "--topic-prefix", prefix]
        running = [
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(workers)
        ]
        time.sleep(10)  # networks loaded, partitions given
        threads = [
            threading.Thread(target=_camera, args=(log, f"cam{i}", chunks, seconds, i / feeds, pause))
            for i in range(feeds)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(5)
        for process in running:
            process.terminate()
            process.wait(60)
        bodies = [decode_message(dict(r.headers), r.value).body for r in log.read(ANNOTATIONS)]
    late = [b.latency_us / 1e6 for b in bodies if isinstance(b, ChunkDone) and b.latency_us is not None]
    skipped = sum(
        b.missing_seqs[1] - b.missing_seqs[0] + 1 for b in bodies if isinstance(b, FeedGap) and b.missing_seqs
    )
    p50, p95, p99 = np.percentile(late, [50, 95, 99]) if late else (float("nan"),) * 3
    name = str(feeds) if pause == 1 else f"{feeds}, a chunk each {pause:g} s"
    table.add_row(
        name,
        f"{len(late) / seconds:.1f} of {feeds / pause:.1f}",
        str(skipped),
        f"{p50:.2f}",
        f"{p95:.2f}",
        f"{p99:.2f}",
    )


def _camera(
    log: KafkaLog, feed: str, chunks: Sequence[tuple[ChunkHeader, bytes]], seconds: float, wait_s: float, pause: float
) -> None:
    time.sleep(wait_s)
    begun, at_us = time.monotonic(), 0
    for seq in range(round(seconds / pause)):
        header, value = chunks[seq % len(chunks)]
        # its last frame is shown
        time.sleep(max(0.0, begun + pause * (at_us + header.duration_us) / 1e6 - time.monotonic()))
        captured = round(time.time() * 1e6) - header.duration_us
        header = msgspec.structs.replace(
            header, feed=feed, seq=seq, start_us=at_us, origin_us=at_us, start_pts=0, captured_wall_us=captured,
            policy="latest",
        )  # fmt: skip
        with log.transaction() as tx:
            tx.send(Message(CHUNKS, feed, value, encode_header(header)))
        at_us += header.duration_us


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--chunks", type=int, default=200)
    parser.add_argument("--feeds", default="1,4,16")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    console = Console()
    for name, value in facts().items():
        console.print(f"{name}: {value}")
    samples = environment_store().samples or Path(__file__).parents[2] / "shared" / "videos"
    chunks = chunks_of(samples / "bedroom.mp4")
    mean_kb = sum(len(v) for _, v in chunks) / len(chunks) / 1e3
    console.print(f"chunks of 1280x720 at 30 frames/s, {mean_kb:.0f} kB each")
    with broker() as address:
        table = Table("transport", "chunks/s", "MB/s", "of the peer")
        transport(address, [chunks[i % len(chunks)][1] for i in range(asked.chunks)], table)
        console.print(table)
        table = Table("feeds", "chunks/s", "skipped", "p50 s", "p95 s", "p99 s", title="capture to event")
        live(address, chunks, 1, asked.seconds, 1, table, pause=3.0)
        for feeds in map(int, asked.feeds.split(",")):
            live(address, chunks, feeds, asked.seconds, asked.workers, table)
        console.print(table)


if __name__ == "__main__":
    main()
