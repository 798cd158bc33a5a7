"""What `video.queries` says, brought into a feed's state."""

from __future__ import annotations

import pytest

from engines.errors import UserError
from stream.events import Body, Error, QueryUnbound
from stream.expression import Expression
from stream.queries import MAX_QUERIES, QueryRequest, decode_request, encode_request, posted, update
from stream.region import parse_region
from stream.state import FeedState, restore, snapshot

RED, DOG = b'{"text":"the person in red"}', b'{"text":"the dog"}'
HALF = parse_region("0,0,0.5,1")


def asked(state: FeedState) -> list[tuple[str, str]]:
    return [(q.id, q.text) for q in state.refer.queries]


def test_its_own_and_everybodys() -> None:
    state = FeedState("door")
    assert update(state, {"door/a": RED, "*/b": DOG, "yard/c": DOG}) == []
    assert asked(state) == [("a", "the person in red"), ("b", "the dog")]
    assert state.scan.detected_us == -1


def test_its_own_goes_before_everybodys() -> None:
    state = FeedState("door")
    update(state, {"*/a": DOG, "door/a": RED})
    assert asked(state) == [("a", "the person in red")]
    update(state, {"*/a": DOG})
    assert asked(state) == [("a", "the dog")]


def test_taken_back_and_asked_anew() -> None:
    state = FeedState("door")
    update(state, {"door/a": RED, "door/b": RED})
    state.refer.queries[0].said, state.refer.queries[0].said_kind = [4], "bound"
    (anew,) = update(state, {"door/a": DOG, "door/b": RED})
    assert isinstance(anew, QueryUnbound)
    assert (anew.query, anew.entities, anew.reason) == ("a", [4], "asked anew")
    (gone,) = update(state, {"door/a": DOG})
    assert isinstance(gone, QueryUnbound)
    assert (gone.query, gone.reason) == ("b", "removed")


def test_nothing_new_changes_nothing() -> None:
    state = FeedState("door")
    table = {"door/a": RED, "door/m": encode_request(QueryRequest(roi=HALF))}
    update(state, table)
    scan = state.scan
    assert update(state, table) == []
    assert state.scan is scan, "a scan begun ahead stays good"
    state.scan.detected_us = 5
    update(state, {**table, "door/b": DOG})
    assert state.scan.detected_us == -1, "a new query is looked for at once"


def test_a_region_alone_is_the_feeds_mask() -> None:
    state = FeedState("door")
    update(state, {"door/m": encode_request(QueryRequest(roi=HALF)), "door/a": RED})
    assert (state.scan.masks, asked(state)) == ([HALF], [("a", "the person in red")])
    update(state, {"door/a": RED})
    assert state.scan.masks == []


@pytest.mark.parametrize(
    "value",
    [b"{", b"\xff\x00", b"7", b'{"text":7}', b"{}", b'{"text":""}', b'{"text":"xyzzy"}', b'{"roi":[[0,0],[1,1]]}',
     b'{"text":"the dog","roi":[[0,0],[2,0],[1,1]]}'],
)  # fmt: skip
def test_what_does_not_read_is_told_once(value: bytes) -> None:
    state = FeedState("door")
    (error,) = update(state, {"door/a": value, "door/b": DOG})
    assert isinstance(error, Error)
    assert (error.stage, error.code, error.seq) == ("query", "malformed", None)
    assert "query a" in error.message
    assert asked(state) == [("b", "the dog")]
    assert update(state, {"door/a": value, "door/b": DOG}) == []
    assert update(restore(snapshot(state)), {"door/a": value, "door/b": DOG}) == [], "nor after a restart"
    assert len(update(state, {"door/a": value + b"!", "door/b": DOG})) == 1, "another mistake is told"
    assert update(state, {"door/b": DOG}) == []
    assert state.unread_queries == {}


def test_a_feed_takes_so_many_queries_and_keeps_those_it_has() -> None:
    state = FeedState("door")
    full = {f"door/m{i:03}": DOG for i in range(MAX_QUERIES)}
    assert update(state, full) == []
    (error,) = update(state, {**full, "door/a": RED})
    assert isinstance(error, Error)
    assert "query a: this feed is asked 64" in error.message
    assert len(asked(state)) == MAX_QUERIES
    assert ("a", "the person in red") not in asked(state)
    del full["door/m007"]
    update(state, {**full, "door/a": RED})
    assert ("a", "the person in red") in asked(state), "there is room for it now"


def test_keys_that_are_none_are_left_out() -> None:
    assert [p.key for p in posted({"nokey": RED, "/a": RED, "f/": RED, "f/a": RED})] == ["f/a"]


def test_requests_there_and_back() -> None:
    for request in (QueryRequest("the dog"), QueryRequest("the dog", HALF), QueryRequest(roi=HALF)):
        assert decode_request(encode_request(request)) == request
    assert encode_request(QueryRequest("the dog")) == DOG
    with pytest.raises(UserError):
        encode_request(QueryRequest("xyzzy"))


def test_a_text_is_read_once_by_whoever_can() -> None:
    asked_for: list[str] = []

    def read(text: str) -> tuple[Expression | None, list[Body]]:
        asked_for.append(text)
        return Expression(text, "zorp", "person"), []

    state = FeedState("door")
    table = {"door/a": encode_request(QueryRequest("zorp zorp"), understood=False)}
    assert update(state, table, read) == []
    state = restore(snapshot(state))
    assert update(state, table, read) == []
    assert update(state, table) == [], "nor is it refused where there is no model now"
    assert asked_for == ["zorp zorp"]
    assert state.refer.queries[0].expression.category == "person"
