"""Second thoughts on identity: two names for one thing become one, and two things that changed names get them back.

- **Doubles in sight**: an entity that began inside another of its kind and was never apart from it, of which two the
  detector goes on finding one only. The younger goes.
- **Doubles in time**: somebody in sight who looks very much like one who left before it first came. It was he.
- **Strangers**: what bears a name has become somebody else: see `strangers`.
- **Switches**: two of a kind that met and parted. Who they were is remembered from before; when each then looks more
  like the other was, look after look, they change names back.

Each wants a clear lead, for some looks in a row: a wrong second thought is worse than none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream import look as looks
from stream.entity import MOST, Entity, Met, same_kind
from stream.events import Body, EntityMerged, EntitySplit, MergeReason
from stream.overlap import box_share
from stream.strangers import Strangers
from stream.view import FollowState, View

MEETINGS = 64
"""Most meetings remembered at once."""


@dataclass(frozen=True, slots=True)
class SecondThoughts:
    """`step` after every look of the detector.

    inside: share of the smaller box in the other from which two may be one. again: similarity that makes somebody in
    sight one who left, margin: lead over the next, embed: least cosine of people's re-identification vectors. crossed:
    how much more alike two must be the wrong way round. patience: looks in a row that must agree.
    """

    strangers: Strangers
    inside: float = 0.75
    again: float = 0.93
    margin: float = 0.06
    embed: float = 0.7
    crossed: float = 0.12
    patience: int = 4

    def step(self, state: FollowState, view: View) -> list[Body]:
        """Merges and splits that this look has made certain."""
        events = [*self._switches(state, view), *self.strangers.step(state, view)]
        return [*events, *self._in_sight(state, view), *self._in_time(state, view)]

    def _in_sight(self, state: FollowState, view: View) -> list[Body]:
        events: list[Body] = []
        live = [e for e in state.entities if e.live]
        pairs: dict[str, int] = {}
        for a, b in _pairs(live):
            old, young = (a, b) if a.born_us <= b.born_us else (b, a)
            if young.within != old.id:
                continue
            if _inside(a, b) < 0.3:
                young.within = 0  # they are two
            if _inside(a, b) < self.inside or min(a.misses, b.misses) > 0 or max(a.misses, b.misses) < 2:
                continue
            if looks.similarity(a.look, b.look) < 0.6:
                continue
            key = f"{old.id} {young.id}"
            pairs[key] = state.doubles.get(key, 0) + 1
            if pairs[key] >= self.patience and young in state.entities and old in state.entities:
                alike = looks.similarity(a.look, b.look)
                found = a if a.misses == 0 else b
                both = [e.patch for e in (old, young) if e.patch is not None]
                old.patch = both[0].joined(both[-1]) if both else None
                old.box, old.misses = found.box.copy(), 0
                state.entities = [e for e in state.entities if e is not young]
                events.append(_merge(state, old.id, young.id, view.pts_us, alike, "one place"))
        state.doubles = pairs
        return events

    def _in_time(self, state: FollowState, view: View) -> list[Body]:
        events: list[Body] = []
        for e in state.entities:
            if e.state != "visible" or e.look is None or e.look.count < 4 or e.looked_us != view.pts_us:
                continue
            scored = []
            for known in state.gallery.dormant:
                if same_kind(known.category, e.category) and known.look is not None:
                    scored.append((looks.similarity(known.look, e.look), -known.id, known))
            scored.sort(key=lambda s: s[:2], reverse=True)
            if not scored or scored[0][0] < self.again or scored[0][2].seen_us >= e.born_us:
                continue
            alike, _, known = scored[0]
            others = [s for s, _, _ in scored[1:]]
            others += [looks.similarity(known.look, o.look) for o in state.entities
                       if o is not e and o.live and same_kind(o.category, e.category)]  # fmt: skip
            if others and alike - max(others) < self.margin:
                continue
            if e.category == "person" and not self._same_person(known, e):
                continue
            gone, kept = e.id, known.id
            state.gallery.dormant = [k for k in state.gallery.dormant if k is not known]
            e.id, e.born_us, e.look = kept, known.born_us, looks.blend(known.look, e.look)
            events.append(_merge(state, kept, gone, view.pts_us, alike, "same look"))
        return events

    def _same_person(self, a: Entity, b: Entity) -> bool:
        if a.look is None or b.look is None or not len(a.look.embed) or not len(b.look.embed):
            return False
        return float(a.look.embed @ b.look.embed) >= self.embed

    def _switches(self, state: FollowState, view: View) -> list[Body]:
        events: list[EntitySplit] = []
        by_id = {e.id: e for e in state.entities if e.live}
        for a, b in _pairs(list(by_id.values())):
            known = any({m.a, m.b} == {a.id, b.id} for m in state.met)
            if not known and _inside(a, b) > 0.1 and a.look is not None and b.look is not None:
                state.met.append(Met(a.id, b.id, a.look, b.look))
        everyone = {e.id: e for e in state.gallery.dormant} | by_id
        kept: list[Met] = []
        for m in state.met[-MEETINGS:]:
            if m.a not in everyone or m.b not in everyone or not (m.a in by_id or m.b in by_id):
                continue
            a, b = everyone[m.a], everyone[m.b]
            lead, own = self._crossed(a, b, m, view)
            if lead < 0:
                m.doubt_us = -1
            elif m.doubt_us < 0:
                m.doubt_us = view.pts_us
            if a.live and b.live and _inside(a, b) > 0.1:
                m.apart = m.crossed = 0
                kept.append(m)
                continue
            m.apart += 1
            m.crossed = m.crossed + 1 if lead > self.crossed else 0
            if m.crossed >= self.patience and not events:
                events += _swap(state, a, b, m, view.pts_us, own)
            elif m.apart < 3 * self.patience:
                kept.append(m)
        if events:  # names have changed: what was remembered by them is forgotten
            kept = [m for m in kept if not {m.a, m.b} & {events[0].entity, events[0].into}]
        state.met = kept
        return [*events]

    def _crossed(self, a: Entity, b: Entity, m: Met, view: View) -> tuple[float, float]:
        """(how much more alike they are to who the other was, how alike to themselves), means of both, or of the one
        that is still in sight; (0, 1) where it cannot be seen or the two disagree."""
        looked = {a.id: m.look_a, b.id: m.look_b}
        gains, straight = [], []
        for e, other in ((a, b), (b, a)):
            if not e.live:
                continue
            if e.patch is None or not e.shows(MOST):
                return 0.0, 1.0
            now = looks.measure(view.rgb, e.patch, None)
            straight.append(looks.similarity(now, looked[e.id]))
            gains.append(looks.similarity(now, looked[other.id]) - straight[-1])
        agree = min(gains) > 0 or max(gains) < 0
        return (float(np.mean(gains)) if agree else 0.0), float(np.mean(straight))


def holder(e: Entity, entities: list[Entity]) -> int:
    """In whose box of its kind it lies for the most part; 0 for nobody's."""
    shares = [(_inside(e, o), -o.id) for o in entities if o is not e and o.live and same_kind(o.category, e.category)]
    share, number = max(shares, default=(0.0, 0))
    return -number if share > 0.6 else 0


def _pairs(entities: list[Entity]) -> list[tuple[Entity, Entity]]:
    return [(a, b) for i, a in enumerate(entities) for b in entities[i + 1 :] if same_kind(a.category, b.category)]


def _inside(a: Entity, b: Entity) -> float:
    """Share of the smaller box that lies in the other, in [0, 1]."""
    return max(box_share(a.box, b.box), box_share(b.box, a.box))


def _merge(state: FollowState, kept: int, gone: int, at_us: int, alike: float, reason: MergeReason) -> EntityMerged:
    """The masks that were not sent yet go with it; where both have one in a frame the larger stays."""
    if gone in state.first_patches:
        state.first_patches[kept] = state.first_patches.pop(gone)
    frames = {f.pts_us: f for f in state.frames.pop(gone, [])}
    for f in state.frames.get(kept, []):
        if f.pts_us not in frames or f.area >= frames[f.pts_us].area:
            frames[f.pts_us] = f
    if frames:
        state.frames[kept] = [frames[t] for t in sorted(frames)]
    return EntityMerged(entity=kept, merged=gone, at_us=at_us, similarity=round(alike, 3), reason=reason)


def _swap(state: FollowState, a: Entity, b: Entity, m: Met, at_us: int, own: float) -> list[EntitySplit]:
    """They change names, and with the name goes all that was known of who bore it before they met."""
    for name in ("id", "category", "born_us", "traits", "votes", "expression", "left_us"):
        mine, other = getattr(a, name), getattr(b, name)
        setattr(a, name, other)
        setattr(b, name, mine)
    a.look, b.look = m.look_b, m.look_a  # from before they met: since then each was measured as the other
    parts = {}
    for mine, other in ((m.a, m.b), (m.b, m.a)):
        before = [f for f in state.frames.get(mine, []) if f.pts_us < m.doubt_us]
        parts[mine] = before + [f for f in state.frames.get(other, []) if f.pts_us >= m.doubt_us]
    for entity, frames in parts.items():
        state.frames.pop(entity, None)
        if frames:
            state.frames[entity] = frames
    return [EntitySplit(entity=m.a, into=m.b, at_us=at_us, since_us=m.doubt_us, similarity=round(own, 3))]
