"""Second thoughts on one name: what bears it has become somebody else, who gets a name of their own.

- What is followed as a person or an animal looks like another one, look after look: the mask has moved over.
- It has changed from one look to the next, less than that, but all of it in sight and the light the same (`relight`):
  a jump cut, or a gap in the feed, has put another in its place.

A look is one of the detector's. Until it is clear, nothing is learnt from such sights (`is_odd`).
"""

from __future__ import annotations

from dataclasses import dataclass

from stream import look as looks
from stream.entity import LIVING, Entity, Look
from stream.events import EntityExited
from stream.reidentify import Reidentifier
from stream.view import FollowState, View, rounded

WHOLE, GROWS = 0.8, 1.5
"""Share of an entity's usual mask from which all of it is in sight, and of the largest mask of which its look is known
over which there is more of it than that."""


@dataclass(frozen=True, slots=True)
class Strangers:
    """`step` after every look of the detector.

    least: similarity to itself under which somebody is another (people on the sample clips keep 0.80 and more).
    replaced: the same, to itself and to the look before, where the change was sudden. patience: looks in a row that
    must agree.
    """

    reidentifier: Reidentifier
    least: float = 0.62
    replaced: float = 0.76
    patience: int = 4

    def step(self, state: FollowState, view: View) -> list[EntityExited]:
        """Who has left, of those whose names others bear by now; the others are tentative and will be asked for."""
        events: list[EntityExited] = []
        for e in list(state.entities):
            before, e.before = e.before, None
            seen = e.state == "visible" and e.category in LIVING and e.look is not None
            now = looks.of_most(view.rgb, e) if seen else None
            if now is None:
                continue
            e.before = now if e.misses == 0 and _is_whole(e) else None
            before_us, e.before_us = e.before_us, view.pts_us
            sudden = self._changed(before, e.before)
            if not self._is_another(e, now, sudden=sudden):
                e.odd, e.replaced = 0, False
                continue
            if any(looks.similarity(now, o) >= self.least for o in _met_by(e, state)):
                continue  # they may have changed names: that is for `SecondThoughts`
            if e.odd == 0:
                e.odd_us = _since(e, before, before_us, now, view) if sudden and before is not None else view.pts_us
            e.replaced |= sudden
            e.odd += 1
            if e.odd >= self.patience:
                events.append(self._part(state, e, now, view))
        return events

    def is_odd(self, e: Entity, now: Look) -> bool:
        """Whether a sight, with or without its embedding, is not to be taken for the entity's own look."""
        if e.look is None or e.category not in LIVING:
            return False
        colours = looks.colours_only(now)
        return self._is_another(e, colours, sudden=self._changed(e.before, colours))

    def _changed(self, before: Look | None, now: Look | None) -> bool:
        return before is not None and now is not None and looks.similarity(before, now) < self.replaced

    def _is_another(self, e: Entity, now: Look, *, sudden: bool) -> bool:
        assert e.look is not None
        least = self.replaced if sudden or e.replaced else self.least if e.look.count >= 4 else 0.0
        return looks.similarity(now, e.look) < least

    def _part(self, state: FollowState, e: Entity, now: Look, view: View) -> EntityExited:
        """Whose name it was has left; who bears it by mistake becomes tentative, to be asked for."""
        stranger = Entity(
            state.next_tentative, e.category, "tentative", e.odd_us, view.pts_us, e.box.copy(), e.patch, e.score,
            hits=e.hits, reference_area=e.reference_area, velocity=e.velocity, look=now, looked_us=view.pts_us,
            votes=dict(e.votes), pose_us=e.pose_us, found_us=e.found_us, odd_us=e.odd_us, was=e.id,
            was_alike=looks.similarity(now, e.look),
        )  # fmt: skip
        state.next_tentative -= 1
        frames = state.frames.pop(e.id, [])
        state.frames[e.id] = [f for f in frames if f.pts_us < e.odd_us]
        state.frames[stranger.id] = [f for f in frames if f.pts_us >= e.odd_us]
        stranger.sights = [s for s in e.sights if s.pts_us >= e.odd_us]
        e.seen_us = e.followed_us = e.found_us = e.odd_us
        e.reason = "cut" if e.replaced else "lost"
        e.odd, e.replaced, e.before = 0, False, None
        state.entities = [stranger if o is e else o for o in state.entities]
        self.reidentifier.put(state.gallery, e)
        return EntityExited(entity=e.id, at_us=e.odd_us, reason=e.reason, bbox=rounded(e.box, view.scale))


def _is_whole(e: Entity) -> bool:
    """Whether all of it is in sight, as it is known: more of who has just come in shows at every look."""
    known = e.look is not None and e.look.count >= 2
    return known and e.patch is not None and e.shows(WHOLE) and e.patch.area <= GROWS * e.look_area


def _since(e: Entity, before: Look, before_us: int, now: Look, view: View) -> int:
    """The first frame since the look before, at `before_us`, in which it looks like now."""
    at_us = view.pts_us
    if view.past is None or e.patch is None:
        return at_us
    for pts_us, image in zip(reversed(view.past.times), reversed(view.past.images), strict=True):
        h, w = image.shape[:2]
        if pts_us <= before_us:
            break
        then = looks.measure(image, e.patch.scaled(w / view.size[1], h / view.size[0]).within((0, 0, w, h)), None)
        if then is None or looks.similarity(then, before) >= looks.similarity(then, now):
            break
        at_us = pts_us
    return at_us


def _met_by(e: Entity, state: FollowState) -> list[Look]:
    """How those looked whom it has met of late."""
    return [m.look_b if m.a == e.id else m.look_a for m in state.met if e.id in (m.a, m.b)]
