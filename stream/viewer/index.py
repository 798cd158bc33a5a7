"""What the viewer knows of one feed: a window of its chunks and the story told in it. Bounded, however long the feed.

Every change takes the next number, so that a reader who has seen version n is given what changed since, however slow it
is: nothing is kept for a reader.
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Iterator

import msgspec

from stream.events import (
    Action,
    Body,
    ChunkDone,
    EntityAppeared,
    EntityDescribed,
    EntityExited,
    EntityMerged,
    EntityReentered,
    EntitySplit,
    Error,
    Event,
    FeedEnded,
    FeedGap,
    FeedStarted,
    Masklet,
    MaskletRevised,
    QueryAmbiguous,
    QueryBound,
    QueryUnbound,
    SegmentClosed,
    SegmentOpened,
)
from stream.mended import Hindsight
from stream.story import EntityStory, QueryStory, Segment, Story, take, unbroken

MAX_CHUNKS = 7200
"""Chunks that can be gone back to: two hours of a second each."""
MAX_ENTITIES = 256
MAX_PARTS = 128
"""Presences and actions kept of an entity, segments and gaps of a feed."""
MAX_SECOND_THOUGHTS = 256
_OfAnEntity = EntityAppeared | EntityExited | EntityReentered | EntityDescribed | Action | Masklet | MaskletRevised


class ChunkPlace(msgspec.Struct, frozen=True, gc=False):
    """A finished chunk: its stretch of feed time, and where in the feed's partition its events lie (offsets)."""

    seq: int
    start_us: int
    end_us: int
    first: int
    last: int
    version: int


class EntityView(msgspec.Struct, frozen=True):
    """presences: (start_us, end_us, why it left or ''). actions: (start_us, end_us, text). picture_us: when it shows
    itself best, -1 where it has no mask yet."""

    entity: int
    category: str
    expression: str
    presences: list[tuple[int, int, str]]
    actions: list[tuple[int, int, str]]
    picture_us: int


class FeedView(msgspec.Struct, frozen=True, tag="feed"):
    """What changed of a feed since a version. What is None has not changed."""

    feed: str
    version: int
    full: bool
    first_seq: int
    chunks: list[tuple[int, int, int]]
    """(seq, start_us, end_us), in order."""
    entities: list[EntityView]
    removed: list[int]
    ended: str
    """Why the feed ended; empty while it goes on."""
    facts: FeedStarted | None
    queries: list[QueryStory] | None
    segments: list[Segment] | None
    gaps: list[tuple[int, int, str]] | None
    errors: int


class FeedIndex:
    """Takes a feed's events in order and says what is known. Not thread-safe.

    An entity that turns out to have been another is given to that one. Where two had borne each other's names
    (`entity.split`) masks are told by their right ones, presences in that stretch stay as they were first told.
    """

    def __init__(self, feed: str, *, base: int = 0) -> None:
        """base: what versions count from. Two servers that begin at different places of a log have different ones, so
        that a page that comes back to another server is told everything."""
        self.feed, self.version, self._base = feed, base, base
        self.hindsight = Hindsight({}, ())
        self._story = Story(feed=feed)
        self._chunks: deque[ChunkPlace] = deque(maxlen=MAX_CHUNKS)
        self._seq, self._first = -1, -1
        self._entities: dict[int, int] = {}  # entity -> version of its last change
        self._removed: dict[int, int] = {}
        self._changed = {"facts": 0, "queries": 0, "segments": 0, "gaps": 0}
        self._ended = ""
        self._errors = 0

    @property
    def newest(self) -> ChunkPlace | None:
        return self._chunks[-1] if self._chunks else None

    @property
    def ended(self) -> str:
        return self._ended

    def chunk(self, seq: int) -> ChunkPlace | None:
        """A chunk of the window by its seq."""
        at = bisect.bisect_left(self._chunks, seq, key=lambda c: c.seq)
        return self._chunks[at] if at < len(self._chunks) and self._chunks[at].seq == seq else None

    def holding(self, pts_us: int) -> ChunkPlace | None:
        """The chunk of the window that a time lies in."""
        at = bisect.bisect_right(self._chunks, pts_us, key=lambda c: c.start_us) - 1
        return self._chunks[at] if at >= 0 and pts_us < self._chunks[at].end_us else None

    def told_until(self, place: ChunkPlace, look_back_us: int) -> int:
        """The offset up to which events may say something of a chunk's frames: later chunks revise masks."""
        at = bisect.bisect_left(self._chunks, place.seq, key=lambda c: c.seq)
        last = place.last
        while at < len(self._chunks) and self._chunks[at].start_us <= place.end_us + look_back_us:
            last, at = self._chunks[at].last, at + 1
        return last

    def entity(self, entity: int) -> EntityStory | None:
        return self._story.entities.get(entity)

    def present(self) -> int:
        """How many entities have a mask at the end of the newest chunk."""
        if not self._chunks:
            return 0
        since_us = self._chunks[-1].end_us - 400_000
        return sum(e.last_us >= since_us for e in self._story.entities.values())

    def take(self, offset: int, event: Event) -> None:
        """Add an event that lies at an offset."""
        self.version += 1
        if event.seq != self._seq:
            self._seq, self._first = event.seq, offset
        body = event.body
        match body:
            case ChunkDone():
                if body.start_us is not None and body.end_us is not None:
                    place = ChunkPlace(body.seq, body.start_us, body.end_us, self._first, offset, self.version)
                    self._chunks.append(place)
                    self._ended = ""
            case FeedEnded():
                self._ended = body.reason
            case Error():
                self._errors += 1
            case EntityMerged():
                self._merge(body)
            case EntitySplit():
                splits = (*self.hindsight.splits, ((event.seq, event.n), body))
                self.hindsight = Hindsight(self.hindsight.merges, splits[-MAX_SECOND_THOUGHTS:])
            case _:
                for mended in self.hindsight.mend([event]):
                    self._tell(mended)

    def since(self, version: int) -> FeedView:
        """What changed after a version, all of it where the version is none of ours."""
        full = not self._base < version <= self.version
        after = 0 if full else version
        story, changed = self._story, {part: full or at > after for part, at in self._changed.items()}
        return FeedView(
            feed=self.feed,
            version=self.version,
            full=full,
            first_seq=self._chunks[0].seq if self._chunks else 0,
            chunks=[(c.seq, c.start_us, c.end_us) for c in self._chunks_since(after)],
            entities=[_view(story.entities[e]) for e, at in self._entities.items() if at > after],
            removed=[] if full else [e for e, at in self._removed.items() if at > after],
            ended=self._ended,
            facts=msgspec.structs.replace(story.started, source="") if changed["facts"] and story.started else None,
            queries=list(story.queries.values()) if changed["queries"] else None,
            segments=list(story.segments) if changed["segments"] else None,
            gaps=[(g.start_us, g.end_us, g.reason) for g in story.gaps] if changed["gaps"] else None,
            errors=self._errors,
        )

    def _chunks_since(self, version: int) -> Iterator[ChunkPlace]:
        at = bisect.bisect_right(self._chunks, version, key=lambda c: c.version)
        return (self._chunks[i] for i in range(at, len(self._chunks)))

    def _tell(self, event: Event) -> None:
        take(self._story, event)
        body: Body = event.body
        if isinstance(body, _OfAnEntity):
            self._touch(body.entity)
        elif isinstance(body, QueryBound | QueryAmbiguous | QueryUnbound):
            self._changed["queries"] = self.version
            self._story.queries = dict(list(self._story.queries.items())[-MAX_PARTS:])
        elif isinstance(body, SegmentOpened | SegmentClosed):
            self._changed["segments"] = self.version
            del self._story.segments[:-MAX_PARTS]
        elif isinstance(body, FeedGap):
            self._changed["gaps"] = self.version
            del self._story.gaps[:-MAX_PARTS]
        elif isinstance(body, FeedStarted):
            self._changed["facts"] = self.version

    def _touch(self, entity: int) -> None:
        e = self._story.entities[entity]
        del e.presences[: -2 * MAX_PARTS], e.returns[:-MAX_PARTS], e.actions[:-MAX_PARTS]
        self._entities.pop(entity, None)
        self._entities[entity] = self.version  # the longest untouched comes first
        self._removed.pop(entity, None)
        if len(self._entities) > MAX_ENTITIES:
            self._remove(next(iter(self._entities)))

    def _remove(self, entity: int) -> None:
        self._entities.pop(entity, None)
        self._story.entities.pop(entity, None)
        self._removed[entity] = self.version
        while len(self._removed) > 2 * MAX_ENTITIES:
            del self._removed[next(iter(self._removed))]

    def _merge(self, merge: EntityMerged) -> None:
        merges = {**self.hindsight.merges, merge.merged: merge}
        kept = dict(list(merges.items())[-MAX_SECOND_THOUGHTS:])
        self.hindsight = Hindsight(kept, self.hindsight.splits)
        gone, into = self._story.entities.get(merge.merged), self._story.entities.get(merge.entity)
        if gone is None or into is None:
            return
        if merge.reason == "same look":  # otherwise its masks were the other's, seen twice
            into.presences = sorted([*into.presences, *gone.presences], key=lambda p: (p.start_us, p.end_us))
            into.returns = sorted([*into.returns, *gone.returns, gone.first_us])
            into.actions += gone.actions
            into.frames, into.last_us = into.frames + gone.frames, max(into.last_us, gone.last_us)
        self._remove(merge.merged)
        self._touch(merge.entity)
        for query in self._story.queries.values():
            if merge.merged in query.entities:
                query.entities = list(dict.fromkeys(self.hindsight.kept(e) for e in query.entities))
                self._changed["queries"] = self.version


def _view(e: EntityStory) -> EntityView:
    parts = unbroken(e.presences, e.returns)[-MAX_PARTS:]
    acts = sorted((a.start_us, a.end_us, a.text) for a in e.actions)
    picture_us = e.best.frame.pts_us if e.best is not None else -1
    return EntityView(
        e.entity, e.category, e.expression, [(p.start_us, p.end_us, p.left) for p in parts], acts, picture_us
    )
