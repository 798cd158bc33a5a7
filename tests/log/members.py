"""Programs the log's tests run as processes of their own, to be stopped and killed.

`members.py write SPEC`: transactions over three topics without end; prints each number once it is committed.
`members.py work SPEC GROUP SESSION_S [WORK_S]`: copies chunks to annotations exactly once; prints what it does.
"""

from __future__ import annotations

import itertools
import random
import sys
import time
from pathlib import Path

from stream.log import ANNOTATIONS, CHUNKS, STATE, FencedError, Log, Message
from stream.log.sqlite import SqliteLog


def open_spec(spec: str) -> Log:
    kind, _, place = spec.partition(":")
    if kind == "sqlite":
        return SqliteLog(Path(place))
    if kind == "kafka":
        from stream.log.kafka import KafkaLog

        address, _, prefix = place.partition("/")
        return KafkaLog((address,), prefix=prefix)
    raise ValueError(f"log is {spec!r}, wanted sqlite:FOLDER or kafka:HOST:PORT/PREFIX")


def write(spec: str) -> None:
    if spec.startswith("kafka:"):
        from stream.log.kafka import clients

        clients.TRANSACTION_S = 5.0  # who reads after a kill waits until what was left open has timed out
    log = open_spec(spec)
    state = log.latest(STATE, "writer")
    for n in itertools.count(int(state.value) + 1 if state else 0):
        with log.transaction() as tx:
            tx.send(Message(CHUNKS, f"feed-{n % 3}", n.to_bytes(4, "big") * random.randrange(1, 60_000), {"n": str(n)}))
            tx.send(Message(ANNOTATIONS, f"feed-{n % 3}", b"event", {"n": str(n)}))
            tx.send(Message(STATE, "writer", str(n).encode()))
        print(n, flush=True)


def work(spec: str, group: str, session_s: str, work_s: str = "0.005") -> None:
    log = open_spec(spec)
    consumer = log.consumer(group, [CHUNKS], session_timeout_s=float(session_s))
    print("joined", flush=True)
    while True:
        records = consumer.poll(max_records=4, timeout_s=0.2)
        try:
            for record in records:
                print("got", record.headers["n"], flush=True)
                time.sleep(float(work_s))
                with log.transaction() as tx:
                    tx.send(Message(ANNOTATIONS, record.key, record.value, record.headers))
                    tx.send(Message(STATE, record.key, record.headers["n"].encode()))
                    tx.commit_offset(consumer, record)
                print("done", record.headers["n"], flush=True)
        except FencedError:
            print("fenced", flush=True)
            consumer.rewind()


if __name__ == "__main__":
    {"write": write, "work": work}[sys.argv[1]](*sys.argv[2:])
