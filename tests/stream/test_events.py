"""Events to bytes and back: in messages, in lines, and what is refused."""

from __future__ import annotations

import json

import pytest

from stream.events import (
    TYPES,
    EntityAppeared,
    EntityExited,
    Error,
    Event,
    FeedGap,
    Masklet,
    MaskletFrame,
    QueryBound,
    Rle,
    decode_line,
    decode_message,
    encode_body,
    encode_line,
)

FRAME = MaskletFrame(40_000, Rle((4, 6), "PPYo1"), (1.0, 2.0, 3.5, 4.0), 7, 0.9)
BODIES = [
    EntityAppeared(entity=3, at_us=40_000, category="person", score=0.5, bbox=(0.0, 1.0, 2.0, 3.0)),
    EntityExited(entity=3, at_us=1, reason="edge", bbox=(0.0, 1.0, 2.0, 3.0)),
    FeedGap(start_us=1, end_us=2, reason="missing messages", missing_seqs=(4, 7)),
    FeedGap(start_us=1, end_us=2, reason="camera away"),
    Masklet(entity=3, start_us=40_000, frames=[FRAME, FRAME]),
    QueryBound(query="q1", text='the "dog" <b>', entities=[1, 2], score=0.7, margin=0.1, cues=["category dog"]),
    Error(stage="decode", code="corrupt_chunk", message="naïve\nline", seq=None),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda b: type(b).__name__)
@pytest.mark.parametrize("feed", ["door", "a.b-c_d", "Tür"])
def test_there_and_back(body: object, feed: str) -> None:
    event = Event(feed, 12, 3, body)  # type: ignore[arg-type]
    value = encode_body(event.body)
    assert decode_message(event.headers(), value) == event
    line = encode_line(event.headers(), value)
    assert b"\n" not in line
    assert decode_line(line) == event
    plain = json.loads(line)
    assert (plain["id"], plain["type"], plain["specversion"]) == (f"{feed}/12/3", event.type, "1.0")
    assert plain["source"] == f"/feeds/{feed}"


@pytest.mark.parametrize("body", BODIES, ids=lambda b: type(b).__name__)
def test_lines_of_other_writers(body: object) -> None:
    """Keys in another order, a type told twice or within the body, blanks: what is read does not hang on how."""
    event = Event('a"type":"error"', 12, 3, body)  # type: ignore[arg-type]
    plain = json.loads(encode_line(event.headers(), encode_body(event.body)))
    within = {"data": {"type": "error", **plain["data"]}, **{k: v for k, v in plain.items() if k != "data"}}
    for told in (dict(reversed(plain.items())), within):
        for blanks in ((",", ":"), (", ", ": ")):
            line = json.dumps(told, separators=blanks)
            assert decode_line(line) == decode_line(line.encode()) == event
    twice = encode_line(event.headers(), encode_body(event.body)).replace(b'"type":', b'"type":"error","type":', 1)
    assert decode_line(twice) == event


def test_headers_are_cloudevents() -> None:
    headers = Event("door", 0, 0, BODIES[0]).headers()
    assert headers["ce_specversion"] == "1.0"
    assert {"ce_id", "ce_type", "ce_source", "content-type"} <= set(headers)
    assert all(isinstance(v, str) for v in headers.values())


def test_type_names_are_those_of_the_design() -> None:
    assert set(TYPES) == {
        "feed.started", "feed.ended", "feed.gap", "segment.opened", "segment.closed", "entity.appeared",
        "entity.exited", "entity.reentered", "entity.merged", "entity.split",
        "entity.described", "query.bound", "query.unbound", "query.ambiguous",
        "masklet", "masklet.revised", "action", "chunk.done", "error",
    }  # fmt: skip


@pytest.mark.parametrize("line", [b"", b"{}", b"nonsense", b'{"id":"a/1/2"}', b"[1,2]"])
def test_lines_that_are_no_events(line: bytes) -> None:
    with pytest.raises(ValueError, match="not an annotation event"):
        decode_line(line)


def test_unknown_type() -> None:
    event = Event("door", 0, 0, BODIES[0])
    with pytest.raises(ValueError, match=r"ce_type is 'entity\.vanished', wanted one of"):
        decode_message({**event.headers(), "ce_type": "entity.vanished"}, encode_body(event.body))


def test_body_of_another_type() -> None:
    event = Event("door", 0, 0, BODIES[0])
    with pytest.raises(ValueError, match="missing required field"):
        decode_message({**event.headers(), "ce_type": "masklet"}, encode_body(event.body))
