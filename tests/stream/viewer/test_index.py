"""What is known of a feed: changes by version, second thoughts, bounds."""

from __future__ import annotations

from stream import events as ev
from stream.events import Body, Event
from stream.viewer import index as module
from stream.viewer.index import MAX_CHUNKS, MAX_ENTITIES, MAX_PARTS, FeedIndex
from tests.told import STEP, appeared, back, left, masks, opened


def told(*bodies: Body, index: FeedIndex | None = None, seq: int = 0) -> FeedIndex:
    """An index that has taken these in, at offsets one after another."""
    index = index or FeedIndex("feed")
    for body in bodies:
        index.take(index.version, Event("feed", seq, index.version, body))
    return index


def done(seq: int) -> ev.ChunkDone:
    return ev.ChunkDone(
        seq=seq,
        frames=10,
        dropped=0,
        stage_us={},
        latency_us=None,
        start_us=seq * 1_000_000,
        end_us=(seq + 1) * 1_000_000,
    )


def bound(query: str, *entities: int) -> ev.QueryBound:
    return ev.QueryBound(query=query, text=query, entities=list(entities), score=0.9, margin=0.5, cues=[])


def test_all_at_first_then_what_changed() -> None:
    index = told(opened(1, 0), appeared(1, 0), appeared(2, 0), masks(1, 0, 10), masks(2, 0, 5), left(2, 4), done(0))
    everything = index.since(0)
    assert everything.full
    assert [e.entity for e in everything.entities] == [1, 2]
    assert everything.chunks == [(0, 0, 1_000_000)]
    assert everything.entities[1].presences == [(0, 4 * STEP, "edge")]
    nothing = index.since(everything.version)
    assert (nothing.entities, nothing.chunks, nothing.segments, nothing.queries) == ([], [], None, None)
    told(back(2, 20), masks(2, 20, 30), bound("q", 2), done(2), index=index, seq=2)
    news = index.since(everything.version)
    assert not news.full
    assert [e.entity for e in news.entities] == [2]
    assert news.entities[0].presences[-1] == (20 * STEP, 29 * STEP, "")
    assert news.chunks == [(2, 2_000_000, 3_000_000)]
    assert news.queries is not None
    assert [(q.query, q.outcome, q.entities) for q in news.queries] == [("q", "bound", [2])]


def test_a_version_of_another_server_gets_everything() -> None:
    index = told(appeared(1, 0), done(0), index=FeedIndex("feed", base=1000))
    assert not index.since(1001).full
    assert all(index.since(version).full for version in (-1, 0, 5, 1000, 10_000))


def test_where_the_feed_came_from_is_not_told() -> None:
    started = ev.FeedStarted(
        at_us=0,
        codec="h264",
        width=1,
        height=1,
        rate="",
        source="rtsp://u:p@c/",
        reencoded=False,
        profile="",
        engines=[],
    )
    facts = told(started).since(0).facts
    assert facts is not None
    assert facts.source == ""


def test_who_was_one_all_along_is_one() -> None:
    index = told(appeared(1, 0), masks(1, 0, 5), left(1, 4), appeared(2, 10), masks(2, 10, 15), bound("q", 2))
    version = index.version
    merged = ev.EntityMerged(entity=1, merged=2, at_us=15 * STEP, similarity=0.9, reason="same look")
    told(merged, masks(2, 15, 16), index=index)
    news = index.since(version)
    assert news.removed == [2]
    assert [e.entity for e in news.entities] == [1]
    assert news.entities[0].presences == [(0, 4 * STEP, "edge"), (10 * STEP, 15 * STEP, "")]
    assert news.queries is not None
    assert news.queries[0].entities == [1]


def test_a_double_leaves_nothing() -> None:
    index = told(appeared(1, 0), masks(1, 0, 5), appeared(2, 2), masks(2, 2, 5))
    told(ev.EntityMerged(entity=1, merged=2, at_us=5, similarity=0.9, reason="one place"), index=index)
    assert index.since(0).entities[0].presences == [(0, 4 * STEP, "")]
    assert len(index.since(0).entities) == 1


def test_ended_until_it_goes_on() -> None:
    index = told(done(0), ev.FeedEnded(at_us=1_000_000, reason="stopped"))
    assert index.ended == "stopped"
    assert told(done(2), index=index).ended == ""


def test_where_masks_of_a_chunk_may_still_be_told() -> None:
    index = FeedIndex("feed")
    for seq in range(10):
        told(masks(1, 10 * seq, 10 * seq + 10), done(seq), index=index, seq=seq)
    place = index.chunk(3)
    assert place is not None
    assert (place.first, place.last) == (6, 7)
    assert index.told_until(place, 2_000_000) == 13  # chunk 6 begins 2 s after chunk 3's end
    assert index.holding(3_500_000) == place
    assert index.holding(99_000_000) is None


def test_nothing_grows() -> None:
    index = FeedIndex("feed")
    for seq in range(MAX_CHUNKS + 500):
        told(done(seq), index=index, seq=seq)
    for entity in range(1, 4 * MAX_ENTITIES):
        told(appeared(entity, entity), masks(entity, entity, entity + 1), index=index)
    action = ev.Action(entity=5000, segment=1, start_us=0, end_us=1, text="waves", source="measured")
    told(appeared(5000, 0), *[action] * (3 * MAX_PARTS), index=index)
    for i in range(3 * MAX_PARTS):
        told(
            left(5000, 10 * i), back(5000, 10 * i + 8), masks(5000, 10 * i + 8, 10 * i + 10), opened(i, i), index=index
        )
        told(ev.FeedGap(start_us=i, end_us=i, reason=""), bound(f"q{i}", 1), index=index)
    for i in range(3 * module.MAX_SECOND_THOUGHTS):
        merged = ev.EntityMerged(entity=5000, merged=10_000 + i, at_us=0, similarity=0.9, reason="same look")
        told(merged, ev.EntitySplit(entity=1, into=2, at_us=2, since_us=1, similarity=0.5), index=index)
    view = index.since(0)
    assert len(view.chunks) == MAX_CHUNKS
    assert view.first_seq == 500
    assert len(view.entities) <= MAX_ENTITIES
    assert max(len(e.actions) for e in view.entities) <= MAX_PARTS
    assert max(len(e.presences) for e in view.entities) <= MAX_PARTS
    assert len(index.since(1).removed) <= 2 * MAX_ENTITIES
    assert all(part is not None and len(part) <= MAX_PARTS for part in (view.segments, view.gaps, view.queries))
    assert len(index.hindsight.merges) <= module.MAX_SECOND_THOUGHTS
    assert len(index.hindsight.splits) <= module.MAX_SECOND_THOUGHTS
