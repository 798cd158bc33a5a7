"""Annotation events with second thoughts taken in: who was given two names has one, who bore another's name for a while
has its own. The events of the log stay as they were said, in their order; this is for whoever reads them afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from stream.events import (
    Action,
    Body,
    EntityAppeared,
    EntityDescribed,
    EntityExited,
    EntityMerged,
    EntityReentered,
    EntitySplit,
    Event,
    Masklet,
    MaskletFrame,
    MaskletRevised,
    QueryAmbiguous,
    QueryBound,
    QueryUnbound,
)


@dataclass(frozen=True, slots=True)
class Hindsight:
    """What has turned out since: merges by the entity that is gone, and spans in which two bore each other's names."""

    merges: dict[int, EntityMerged]
    splits: tuple[tuple[tuple[int, int], EntitySplit], ...]
    """With the place (seq, n) of each event: what is said after it knows already."""

    @classmethod
    def of(cls, events: Iterable[Event]) -> Hindsight:
        merges: dict[int, EntityMerged] = {}
        splits: list[tuple[tuple[int, int], EntitySplit]] = []
        for event in events:
            if isinstance(event.body, EntityMerged):
                merges[event.body.merged] = event.body
            elif isinstance(event.body, EntitySplit):
                splits.append(((event.seq, event.n), event.body))
        return cls(merges, tuple(splits))

    def who(self, entity: int, pts_us: int, said: tuple[int, int], *, begun: bool = False) -> int:
        """Who it really was that an event at place `said` (seq, n) calls `entity` at a time. begun: not in the very
        moment in which the wrong name began, for then its owner left."""
        for place, s in self.splits:
            if said < place and s.since_us + begun <= pts_us < s.at_us and entity in (s.entity, s.into):
                entity = s.into if entity == s.entity else s.entity
        return self.kept(entity)

    def kept(self, entity: int) -> int:
        """The name that is left of those that were one."""
        for _ in range(len(self.merges)):
            if entity not in self.merges:
                break
            entity = self.merges[entity].entity
        return entity

    def mend(self, events: Iterable[Event]) -> Iterator[Event]:
        """The same events, told as if it had been known."""
        for event in events:
            for body in self._bodies(event.body, (event.seq, event.n)):
                yield event if body is event.body else msgspec.structs.replace(event, body=body)

    def _bodies(self, body: Body, said: tuple[int, int]) -> Iterator[Body]:
        match body:
            case Masklet() | MaskletRevised():
                yield from self._masks(body, said)
            case EntityAppeared() if body.entity in self.merges:
                merge = self.merges[body.entity]
                if merge.reason == "same look":  # it was no newcomer
                    yield EntityReentered(
                        entity=self.kept(body.entity), at_us=body.at_us, category=body.category,
                        score=body.score, bbox=body.bbox, similarity=merge.similarity,
                    )  # fmt: skip
            case EntityExited() | EntityReentered() | EntityDescribed() if self._doubled(body.entity):
                return
            case EntityExited():  # it may have left in another's name
                yield msgspec.structs.replace(body, entity=self.who(body.entity, body.at_us, said, begun=True))
            case EntityReentered():
                yield msgspec.structs.replace(body, entity=self.kept(body.entity))
            case EntityDescribed():
                yield msgspec.structs.replace(body, entity=self.kept(body.entity))
            case Action():
                if not self._doubled(body.entity):
                    middle = (body.start_us + body.end_us) // 2
                    yield msgspec.structs.replace(body, entity=self.who(body.entity, middle, said))
            case QueryBound() | QueryUnbound() | QueryAmbiguous():
                entities = list(dict.fromkeys(self.kept(e) for e in body.entities))
                yield msgspec.structs.replace(body, entities=entities)
            case _:
                yield body

    def _doubled(self, entity: int) -> bool:
        """Whether it stood where another stood: that one's masks are enough."""
        while entity in self.merges:
            if self.merges[entity].reason == "one place":
                return True
            entity = self.merges[entity].entity
        return False

    def _masks(self, body: Masklet | MaskletRevised, said: tuple[int, int]) -> Iterator[Masklet | MaskletRevised]:
        if self._doubled(body.entity):
            return
        if not self.splits and body.entity not in self.merges:  # as mostly: no frame has to be asked about
            yield body
            return
        by_name: dict[int, list[MaskletFrame]] = {}
        for frame in body.frames:
            by_name.setdefault(self.who(body.entity, frame.pts_us, said), []).append(frame)
        if list(by_name) == [body.entity]:
            yield body
            return
        for entity, frames in by_name.items():
            yield msgspec.structs.replace(body, entity=entity, start_us=frames[0].pts_us, frames=frames)
