"""Annotation events, version 1: what leaves the worker, typed. `docs/events.md` is generated from this file.

An event is a CloudEvent: `id` is `feed/seq/n` (seq of the message that caused it, n its place among that message's
events), so a replay makes the same ids. All times are integer microseconds of the feed's presentation time; boxes
are xyxy pixels of the upright frame; masks are COCO RLE of the full frame. Only `chunk.done` holds wall-clock
durations: everything else is the same in every run.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Generic, Literal, TypeVar

import msgspec

VERSION = "1"
ExitReason = Literal["edge", "occluded", "cut", "lost"]
SegmentReason = Literal["start", "cut", "drift", "length", "end", "gap"]
Box = tuple[float, float, float, float]


MergeReason = Literal["one place", "same look"]


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all event bodies."""


class EngineUsed(msgspec.Struct, frozen=True):
    name: str
    role: str
    """What it does: detect, pose, segment, reidentify, refer; of endpoints refer (and describe), transcribe, read."""
    backend: str
    """What ran it: onnxruntime/CPU, litert, ...; of an endpoint its address."""
    sha256: str
    """Of the weights' file; empty for an endpoint."""


class Rle(msgspec.Struct, frozen=True, gc=False):
    """COCO run-length encoding, column-major, compressed counts; `size` is [height, width]."""

    size: tuple[int, int]
    counts: str


class FeedStarted(Body, frozen=True, kw_only=True):
    """The feed's first chunk came: what it is and which engines follow it."""

    at_us: int
    codec: str
    """As it came: h264, hevc, vp9, ..."""
    width: int
    """Pixels of the upright frame, as `height`."""
    height: int
    rate: str
    """Average frame rate as a fraction, 0/1 where unknown."""
    source: str
    """The file, address or scene the producer was given."""
    reencoded: bool
    """Whether the producer had to re-encode its first chunk."""
    profile: str
    engines: list[EngineUsed]
    """The networks in use; empty where motion alone is followed."""


class FeedEnded(Body, frozen=True, kw_only=True):
    """The producer closed the feed."""

    at_us: int
    reason: str
    """end, stopped or error (the source broke off)."""


class FeedGap(Body, frozen=True, kw_only=True):
    """A stretch of the feed that never came: the camera was away, or seqs are missing (first, last)."""

    start_us: int
    end_us: int
    reason: str
    """What the source said, `missing messages`, `corrupt chunk`, `oversized chunk` or `skipped: …` (by policy)."""
    missing_seqs: tuple[int, int] | None = None


class SegmentOpened(Body, frozen=True, kw_only=True):
    """A segment began, and why: the feed's start, a cut (a fade or a dissolve too), drifted colours or motion, or the
    last one had its longest length."""

    segment: int
    start_us: int
    reason: SegmentReason


class SegmentClosed(Body, frozen=True, kw_only=True):
    """A segment is over, and why: what opened the next one, a gap, or the feed's end."""

    segment: int
    start_us: int
    end_us: int
    reason: SegmentReason


class EntityAppeared(Body, frozen=True, kw_only=True):
    """A new entity was confirmed; `at_us` is when it was first detected. Masks of the look-back are earlier."""

    entity: int
    at_us: int
    category: str
    """One of COCO's 80, or `object` for what only motion found."""
    score: float
    """How sure the detector is."""
    bbox: Box
    """Where it was detected at `at_us`."""


class EntityExited(Body, frozen=True, kw_only=True):
    """The entity is no longer to be seen; `at_us` is its last sight. `bbox` is where it was then; of who went out over
    the frame's edge where it is thought to be by now, beyond that."""

    entity: int
    at_us: int
    reason: ExitReason
    """Out over the edge, behind another, gone at a cut, or lost."""
    bbox: Box


class EntityReentered(Body, frozen=True, kw_only=True):
    """A known entity is back; `similarity` in [0, 1] says how much it looks like itself. `at_us` is of the first
    detection: masks from the look-back are earlier."""

    entity: int
    at_us: int
    category: str
    score: float
    bbox: Box
    similarity: float


class EntityMerged(Body, frozen=True, kw_only=True):
    """Two entities were one all along: what was said of `merged` is true of `entity`, which goes on alone."""

    entity: int
    merged: int
    at_us: int
    similarity: float
    reason: MergeReason
    """Both were followed in one place, or one left before the other came and looked the same."""


class EntitySplit(Body, frozen=True, kw_only=True):
    """A mistake mended: what was followed as `entity` from `since_us` until now was `into`; where two had changed
    names, the other way round as well. Masks from now on are right."""

    entity: int
    into: int
    at_us: int
    since_us: int
    similarity: float
    """How much it still looked like `entity`, in [0, 1]."""


class EntityDescribed(Body, frozen=True, kw_only=True):
    """How a person would call the entity, from what was measured of it so far or by a model that looked."""

    entity: int
    expression: str
    """Tells it from the others in sight: `the person in a white top`."""
    noun: str
    category: str
    attributes: list[str]
    """All that can be said of it, most telling first."""
    source: str
    """What said so: `measured`, or `vlm` (which then has the last word)."""


class QueryBound(Body, frozen=True, kw_only=True):
    """A query found its entities; `cues` are the words that decided, each with its evidence in [0, 1]."""

    query: str
    """The query's name; `text` is what it asks for."""
    text: str
    entities: list[int]
    score: float
    """How often such an answer is right, in [0, 1] (calibrated on scenes with known truth)."""
    margin: float
    """How much evidence is lost in all the queries' best assignment if it is not this one."""
    cues: list[str]


TOO_LATE = "asked too late: nothing was looked at after it"
"""Why a query found nobody that was asked once the feed's last frame had been followed."""


class QueryUnbound(Body, frozen=True, kw_only=True):
    """A query let go of what it was bound to, was taken back, or found nobody by the end of the feed (`reason`)."""

    query: str
    text: str
    entities: list[int]
    """Whom it had been bound to."""
    reason: str


class QueryAmbiguous(Body, frozen=True, kw_only=True):
    """Several entities fit the query alike; `entities` are the candidates, best first."""

    query: str
    text: str
    entities: list[int]
    score: float
    margin: float
    cues: list[str]


class MaskletFrame(msgspec.Struct, frozen=True, gc=False):
    pts_us: int
    rle: Rle
    bbox: Box
    area: int
    score: float
    """How sure the mask is, in [0, 1]: detector and mask network where they looked, less where it was carried."""


class Masklet(Body, frozen=True, kw_only=True):
    """The entity's masks in this chunk, one a frame in which it is seen."""

    entity: int
    start_us: int
    frames: list[MaskletFrame]
    """In order of time."""


class MaskletRevised(Body, frozen=True, kw_only=True):
    """Masks of frames before the entity was confirmed, of earlier chunks too, within the look-back window."""

    entity: int
    start_us: int
    frames: list[MaskletFrame]
    """In order of time."""


class Action(Body, frozen=True, kw_only=True):
    """What the entity did, measured from its masks and landmarks."""

    entity: int
    segment: int
    """The segment it happened in."""
    start_us: int
    end_us: int
    text: str
    """In the third person: `moves to the left`, `raises the left arm`, `approaches the brown dog`."""
    source: str
    """What said so: `measured`, or `vlm` (which then has the last word)."""
    other: int | None = None
    """Whom the text names, by the expression of then; null where it names nobody."""


class ChunkDone(Body, frozen=True, kw_only=True):
    """A chunk is finished. The only event with wall-clock figures."""

    seq: int
    frames: int
    """Frames that were followed."""
    dropped: int
    """Frames that were not: every second one where the feed's policy is `degrade` and chunks wait."""
    stage_us: dict[str, int]
    """Wall-clock microseconds each stage took for this chunk."""
    latency_us: int | None
    """From capture to this event, live feeds only."""
    start_us: int | None = None
    """The stretch of feed time it covers, to `end_us`; null where an older worker told it."""
    end_us: int | None = None


class Error(Body, frozen=True, kw_only=True):
    """A message could not be processed: it lies in `video.deadletter` (but for a query) and the feed goes on. Or an
    endpoint did not answer: what was measured stands."""

    stage: str
    """Where it failed: header, decode or query; of an endpoint refer, recognise, transcribe or read."""
    code: str
    """malformed, corrupt_chunk or oversized; vlm or llm for an endpoint."""
    message: str
    seq: int | None
    """The message's seq, null where it could not be read and where no message is to blame."""


TYPES: dict[str, type[Body]] = {
    "feed.started": FeedStarted,
    "feed.ended": FeedEnded,
    "feed.gap": FeedGap,
    "segment.opened": SegmentOpened,
    "segment.closed": SegmentClosed,
    "entity.appeared": EntityAppeared,
    "entity.exited": EntityExited,
    "entity.reentered": EntityReentered,
    "entity.merged": EntityMerged,
    "entity.split": EntitySplit,
    "entity.described": EntityDescribed,
    "query.bound": QueryBound,
    "query.unbound": QueryUnbound,
    "query.ambiguous": QueryAmbiguous,
    "masklet": Masklet,
    "masklet.revised": MaskletRevised,
    "action": Action,
    "chunk.done": ChunkDone,
    "error": Error,
}
NAMES = {body: name for name, body in TYPES.items()}


class Event(msgspec.Struct, frozen=True):
    """One event: its place (`feed`, `seq`, `n`) and its body."""

    feed: str
    seq: int
    n: int
    body: Body

    @property
    def id(self) -> str:
        return f"{self.feed}/{self.seq}/{self.n}"

    @property
    def type(self) -> str:
        return NAMES[type(self.body)]

    def headers(self) -> dict[str, str]:
        """CloudEvents 1.0 attributes in binary mode."""
        return {
            "ce_specversion": "1.0",
            "ce_id": self.id,
            "ce_type": self.type,
            "ce_source": f"/feeds/{self.feed}",
            "content-type": "application/json",
            "strefer_schema": VERSION,
        }


class _Line(msgspec.Struct, frozen=True):
    """The structured (JSON) mode of CloudEvents: one line of annotations.jsonl."""

    specversion: str
    id: str
    type: str
    source: str
    data: msgspec.Raw


B = TypeVar("B", bound=Body)


class _Typed(msgspec.Struct, Generic[B], frozen=True):
    """The same line where its type is known before: its body is read with it, not passed over and then read."""

    specversion: str
    id: str
    type: str
    source: str
    data: B


_TYPE = re.compile(rb'"type":"([a-z.]+)"')
_TYPE_BEFORE_BYTES = 1000
"""The type stands in a line's first bytes, as `encode_line` writes it."""


@lru_cache
def _decoder(kind: str) -> msgspec.json.Decoder[_Typed[Body]] | None:
    return msgspec.json.Decoder(_Typed[TYPES[kind]]) if kind in TYPES else None  # type: ignore[valid-type]


def encode_body(body: Body) -> bytes:
    return msgspec.json.encode(body)


def encode_line(headers: dict[str, str], value: bytes) -> bytes:
    """An event message as one line of CloudEvents JSON, without the newline."""
    line = _Line(
        headers["ce_specversion"], headers["ce_id"], headers["ce_type"], headers["ce_source"], msgspec.Raw(value)
    )
    return msgspec.json.encode(line)


def decode_message(headers: dict[str, str], value: bytes | memoryview) -> Event:
    """The event of a message. Raises ValueError where it is none of this version."""
    kind = TYPES.get(headers.get("ce_type", ""))
    if kind is None:
        raise ValueError(f"ce_type is {headers.get('ce_type')!r}, wanted one of {sorted(TYPES)}")
    return _event(headers["ce_id"], msgspec.json.decode(value, type=kind))


def _event(name: str, body: Body) -> Event:
    feed, seq, n = name.rsplit("/", 2)
    return Event(feed, int(seq), int(n), body)


def decode_line(line: bytes | str) -> Event:
    """The event of one line of annotations.jsonl. Raises ValueError where it is none."""
    if isinstance(line, bytes):
        event = _at_once(line)
        if event is not None:
            return event
    try:
        raw = msgspec.json.decode(line, type=_Line)
    except msgspec.MsgspecError as e:
        raise ValueError(f"not an annotation event: {e}") from None
    return decode_message({"ce_type": raw.type, "ce_id": raw.id}, memoryview(raw.data))


def _at_once(line: bytes) -> Event | None:
    """The event of a line that is as we write it; None where it has to be read with more care."""
    found = _TYPE.search(line, 0, _TYPE_BEFORE_BYTES)
    decoder = _decoder(found[1].decode()) if found else None
    if found is None or decoder is None:
        return None
    try:
        typed = decoder.decode(line)
        return _event(typed.id, typed.data) if typed.type.encode() == found[1] else None
    except (ValueError, msgspec.MsgspecError):
        return None  # whoever reads it with more care tells what is wrong
