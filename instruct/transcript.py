"""The entity-indexed transcript: per segment one slot per entity, in entity order; None where it is not there.

This is Strefer's temporally dense transcript (arXiv 2509.03501), built from annotation events alone: presence
intervals, order and negative questions fall out of it.
"""

from __future__ import annotations

from itertools import pairwise

import msgspec

from stream.events import Action
from stream.story import EntityStory, Segment, Story, clock


class Slot(msgspec.Struct, frozen=True):
    """What one entity does in one segment: when it is in sight and its actions, both clipped to the segment."""

    present_us: list[tuple[int, int]]
    actions: list[tuple[int, int, str]]
    text: str


class Row(msgspec.Struct, frozen=True):
    """One segment of the transcript. slots: by entity id (as text, for JSON), None where the entity is absent."""

    segment: int
    start_us: int
    end_us: int
    slots: dict[str, Slot | None]


def transcript(story: Story) -> list[Row]:
    """The transcript of a feed's story, one row a segment."""
    entities = sorted(story.entities)
    return [
        Row(s.segment, s.start_us, s.end_us, {str(e): slot(story.entities[e], s) for e in entities})
        for s in story.segments
    ]


def slot(e: EntityStory, segment: Segment) -> Slot | None:
    """An entity's slot of a segment, None where it is never in sight there."""
    present = [
        (max(p.start_us, segment.start_us), min(p.end_us, segment.end_us))
        for p in e.presences
        if p.start_us < segment.end_us and p.end_us >= segment.start_us
    ]
    if not present:
        return None
    actions = [
        (max(a.start_us, segment.start_us), min(a.end_us, segment.end_us), a.text)
        for a in sorted(e.actions, key=lambda a: (a.start_us, a.end_us, a.text))
        if _meets(a, segment)
    ]
    name = e.expression or f"the {e.category}"
    return Slot(present, actions, _sentence(name, present, actions, segment))


def _meets(action: Action, segment: Segment) -> bool:
    return action.start_us < segment.end_us and action.end_us > segment.start_us


def _sentence(name: str, present: list[tuple[int, int]], actions: list[tuple[int, int, str]], segment: Segment) -> str:
    said = [f"{text} from {clock(start)} to {clock(end)}" for start, end, text in actions]
    if not said:
        said = [f"is in sight from {clock(present[0][0])} to {clock(present[-1][1])}"]
    away = [f"out of sight from {clock(a[1])} to {clock(b[0])}" for a, b in pairwise(present)]
    return f"{name[0].upper()}{name[1:]} {', '.join(said)}{'; ' if away else ''}{', '.join(away)}."
