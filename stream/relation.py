"""What one entity does to another: goes up to it, away from it, after it, behind it; touches it, reaches toward it, or
is hidden by it. All of it is measured in the picture; that two stand on one ground is told by the lower borders of
their boxes, as nearer things stand lower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from stream.body import ELBOW, FINGER, SHOULDER, WRIST, Body
from stream.company import RIDDEN
from stream.entity import Entity
from stream.movement import SLOW, STEADY, STILL, Motion
from stream.overlap import in_front, reaches_into
from stream.patch import HALF
from stream.posture import SURE
from stream.timeline import Reading, Span

AIMS = 0.8
"""Cosine of the angle between a way and the way to another, of who goes to or from it."""
NEAR, FAR = 1.0, 4.0
"""Body lengths between two of which one leaves the other, and beyond which nobody is gone up to."""
GROUND = 0.35
"""Share of the larger one's height by which the feet of two that meet are apart at most; of two that touch, a third."""
HAND = 0.2
"""Torsos from a hand within which it touches; four times as far it may reach."""
CLEAR = 0.6
"""Share of its usual mask that shows of whose hands are believed."""
HIDDEN, COVERED = 0.35, 0.4
"""Share of its usual mask that still shows of who is hidden, and share of its box that who hides it covers."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is in sight, with what was measured of it at this look. riding: what it sits on, empty for nothing."""

    entity: Entity
    motion: Motion | None
    body: Body | None
    riding: str = ""

    @property
    def name(self) -> str:
        return self.entity.expression or f"the {self.entity.category}"

    @property
    def moves(self) -> bool:
        m = self.motion
        return m is not None and m.speed >= STILL and m.steady >= STEADY and not m.by_camera


class Passing(msgspec.Struct):
    """Two boxes overlap: since when, on which side the first was, and in how many looks it was behind or in front."""

    start_us: int
    side: int
    last_us: int
    behind: int = 0
    front: int = 0
    moved: float = 0.0
    """By how much more the first has moved than the second, body lengths a second summed over looks."""


def readings(me: Actor, others: Sequence[Actor]) -> list[Reading]:
    """What one does to the others at this look."""
    e = me.entity
    if e.state == "hidden" or e.patch is None or e.patch.area < HIDDEN * e.reference_area:
        return _hidden(me, others)
    ways = [r for o in others if not _belong(me, o) and (r := _way(me, o)) is not None]
    hands = [h for o in others if not _belong(me, o) and (h := _hands(me, o)) is not None]
    return [r for _, r in sorted(ways, key=lambda w: w[0])[:1]] + hands[:1]


def _belong(a: Actor, b: Actor) -> bool:
    """A rider and what he rides are one here, and a person at a bicycle may well be its rider."""
    kinds = a.entity.category, b.entity.category
    return "person" in kinds and any(k in RIDDEN for k in kinds)


def _way(me: Actor, other: Actor) -> tuple[float, Reading] | None:
    """Goes up to, away from or after another, with the distance in body lengths."""
    m, o = me.motion, other.motion
    if m is None or o is None or not me.moves or not _one_ground(me, other, GROUND):
        return None
    way = np.array([m.vx, m.vy])
    to = np.array([o.x - m.x, o.y - m.y])
    gap = _gap(me, other) / m.length
    aim = float(way @ to) / max(1e-6, float(np.hypot(*way) * np.hypot(*to)))
    theirs = np.array([o.vx, o.vy]) * o.length / m.length
    i = other.entity.id
    if aim >= AIMS and gap <= FAR:
        along = float(way @ theirs) / max(1e-6, float(np.hypot(*way) * np.hypot(*theirs)))
        if other.moves and along >= AIMS and float(np.hypot(*(way - theirs))) < 0.4 * m.speed:
            return gap, Reading("toward", f"follows/{i}", f"follows {other.name}", other=i)
        if gap > 0.1 and float((way - theirs) @ to) > 0 and (not other.moves or along < 0.5):
            return gap, Reading("toward", f"nears/{i}", f"approaches {other.name}", other=i)
    if aim <= -AIMS and gap <= NEAR and m.speed >= SLOW and not other.moves:
        return gap, Reading("toward", f"leaves/{i}", f"moves away from {other.name}", other=i)
    return None


def _hands(me: Actor, other: Actor) -> Reading | None:
    """Touches another with a hand, or stretches an arm out to it."""
    b, e = me.body, me.entity
    if b is None or e.patch is None or other.entity.patch is None or not _one_ground(me, other, GROUND / 2):
        return None
    if e.patch.area < CLEAR * e.reference_area:
        return None  # behind the other every hand seems to be at it
    mark = next((s.landmarks for s in reversed(me.entity.sights) if s.landmarks is not None), None)
    i = other.entity.id
    reaching = False
    for side in (0, 1):
        if mark is None or mark[[SHOULDER + side, ELBOW + side, WRIST + side], 2].min() < SURE:
            continue
        shoulder, elbow, wrist, finger = (mark[j + side, :2] for j in (SHOULDER, ELBOW, WRIST, FINGER))
        if _distance(e, wrist) > HAND / 2 * b.torso:
            continue  # its own mask does not reach there: hidden, or guessed
        away = min(_distance(other.entity, wrist), _distance(other.entity, finger)) / b.torso
        if away <= HAND:
            return Reading("touch", f"touches/{i}", f"touches {other.name}", other=i)
        arm = float(np.hypot(*(elbow - shoulder)) + np.hypot(*(wrist - elbow)))
        out = float(np.hypot(*(wrist - shoulder)))
        x0, y0, x1, y1 = other.entity.box
        to = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) - shoulder
        aim = float((wrist - shoulder) @ to) / max(1e-6, out * float(np.hypot(*to)))
        level = abs(float(wrist[0] - shoulder[0])) > 0.4 * b.torso  # an arm that hangs points at the ground
        reaching |= away <= 4 * HAND and out > 0.85 * arm and aim > AIMS and level
    return Reading("touch", f"reaches/{i}", f"reaches toward {other.name}", other=i) if reaching else None


def _distance(e: Entity, point: np.ndarray) -> float:
    """Pixels from a point to the nearest pixel of the entity's mask (far: to its box)."""
    x0, y0, x1, y1 = (float(v) for v in e.box)
    box = float(np.hypot(max(x0 - point[0], 0, point[0] - x1), max(y0 - point[1], 0, point[1] - y1)))
    if box > 0 or e.patch is None:
        return box
    ys, xs = np.nonzero(e.patch.prob[::2, ::2] >= HALF)
    if not len(xs):
        return box
    return float(np.sqrt(np.min((2 * xs + e.patch.x0 - point[0]) ** 2 + (2 * ys + e.patch.y0 - point[1]) ** 2)))


def _hidden(me: Actor, others: Sequence[Actor]) -> list[Reading]:
    covers = [
        (reaches_into(me.entity.box, o.entity.patch), -o.entity.id, o)
        for o in others
        if o.entity.patch is not None and in_front(o.entity, me.entity)
    ]
    if not covers or max(covers)[0] < COVERED:
        return []
    by = max(covers)[2]
    return [Reading("hidden", f"hidden/{by.entity.id}", f"is hidden by {by.name}", other=by.entity.id)]


def passing(known: dict[str, Passing], actors: Sequence[Actor], pts_us: int, segment: int) -> list[tuple[int, Span]]:
    """Who has passed behind or in front of whom by this look: (entity, what it did). known: pairs on the way."""
    out: list[tuple[int, Span]] = []
    met: set[str] = set()
    for n, a in enumerate(actors):
        for b in actors[n + 1 :]:
            if _belong(a, b):
                continue
            key = f"{a.entity.id}/{b.entity.id}"
            apart = float(a.entity.box[0] + a.entity.box[2] - b.entity.box[0] - b.entity.box[2]) / 2
            wide = float(a.entity.box[2] - a.entity.box[0] + b.entity.box[2] - b.entity.box[0]) / 2
            if abs(apart) < wide and _levels_meet(a.entity, b.entity):
                met.add(key)
                p = known.setdefault(key, Passing(pts_us, 1 if apart > 0 else -1, pts_us))
                p.last_us = pts_us
                if abs(apart) < 0.6 * wide:
                    p.behind += in_front(b.entity, a.entity)
                    p.front += in_front(a.entity, b.entity)
                p.moved += (a.motion.speed if a.motion else 0.0) - (b.motion.speed if b.motion else 0.0)
            elif key in known:
                out += _passed(known[key], 1 if apart > 0 else -1, a, b, segment)
    for key in [k for k in known if k not in met]:
        del known[key]
    return out


def _passed(p: Passing, side: int, a: Actor, b: Actor, segment: int) -> list[tuple[int, Span]]:
    if side == p.side or max(p.behind, p.front) < 2 or p.behind == p.front:
        return []
    behind = p.behind > p.front
    who, whom = (a, b) if p.moved > 0 else (b, a)
    if who.entity.state != "visible":
        return []  # it may never come out
    word = "behind" if behind == (who is a) else "in front of"
    text = f"passes {word} {whom.name}"
    return [(who.entity.id, Span(text, p.start_us, p.last_us, segment, whom.entity.id))]


def _levels_meet(a: Entity, b: Entity) -> bool:
    """Whether two boxes share heights: who is above another in the picture does not pass it."""
    shared = min(a.box[3], b.box[3]) - max(a.box[1], b.box[1])
    return bool(shared > 0.3 * min(a.box[3] - a.box[1], b.box[3] - b.box[1]))


def _one_ground(a: Actor, b: Actor, share: float) -> bool:
    boxes = a.entity.box, b.entity.box
    high = max(float(x[3] - x[1]) for x in boxes)
    return abs(float(boxes[0][3] - boxes[1][3])) <= share * high


def _gap(a: Actor, b: Actor) -> float:
    """Pixels between two boxes, 0 where they overlap."""
    x, y = a.entity.box, b.entity.box
    across = max(float(x[0] - y[2]), float(y[0] - x[2]), 0.0)
    down = max(float(x[1] - y[3]), float(y[1] - x[3]), 0.0)
    return float(np.hypot(across, down))
