"""Pairs as a stream: what a log's annotations give, exactly once, whoever dies; the same as of a file."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from instruct.clipper import Clipper
from instruct.make import Options, Tally, pairs_of
from instruct.pair import Pair
from instruct.stream import GROUP, Instructor, message
from stream import events as ev
from stream.events import Event, encode_body
from stream.log import ANNOTATIONS, INSTRUCTIONS, QUERIES, FencedError, Log, Message
from stream.log.sqlite import SqliteLog
from tests.instruct.streams import Actor, Told, _bodies

OPTIONS = Options(mix=None, per_minute=100_000)
LEAST_US = 4_000_000


def scene(feed: str, shift: int, frames: int = 300) -> list[Event]:
    """A feed of half a minute and six segments: somebody who comes and goes, a dog that stays. One chunk a second."""
    cuts = [50, 100, 150, 200, 250]
    there = [(5 + i % 7, 3, 12 + i % 7, 12) if (i + shift) % 90 < 60 else None for i in range(frames)]
    doing = [("jumps", "stays in place", "moves to the left")[(i + shift) // 25 % 3] for i in range(frames)]
    person = Actor(
        1, "person", "the person in a white top", there, [d if b else "" for d, b in zip(doing, there, strict=True)]
    )
    dog = Actor(2, "dog", "the dog", [(30, 10, 40, 20)] * frames, ["stays in place"] * frames)
    bodies = _bodies(Told(frames, [person, dog], cuts), 10)
    seq, n, out = 0, 0, []
    for body in bodies:
        out.append(Event(feed, seq, n, body))
        n += 1
        if isinstance(body, ev.ChunkDone):
            seq, n = seq + 1, 0
    return out


def sent(event: Event) -> Message:
    return Message(ANNOTATIONS, event.feed, encode_body(event.body), event.headers())


def post(log: Log, events: Sequence[Event]) -> None:
    with log.transaction() as tx:
        for event in events:
            tx.send(sent(event))


def wanted(events: Sequence[Event]) -> list[Pair]:
    clipper = Clipper(events[0].feed, LEAST_US)
    return [p for e in events for w in clipper.push(e) for u in pairs_of(w, OPTIONS, Tally()) for p in u]


def found(log: Log) -> dict[str, list[Pair]]:
    """By feed, in order; every id once."""
    records = list(log.read(INSTRUCTIONS))
    assert [i for i, n in Counter(r.headers["ce_id"] for r in records).items() if n > 1] == []
    out: dict[str, list[Pair]] = {}
    for r in records:
        out.setdefault(r.key, []).append(msgspec.json.decode(r.value, type=Pair))
    return out


def instructor(log: Log) -> Instructor:
    return Instructor(log, OPTIONS, least_clip_us=LEAST_US, session_s=6.0)


def until_idle(one: Instructor, log: Log) -> None:
    """Until nothing has come for a while; a broker may take its time for the first."""
    quiet_s, since = (0.1 if isinstance(log, SqliteLog) else 3.0), [time.monotonic()]

    def over(_: object) -> bool:
        since[0] = since[0] if one.idle else time.monotonic()
        return time.monotonic() - since[0] > quiet_s

    one.run(until=over, poll_s=0.05)


@pytest.fixture(params=["sqlite", "kafka"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    if request.param == "sqlite":
        made: Log = SqliteLog(tmp_path / "log")
    else:
        from stream.log.kafka import KafkaLog

        made = KafkaLog((request.getfixturevalue("kafka"),), prefix=f"t{uuid.uuid4().hex[:8]}-")
    yield made
    made.close()


@pytest.mark.timeout(120)
def test_a_stream_gives_what_a_file_gives(log: Log) -> None:
    feeds = {f: scene(f, i) for i, f in enumerate(("door", "hall", "yard"))}
    for events in feeds.values():
        post(log, events)
    with closing(instructor(log)) as one:
        until_idle(one, log)
    assert found(log) == {f: wanted(events) for f, events in feeds.items()}
    assert all(len(p) > 50 for p in found(log).values())
    assert log.lag(GROUP, ANNOTATIONS) == 0


@pytest.mark.timeout(240)
def test_whoever_dies_another_goes_on_without_losing_or_doubling(log: Log) -> None:
    """Events come a few at a time; after some the member is gone without a word, as kill -9 would have it."""
    feeds = {f: scene(f, i, 200) for i, f in enumerate(("door", "hall"))}
    one, steps = instructor(log), 0
    try:
        for at in range(0, max(map(len, feeds.values())), 40):
            for events in feeds.values():
                post(log, events[at : at + 40])
            for _ in range(4):
                one.step(timeout_s=0.05)
            steps += 1
            if steps % 4 == 3:
                one.close()  # its partitions are given on; what it had in mind is lost
                one = instructor(log)
        until_idle(one, log)
    finally:
        one.close()
    assert found(log) == {f: wanted(events) for f, events in feeds.items()}


def test_a_transaction_that_fails_leaves_nothing_and_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = scene("door", 0)
    with closing(SqliteLog(tmp_path / "log")) as log:
        post(log, events)
        real, times = log.transaction, [0]

        def failing():  # type: ignore[no-untyped-def]
            times[0] += 1
            if times[0] % 3 == 1:
                raise FencedError("another holds it")
            return real()

        monkeypatch.setattr(log, "transaction", failing)
        with closing(instructor(log)) as one:
            until_idle(one, log)
        monkeypatch.undo()
        assert times[0] > 5
        assert found(log) == {"door": wanted(events)}


def test_second_thoughts_that_came_in_time_are_taken_in(tmp_path: Path) -> None:
    """The dog is told as entity 2 and then as 3, which turns out to be the same before the clip is handed out."""
    events = scene("door", 0, 60)
    change = msgspec.structs.replace
    told: list[Event] = []
    for e in events:
        body = e.body
        if isinstance(body, ev.Masklet) and body.entity == 2 and body.start_us >= 2_000_000:
            body = change(body, entity=3)
        told.append(change(e, body=body))
        if isinstance(body, ev.ChunkDone) and e.seq == 3:
            merged = ev.EntityMerged(entity=2, merged=3, at_us=4_000_000, similarity=0.9, reason="same look")
            told.append(Event("door", e.seq, e.n + 1, merged))
    with closing(SqliteLog(tmp_path / "log")) as log:
        post(log, told)
        with closing(instructor(log)) as one:
            until_idle(one, log)
        pairs = found(log)["door"]
    assert {r.entity for p in pairs for r in p.regions} == {1, 2}
    (dog,) = (p for p in pairs if p.family == "visible" and p.form == "open" and p.claims[0].kind == "stays"
              and p.claims[0].entity == 2 and not p.regions)  # fmt: skip
    assert [tuple(s) for s in dog.claims[0].spans] == [(0, 4_900_000)]


@pytest.mark.slow
def test_a_feed_that_breaks_off_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its events go into its state; the offset moves on, and when it goes on its clip is whole."""
    monkeypatch.setattr("instruct.stream._LONGEST_TRAIL", 60)
    monkeypatch.setattr("instruct.stream._SAVE_EVERY", 40)
    quiet = scene("door", 0)
    with closing(SqliteLog(tmp_path / "log")) as log:
        post(log, quiet[:70])
        with log.transaction() as tx:  # only to see who shares its partition
            for f in ("door", *(f"f{i}" for i in range(99))):
                tx.send(Message(QUERIES, f, b"x"))
        places = {r.key: r.partition for r in log.read(QUERIES)}
        same = [f for f in places if f != "door" and places[f] == places["door"]][:3]
        others = {f: scene(f, i) for i, f in enumerate(same)}
        for events in others.values():
            post(log, events)
        with closing(instructor(log)) as one:
            until_idle(one, log)
        assert log.lag(GROUP, ANNOTATIONS) < 60
        post(log, quiet[70:])
        with closing(instructor(log)) as one:  # another process
            until_idle(one, log)
        assert found(log) == {"door": wanted(quiet), **{f: wanted(events) for f, events in others.items()}}


def test_what_is_no_event_is_left_out_and_its_feed_goes_on(tmp_path: Path) -> None:
    events = scene("door", 0)
    with closing(SqliteLog(tmp_path / "log")) as log:
        post(log, events[:50])
        with log.transaction() as tx:
            tx.send(Message(ANNOTATIONS, "door", b"\x00", {"ce_type": "masklet", "ce_id": "door/1/1"}))
            tx.send(Message(ANNOTATIONS, "door", b"{}", {"ce_type": "of.later", "ce_id": "door/1/1"}))
            tx.send(Message(ANNOTATIONS, "door", b"{}"))
        post(log, events[50:])
        with closing(instructor(log)) as one:
            until_idle(one, log)
        assert found(log) == {"door": wanted(events)}


def test_memory_is_bounded_by_what_is_needed(tmp_path: Path) -> None:
    with closing(SqliteLog(tmp_path / "log")) as log:
        post(log, scene("door", 0))
        with closing(instructor(log)) as one:
            until_idle(one, log)
            assert one._feeds == {}
            assert all(not trail for trail in one._trails.values())


def test_a_message_is_a_cloud_event(tmp_path: Path) -> None:
    pair = wanted(scene("door", 0, 60))[0]
    m = message(pair)
    assert (m.topic, m.key) == (INSTRUCTIONS, "door")
    assert m.headers["ce_id"] == pair.id
    assert msgspec.json.decode(m.value, type=Pair) == pair
