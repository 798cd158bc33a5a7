"""Video transcriber: the action timeline. What each entity does, measured from masks, boxes and landmarks.

At every look of the detector `step` reads, of everyone in sight, the way it moves (`movement`), what the body does
(`gesture`), what it does to others (`relation`) and where it comes in; `timeline` makes actions of the readings.
Absence needs no action: exits and re-entries tell it.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

import msgspec

from stream import gesture, movement, relation, timeline
from stream.body import body_of
from stream.entity import Entity
from stream.events import Action, Body, EntityExited
from stream.relation import Actor, Passing
from stream.timeline import Open, Reading, Span

KEEP_US = 1_600_000
"""How long the sights of an entity are kept."""
SOURCE = "measured"
_SHRINKS = 0.05
"""Share of a body's usual size that is forgotten each second: it may walk away, or bend for some seconds."""
_BORDER = 0.01
"""Share of the frame within which a box is at its border."""
_COMES_US, _THERE_US = 3_000_000, 700_000
"""Who is at the border for longer does not come in; who is there so soon after a segment's start was there before."""


class Story(msgspec.Struct):
    """One entity since it came into sight. open: its open words by channel. torso: usual, in pixels; 0 unknown.
    side: where it is at the frame's border, since `side_us`; comes: it has not been clear of it yet."""

    open: dict[str, Open] = msgspec.field(default_factory=dict)
    torso: float = 0.0
    seen_us: int = -1
    side: str = ""
    side_us: int = -1
    comes: bool = False


class TranscribeState(msgspec.Struct):
    stories: dict[int, Story] = msgspec.field(default_factory=dict)
    passing: dict[str, Passing] = msgspec.field(default_factory=dict)
    segment: int = 0
    segment_us: int = -1


class Transcriber:
    """`step` at every look tells what is over; `close` ends an entity's story (exit, segment end, feed end)."""

    def step(
        self, state: TranscribeState, everyone: Sequence[Entity], size: tuple[int, int], pts_us: int, segment: int
    ) -> list[Body]:
        """One look. everyone: who is visible or hidden, `sights` up to date. size: (H, W) of the working frame."""
        if segment != state.segment:
            state.segment, state.segment_us, state.passing = segment, pts_us, {}
        actors = [self._actor(state, e, size, pts_us) for e in everyone]
        ridden = {a.riding for a in actors}
        events: list[Body] = []
        for me in actors:
            story = state.stories[me.entity.id]
            readings: list[Reading] = []
            if me.entity.state == "visible":
                readings = _own(me, story, size, pts_us, ridden=me.entity.category in ridden)
                events += _told(me.entity.id, _border(state, story, me, size, pts_us, segment))
            readings += relation.readings(me, [a for a in actors if a is not me])
            events += _told(me.entity.id, timeline.read(story.open, readings, pts_us, segment))
        for who, span in relation.passing(state.passing, actors, pts_us, segment):
            events += _told(who, [span])
        return events

    def close(self, state: TranscribeState, entity: int, left: EntityExited | None = None) -> list[Body]:
        """End an entity's story. left: how it went out of sight, where it did."""
        story = state.stories.pop(entity, None)
        if story is None:
            return []
        spans = [span for channel in list(story.open) for span in timeline.close(story.open, channel)]
        if left is not None and left.reason == "edge" and story.side and not story.comes:
            start_us = max(story.side_us, left.at_us - _COMES_US)
            if start_us < left.at_us:
                spans.append(Span(f"goes out {_TO[story.side]}", start_us, left.at_us, state.segment))
        return _told(entity, spans)

    def _actor(self, state: TranscribeState, e: Entity, size: tuple[int, int], pts_us: int) -> Actor:
        e.sights = [s for s in e.sights if pts_us - s.pts_us <= KEEP_US]
        story = state.stories.setdefault(e.id, Story())
        if e.state != "visible" or not e.sights:
            return Actor(e, None, None)
        # Of who is mostly cut off above the network makes a body up.
        whole = statistics.median(s.y - s.h / 2 for s in e.sights) > 2 * _BORDER * size[0]
        body = body_of(e.sights) if e.category == "person" and whole else None
        if body is not None:
            passed_s = 0.0 if story.seen_us < 0 else (pts_us - story.seen_us) / 1e6
            story.torso = max(body.torso, story.torso * (1 - _SHRINKS) ** passed_s)
            story.seen_us = pts_us
        return Actor(e, movement.measure(e.category, e.sights), body, _rides(e))


_RIDES = 0.3
"""In what share of the last looks somebody was on a thing, of who rides it."""
_FROM = {"left": "from the left", "right": "from the right", "top": "from above"}
_TO = {"left": "to the left", "right": "to the right", "top": "upward"}


def _rides(e: Entity) -> str:
    on = [(share, phrase) for phrase, share in e.traits.company.items() if phrase.startswith("on the ")]
    return max(on)[1].removeprefix("on the ") if on and max(on)[0] >= _RIDES else ""


def _own(me: Actor, story: Story, size: tuple[int, int], pts_us: int, *, ridden: bool) -> list[Reading]:
    """What an entity does by itself. ridden: somebody sits on it, or on one of its kind."""
    out: list[Reading] = []
    person = me.entity.category == "person"
    legs = bool(me.entity.box[3] < size[0] * (1 - _BORDER))
    if me.body is not None:
        out += gesture.readings(me.body, pts_us, usual=story.torso, legs=legs, riding=bool(me.riding))
    jump = story.open.get("jump")
    if me.motion is None or any(r.channel == "jump" for r in out) or (jump and pts_us - jump.last_us < 1_000_000):
        return out
    body = me.body
    upright = body is not None and any(r.key == "standing" for r in out) and gesture.at_rest(body)
    pace = gesture.pace(body) if body is not None and legs else 0.0
    way = movement.way(me.motion, person=person, pace=pace, riding=me.riding, standing=upright)
    if way is None:
        return out
    if way.key == "still" and (ridden or story.side in ("left", "right")):
        return out  # the camera rides along; or it goes out, and what is left of it stands at the border
    if way.key == "still" and any(r.channel == "posture" and r.key != "standing" for r in out):
        return [*out, Reading("way", "posed", "")]  # what it does is sit, crouch, bend or lie
    return [*out, way]


def _border(
    state: TranscribeState, story: Story, me: Actor, size: tuple[int, int], pts_us: int, segment: int
) -> list[Span]:
    """Keep track of where an entity is at the frame's border, and tell when it has come in."""
    x0, y0, x1, _ = (float(v) for v in me.entity.box)
    near = _BORDER * size[1]
    side = "left" if x0 <= near else "right" if x1 >= size[1] - near else "top" if y0 <= near else ""
    fresh = story.side_us < 0
    if side == story.side and not fresh:
        return []
    came, since_us = (story.side, story.side_us) if story.comes else ("", -1)
    story.comes = fresh and bool(side) and pts_us - state.segment_us > _THERE_US
    story.side, story.side_us = side, pts_us
    if story.comes:
        story.side_us = max(me.entity.sights[0].pts_us, state.segment_us)
    if came and not side and 0 < pts_us - since_us <= _COMES_US:
        return [Span(f"comes in {_FROM[came]}", since_us, pts_us, segment)]
    return []


def _told(entity: int, spans: Iterable[Span]) -> list[Body]:
    return [
        Action(
            entity=entity, segment=s.segment, start_us=s.start_us, end_us=s.end_us, text=s.text, source=SOURCE,
            other=s.other,
        )
        for s in spans
    ]  # fmt: skip
