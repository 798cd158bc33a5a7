"""What a question-answer pair is: its text, what it refers to, and the claims that make its answer checkable.

A pair's text is rendered from its claims; `instruct.verify` recomputes each claim from the events and holds the text
to the claims. Times are integer microseconds of the feed, as in events; times in text count from the clip's start.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from stream.events import Box, Rle

Group = Literal["mask+time", "mask", "time", "plain"]
"""How a question refers: by mask and timestamp, by mask, by timestamp, by neither. Strefer's four groups."""
Form = Literal["open", "yesno", "choice"]
Kind = Literal[
    "seen", "does", "acts", "part", "stays", "lasts", "returns", "place", "count", "before", "next", "together",
    "larger", "left_of", "called", "scenes",
]  # fmt: skip
GROUPS: tuple[Group, ...] = ("mask+time", "mask", "time", "plain")
REGION = "<region>"
"""Stands in the text for a region, in the order of `Pair.regions`."""
Spans = list[tuple[int, int]]


class Claim(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One fact, or its denial (`holds` false). `start_us` = `end_us` is an instant: a quarter second around it.

    | kind | says |
    |---|---|
    | seen | `entity` is in sight all through start..end (denied: at no time of it) |
    | does | `entity` does `text` all through start..end (denied: at no time of it) |
    | acts | `spans` are all times at which `entity` does `text` in the clip |
    | part | `entity` does `text` in the `n`-th third of the clip only, counted from 0 |
    | stays | `spans` are all times at which `entity` is in sight in the clip |
    | lasts | `entity` is in sight for `n` microseconds of the clip, all stretches together |
    | returns | `entity` leaves and comes back within the clip |
    | place | the middle of `entity`'s mask is in the `text` (left, middle, right) third all through start..end |
    | count | `n` entities of category `text` are in sight all through start..end, and no other for a part of it |
    | before | `entity` first comes into sight at least half a second before `other` does |
    | next | `other` is the next to come into sight first after `entity` did |
    | together | `entity` and `other` are in sight at one time, `spans` are all such times (denied: never) |
    | larger | `entity`'s mask is larger than `other`'s, by a quarter, all through start..end (denied: the reverse) |
    | left_of | the middle of `entity`'s mask is left of `other`'s, by a twentieth of the width, all through start..end
    (denied: the reverse) |
    | called | `text` is what `entity` is called at the end of the clip, and fits no other there |
    | scenes | `spans` are the clip's segments |
    """

    kind: Kind
    holds: bool = True
    entity: int = 0
    other: int = 0
    text: str = ""
    start_us: int = 0
    end_us: int = 0
    n: int = 0
    spans: Spans = []


class Region(msgspec.Struct, frozen=True, gc=False):
    """An entity shown by its mask in one frame, exactly as a `masklet` event holds it."""

    entity: int
    pts_us: int
    rle: Rle
    bbox: Box


class Name(msgspec.Struct, frozen=True, gc=False):
    """An entity called by its referring expression somewhere in the text."""

    entity: int
    text: str


class Pair(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A question and its answer. start_us, end_us: the clip of the feed they are about.
    rate: frames a second of the feed as a fraction, 0/1 where unknown.

    claims: of a `yesno` pair the first is what is asked, of a `choice` pair the first ones are the options in order;
    all others hold. evidence: ids of events that show it. options: texts of a `choice` pair, without letters.
    source: whether the text is a template's, or a language model's that says the same (`instruct.rewrite`).
    """

    id: str = ""
    feed: str
    video: str
    start_us: int
    end_us: int
    width: int
    height: int
    rate: str
    group: Group
    family: str
    form: Form
    question: str
    answer: str
    options: list[str]
    regions: list[Region]
    names: list[Name]
    claims: list[Claim]
    evidence: list[str]
    source: Literal["template", "llm"] = "template"


Unit = tuple[Pair, ...]
"""Pairs that are kept or dropped together: a question, or a yes/no question and its negative twin."""
