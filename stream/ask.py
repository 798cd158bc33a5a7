"""When models behind endpoints are asked: at the end of a chunk, about what measuring could not settle, within limits.

What was asked and answered is in the feed's state, so that a worker that goes on asks nothing twice. An endpoint that
does not answer costs the feed nothing but time: what was measured stands, an `error` event says so once, and it is left
alone for a pause that grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from engines.chat import Asks, Chat, ChatError
from engines.crops import F32, U8
from stream import recognize_vlm, refer, refer_vlm, transcribe_vlm
from stream.entity import Entity
from stream.events import Action, Body, EngineUsed, EntityDescribed, Error
from stream.expression import Expression
from stream.parse import parse
from stream.parse_llm import parse_by
from stream.recognize_vlm import MAX_ENTITIES, MAX_FRAMES
from stream.refer import UNMEASURED, Asked, Query, ReferState

BY = "vlm"
"""Whose opinion it is, in cues and as the source of descriptions."""
EVERY_US = 2_000_000
"""Feed time between two questions of one kind at least."""
ACTIONS_US = 4_000_000
"""The same between two questions of what everybody does."""
LOOKS = 3
"""Looks at an entity before it is asked about: what is seen once may be nothing."""
SIGHTS = 6
"""The same before it is described."""
AGAIN_US = 10_000_000
"""After which an entity is asked about a second time, and for the last."""
DESCRIBE_AGAIN_US = 30_000_000
"""After which an entity is asked about again of which the model had nothing to say."""
FIRST_PAUSE_US, LONGEST_PAUSE_US = 5_000_000, 60_000_000
CAUSES = 8
"""Causes that are remembered as told."""


@dataclass(frozen=True, slots=True)
class Models:
    """The endpoints of a process. vlm: refers and describes; with `actions` it also tells what everybody does. llm:
    reads expressions. None: nobody does."""

    vlm: Chat | None = None
    llm: Chat | None = None
    actions: bool = False

    def used(self) -> list[EngineUsed]:
        """As `feed.started` tells them."""
        roles = (("refer", self.vlm), ("transcribe", self.vlm if self.actions else None), ("read", self.llm))
        return [EngineUsed(c.endpoint.model, role, _address(c.endpoint.base_url), "") for role, c in roles if c]


class Trouble(msgspec.Struct):
    """An endpoint that fails: how often in a row, since when, and which causes were told."""

    failures: int = 0
    failed_us: int = -1
    told: list[str] = msgspec.field(default_factory=list)


class Described(msgspec.Struct, frozen=True):
    """When an entity was asked about, and whether something was said of it."""

    at_us: int
    said: bool


class AskState(msgspec.Struct):
    """What was asked of a feed; the opinions themselves are with the queries. All times are the feed's."""

    referred_us: int = -1
    described_us: int = -1
    acted_us: int = -1
    described: dict[int, Described] = msgspec.field(default_factory=dict)
    """By entity; those that are forgotten leave."""
    vlm: Trouble = msgspec.field(default_factory=Trouble)
    llm: Trouble = msgspec.field(default_factory=Trouble)


class Keyframes:
    """The frames of a chunk in which most is to be seen, 4 at most, in their order; they are in no state."""

    def __init__(self) -> None:
        self._kept: list[tuple[U8, dict[int, F32], int]] = []

    def offer(self, rgb: U8, boxes: dict[int, F32], pts_us: int) -> None:
        """Keep a copy of a frame [H, W, 3] with its entities' boxes [4] xyxy pixels, if it shows more than others."""
        if len(self._kept) == MAX_FRAMES:
            poorest = min(self._kept, key=lambda kept: len(kept[1]))
            if len(poorest[1]) >= len(boxes):
                return
            self._kept = [kept for kept in self._kept if kept is not poorest]
        if boxes:
            self._kept.append((rgb.copy(), boxes, pts_us))

    def clear(self) -> None:
        self._kept = []

    def entities(self) -> set[int]:
        return {i for _, boxes, _ in self._kept for i in boxes}

    def span(self, entity: int) -> tuple[int, int]:
        """Times of the first and the last frame that shows it."""
        times = [at_us for _, boxes, at_us in self._kept if entity in boxes]
        return min(times), max(times)

    def of(self, entities: set[int]) -> tuple[list[U8], list[dict[int, F32]]]:
        """The frames that show some of these, with their boxes only."""
        some = [(rgb, {i: b for i, b in boxes.items() if i in entities}) for rgb, boxes, _ in self._kept]
        return [rgb for rgb, boxes in some if boxes], [boxes for _, boxes in some if boxes]


class Asker:
    """Asks the models; `step` at the end of each chunk, `read` for each new query."""

    def __init__(self, vlm: Asks | None, llm: Asks | None, *, actions: bool = False) -> None:
        self.looks = vlm is not None
        self._vlm, self._llm, self._actions = vlm, llm, actions

    def step(
        self, state: AskState, queries: ReferState, known: Mapping[int, Entity], shown: Keyframes, at_us: int,
        segment: int = 0,
    ) -> list[Body]:  # fmt: skip
        """What the model that looks says of entities and of what queries mean. known: all that live or are dormant.
        segment: the one that goes on at the chunk's end."""
        state.described = {i: d for i, d in state.described.items() if i in known}
        events: list[Body] = []
        # the second is not asked where the first has failed
        for ask in (self._refer, self._describe):
            if self._vlm is not None and not _rests(state.vlm, at_us):
                events += ask(self._vlm, state, queries, known, shown, at_us)
        if self._vlm is not None and self._actions and not _rests(state.vlm, at_us):
            events += self._transcribe(self._vlm, state, known, shown, at_us, segment)
        return events

    def read(self, state: AskState, text: str, at_us: int) -> tuple[Expression | None, list[Body]]:
        """What a query's text says, None for what `parse` says, and what is to be told of the reading.

        Raises UserError where nobody reads it.
        """
        if self._llm is None or _rests(state.llm, at_us):
            parse(text)
            return None, []
        try:
            reading = parse_by(self._llm, text)
        except ValueError as e:
            if isinstance(e.__cause__, ChatError):  # who raised it has told the cause
                _failed(state.llm, at_us, "read", "llm", str(e.__cause__))
            raise
        if reading.silent:
            return None, _failed(state.llm, at_us, "read", "llm", reading.fallback)
        state.llm = Trouble()
        if reading.fallback:
            return None, [Error(stage="read", code="llm", message=f"{text!r}: {reading.fallback}", seq=None)]
        return reading.expression, []

    def _refer(
        self, vlm: Asks, state: AskState, queries: ReferState, known: Mapping[int, Entity], shown: Keyframes, at_us: int
    ) -> list[Body]:
        if _lately(state.referred_us, at_us, EVERY_US):
            return []
        seen = shown.entities() & known.keys()
        open_ones = ((q, _due(q, seen, at_us)) for q in queries.queries)
        asked = [(q, some) for q, some in open_ones if some][: refer_vlm.MAX_TEXTS]
        if not asked:
            return []
        due = sorted({i for _, some in asked for i in some})
        # who is not asked about is shown too: `the girl` is one beside others
        others = sorted({i for q, _ in asked for i in q.evidence.keys() & seen} - set(due))
        marked = set([*due, *others][:MAX_ENTITIES])
        state.referred_us = at_us
        try:
            found = refer_vlm.ask(vlm, *shown.of(marked), [q.text for q, _ in asked])
        except ChatError as e:
            return _failed(state.vlm, at_us, "refer", "vlm", str(e))
        state.vlm = Trouble()
        for (q, some), fits in zip(asked, found, strict=True):
            refer.opine(q, BY, {i: f for i, f in fits.items() if i in some})
            for i in some & marked:
                q.asked[i] = Asked(q.asked[i].times + 1 if i in q.asked else 1, at_us)
        everyone = {i: (e.category, e.traits) for i, e in known.items()}
        return refer.reconsider(queries, {q.id for q, _ in asked}, everyone)

    def _describe(
        self, vlm: Asks, state: AskState, _: ReferState, known: Mapping[int, Entity], shown: Keyframes, at_us: int
    ) -> list[Body]:
        if _lately(state.described_us, at_us, EVERY_US):
            return []
        seen = sorted(i for i in shown.entities() & known.keys() if known[i].traits.sights >= SIGHTS)
        new = [i for i in seen if not _was_asked(state.described.get(i), at_us)]
        if not new:
            return []
        marked = [*new, *(i for i in seen if i not in new)][:MAX_ENTITIES]
        state.described_us = at_us
        try:
            found = recognize_vlm.ask(vlm, *shown.of(set(marked)))
        except ChatError as e:
            return _failed(state.vlm, at_us, "recognise", "vlm", str(e))
        state.vlm = Trouble()
        events: list[Body] = []
        for i in sorted(set(new) & set(marked)):
            told, entity = found.get(i), known[i]
            state.described[i] = Described(at_us, told is not None)
            if told is not None:
                entity.expression = told.expression
                events.append(
                    EntityDescribed(
                        entity=i, expression=told.expression, noun=told.noun, category=entity.category,
                        attributes=list(told.attributes), source=BY,
                    )
                )  # fmt: skip
        return events

    def _transcribe(
        self, vlm: Asks, state: AskState, known: Mapping[int, Entity], shown: Keyframes, at_us: int, segment: int
    ) -> list[Body]:
        """Actions of the chunk's keyframes: of nobody who is told to do nothing, or shown in one frame only."""
        seen = sorted(i for i in shown.entities() & known.keys() if known[i].traits.sights >= LOOKS)[:MAX_ENTITIES]
        spans = {i: shown.span(i) for i in seen}
        if _lately(state.acted_us, at_us, ACTIONS_US) or not any(a < b for a, b in spans.values()):
            return []
        state.acted_us = at_us
        try:
            found = transcribe_vlm.ask(vlm, *shown.of(set(seen)))
        except ChatError as e:
            return _failed(state.vlm, at_us, "transcribe", "vlm", str(e))
        state.vlm = Trouble()
        return [
            Action(entity=i, segment=segment, start_us=spans[i][0], end_us=spans[i][1], text=text, source=BY)
            for i, text in found.items()
            if text is not None and spans[i][0] < spans[i][1]
        ]


def is_described(state: AskState, entity: int) -> bool:
    """Whether the model has said what to call it: what is measured says no more then."""
    told = state.described.get(entity)
    return told is not None and told.said


def rename(state: AskState, gone: int, kept: int) -> None:
    """Two entities were one."""
    told = state.described.pop(gone, None)
    if told is not None:
        state.described.setdefault(kept, told)


def doubt(state: AskState, entities: set[int]) -> None:
    """These were taken for one another: ask again."""
    state.described = {i: d for i, d in state.described.items() if i not in entities}


def _due(q: Query, seen: set[int], at_us: int) -> set[int]:
    """Who is to be asked about for a query; nobody where it is settled by what is measured."""
    may_be = {i for i in q.evidence.keys() & seen if q.looks.get(i, 0) >= LOOKS}
    settled = q.said_kind == "bound" and not q.expression.unknown
    if settled and not any(UNMEASURED in q.fits[i] for i in may_be):
        return set()
    return {i for i in may_be if _is_due(q.asked.get(i), at_us)}


def _is_due(asked: Asked | None, at_us: int) -> bool:
    return asked is None or (asked.times < 2 and not _lately(asked.at_us, at_us, AGAIN_US))


def _was_asked(told: Described | None, at_us: int) -> bool:
    return told is not None and (told.said or _lately(told.at_us, at_us, DESCRIBE_AGAIN_US))


def _lately(then_us: int, at_us: int, within_us: int) -> bool:
    """Whether something was less than so long ago; a feed whose time has begun anew knows of no before."""
    return then_us >= 0 and 0 <= at_us - then_us < within_us


def _rests(trouble: Trouble, at_us: int) -> bool:
    """Whether a failing endpoint is left alone now."""
    pause_us = min(LONGEST_PAUSE_US, FIRST_PAUSE_US << min(max(trouble.failures - 1, 0), 10))
    return _lately(trouble.failed_us, at_us, pause_us)


def _failed(trouble: Trouble, at_us: int, stage: str, code: str, cause: str) -> list[Body]:
    """Take note of a failure, and tell it unless it was told."""
    trouble.failures += 1
    trouble.failed_us = at_us
    if cause in trouble.told or len(trouble.told) >= CAUSES:
        return []
    trouble.told.append(cause)
    return [Error(stage=stage, code=code, message=cause, seq=None)]


def _address(url: str) -> str:
    """An endpoint's address without what may be a secret: user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
