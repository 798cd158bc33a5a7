"""Masklet generator: follows entities frame by frame, causally, with one identity per real thing.

Between detections a mask is carried by optical flow and redrawn by its network as far as the frame's budget goes (in
profile sam2 by SAM 2's memory: `sam`); detections correct, confirm and begin entities. `step` is the whole of it, in
the order in which it happens; `associate` and `redraw` beside this hold its two larger parts.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from engines.crops import F32, U8
from engines.reid import ReidNet
from kernels.iou import box_iou
from stream import look as looks
from stream.associate import Associate, looks_tell
from stream.doubles import SecondThoughts, holder
from stream.entity import RIGID, Entity, same_kind
from stream.events import Body, EntityAppeared, EntityExited, EntityReentered, EntitySplit, ExitReason
from stream.lookback import Followed, Past, trace_back
from stream.outline import Outliner
from stream.overlap import claim, shadow
from stream.patch import Patch, window_of
from stream.redraw import Redraw
from stream.reidentify import Reidentifier
from stream.relight import relight
from stream.sam import SamMasks, Seen
from stream.strangers import Strangers
from stream.view import FollowOptions, FollowState, View, rounded

PATIENCE = 3
"""Further detections that a newcomer waits for, where a better sight may yet tell that it is a known one."""
REST, ALIKE, UNSURE = 0.4, 0.7, 0.5
"""Share of its usual mask under which what is drawn of an entity may be a rest, left on somebody else, and how alike a
newcomer must be to be taken for it."""
STRANGE = 0.25
"""How much less alike to its own look than a newcomer is what bears an entity's name, to be doubted."""
GHOST_SHARE, GHOST, GHOST_MISS, GHOST_AT_EDGE = 0.5, 0.52, 0.08, 0.35
"""Share of a person's usual mask under which it may be a ghost, left on what hid or stands behind the person; how alike
to the person it must be not to be one, and how much more for each look that did not find the person, two at most; how
alike where it was found, uncovered, and touches the frame's edge, behind which more may be: an arm looks different."""
OF_ITS_COLOURS, STAYS_GHOST = 0.7, 0.1
"""How far its colours are those of one half of the person from which it is no ghost but a part, and how much more of
both is asked for of what was a ghost the frame before. On the scenes of `bench.referring`, of 479 such masks of which
less than 0.3 is the person's 281 are ghosts by this, and of 234 of which more than 0.7 is, none."""
COVERED = 0.25
"""Share of an entity's box that others' masks cover, from which what shows of it may be the rim of theirs."""
STAYED = 0.6
"""IoU from which a newcomer stands where an entity was last detected: what is drawn of it elsewhere is on another."""


class Masklets:
    """`step` takes a frame and moves every entity on; the entities' `patch` are this frame's masks."""

    def __init__(
        self,
        outliner: Outliner | SamMasks,
        reid: ReidNet | None,
        reidentifier: Reidentifier,
        options: FollowOptions | None = None,
    ) -> None:
        self._outliner, self._reid, self._reidentifier = outliner, reid, reidentifier
        self._o = options or FollowOptions()
        self._redraw = Redraw(outliner, self._o)
        self._associate = Associate(outliner, self._redraw, self._o)
        self._strangers = Strangers(reidentifier)
        self._second_thoughts = SecondThoughts(self._strangers)
        self._sam = outliner if isinstance(outliner, SamMasks) else None

    def step(self, state: FollowState, view: View) -> list[Body]:
        """Follow every entity into this frame. Returns what changed: appeared, exited, re-entered."""
        events: list[Body] = []
        if view.cut:
            events += self.leave_all(state, "cut", view.scale)
            self._reidentifier.cut(state.gallery)
        if self._sam is not None:
            self._sam.look(state, view)
        self._carry(state, view)
        if self._sam is not None and view.flow is not None:
            self._sam.carry(state, view)
        carried = {e.id: e.patch for e in state.entities if e.patch is not None}
        if view.detections is not None:
            relight(state, view)
            self._associate.step(state, view, view.detections)
        if self._sam is None:
            self._redraw.step(state, view)
        drawn = [e for e in state.entities if e.patch is not None]
        for e in drawn:
            e.shape = (e.shape or e.patch) if e.category in RIGID else None
            e.patch = e.shape or e.patch  # what others hid of a rigid thing is still there, and may be in sight by now
        claim(drawn, carried, view.rgb, knows_instances=lambda category: self._outliner.kind(category) == "pose")
        self._settle(state, view)
        events += self._promote(state, view)
        events += self._dismiss(state, view)
        if view.detections is not None:
            events += self._second_thoughts.step(state, view)
        if self._sam is not None:
            self._sam.keep(state, view)
        return events

    def trace_back(self, past: Past, what: Followed) -> list[tuple[int, Patch]]:
        """Masks from before an entity was first detected: see `lookback.trace_back` and `SamMasks.trace_back`."""
        if isinstance(self._outliner, Outliner):
            return trace_back(past, what, self._outliner)
        traced = self._outliner.trace_back(what.first, what.first_us, what.size)
        return trace_back(past, what, None) if traced is None else traced

    def ready(self, e: Entity) -> Seen | None:
        """See `SamMasks.ready`; None in lite."""
        return None if self._sam is None else self._sam.ready(e)

    def leave_all(self, state: FollowState, reason: ExitReason, scale: float) -> list[Body]:
        """Every live entity exits at once: a cut, a gap, the feed's end."""
        events: list[Body] = []
        for e in state.entities:
            if e.state == "tentative":
                _forget(state, e)
            else:
                events.append(exited(e, reason, scale))
                self._reidentifier.put(state.gallery, e)
        state.entities = []
        return events

    def _carry(self, state: FollowState, view: View) -> None:
        seconds = max(1e-3, view.step_us / 1e6)
        camera = view.flow.camera if view.flow is not None else (0.0, 0.0)
        for e in state.entities:
            if e.patch is None or view.flow is None:
                dx, dy = (camera[0] + e.velocity[0] * seconds * 0.5, camera[1] + e.velocity[1] * seconds * 0.5)
                e.box = shifted(e.box, dx, dy)
                e.patch = None if view.flow is None else e.patch
                e.shape = None
                continue
            covered = e.patch.area < 0.3 * e.reference_area and shadow(e, state.entities, view.size) > COVERED
            dx, dy = view.flow.motion(e.patch)
            if e.category in RIGID:
                e.shape, e.patch = (
                    view.flow.carry_whole(e.shape or e.patch, like=e.patch),
                    view.flow.carry_whole(e.patch),
                )
            else:
                e.shape, e.patch = None, view.flow.carry(e.patch)
            if covered:  # what little shows may be the other's edge: the whole goes on as it went
                dx, dy = camera[0] + e.velocity[0] * seconds, camera[1] + e.velocity[1] * seconds
                e.patch = e.patch.within(window_of(e.box, view.size, grow=0.15))
            e.box = shifted(e.box, dx, dy)
            if not covered:
                own = ((dx - camera[0]) / seconds, (dy - camera[1]) / seconds)
                e.velocity = (0.85 * e.velocity[0] + 0.15 * own[0], 0.85 * e.velocity[1] + 0.15 * own[1])
                e.path = (e.path[0] + dx - camera[0], e.path[1] + dy - camera[1])

    def _settle(self, state: FollowState, view: View) -> None:
        """Areas, boxes and visibility after everybody has drawn and pixels are shared out."""
        for e in state.entities:
            area = e.patch.area if e.patch is not None else 0
            least = max(24.0, (0.12 if e.misses >= 2 else 0.03) * e.reference_area)
            if area < least:
                self._hide(e, state, view)
                continue
            assert e.patch is not None
            was_ghost, e.ghost, e.followed_us = e.ghost, self._is_ghost(e, state, view), view.pts_us
            if not e.ghost:
                e.seen_us, e.seen_box = view.pts_us, e.box.copy()
            elif not was_ghost:
                e.reason = self._why(e, state, view.size)
            if e.state == "hidden":
                e.state = "visible"
            e.reference_area = max(float(area), 0.995 * e.reference_area)
            tight = e.patch.box()
            if tight is not None and area > 0.6 * e.reference_area:
                e.box = (0.5 * e.box + 0.5 * tight).astype(np.float32)
            every = self._o.look_every_us // (3 if e.state == "tentative" else 1)
            if view.pts_us - e.looked_us >= every or e.look is None:
                self._look(e, view)

    def _hide(self, e: Entity, state: FollowState, view: View) -> None:
        """Nothing of it is to be seen."""
        if e.state == "visible":
            e.reason = e.reason if e.ghost else self._why(e, state, view.size)
            e.state = "hidden"
        e.patch, e.ghost = None, False

    def _is_ghost(self, e: Entity, state: FollowState, view: View) -> bool:
        """Whether the little that is drawn of a person shows somebody or something else by now."""
        if e.patch is None or e.look is None or not looks_tell(e, self._outliner):
            return False
        if e.patch.area > GHOST_SHARE * e.reference_area:
            return False
        now = looks.measure(view.rgb, e.patch, None)
        if now is None:
            return e.ghost
        stays = STAYS_GHOST if e.ghost and e.found_us != view.pts_us else 0.0
        if looks.of_colours(now, e.look) >= OF_ITS_COLOURS + stays:
            return False
        least = GHOST + GHOST_MISS * min(e.misses, 2)
        if e.misses == 0 and e.patch.at_edge(view.size) and shadow(e, state.entities, view.size) < COVERED:
            least = GHOST_AT_EDGE
        return looks.similarity(now, e.look) < least + stays

    def _look(self, e: Entity, view: View) -> None:
        """Remember how it looks, when enough of it shows."""
        assert e.patch is not None
        if e.look is not None and e.patch.area < 0.35 * e.reference_area:
            return
        tight = e.patch.box()
        embed = (
            self._reid.embed(view.rgb, tight) if self._reid and e.category == "person" and tight is not None else None
        )
        seen = looks.measure(view.rgb, e.patch, embed)
        if seen is not None and self._strangers.is_odd(e, seen):
            return  # `strangers` will see whose look it is
        if seen is not None:
            better = e.state == "tentative" and e.patch.area > 1.25 * e.look_area
            e.look, e.looked_us = looks.blend(None if better else e.look, seen), view.pts_us
            e.look_area = max(e.look_area, float(e.patch.area))

    def _why(self, e: Entity, state: FollowState, size: tuple[int, int]) -> ExitReason:
        h, w = size
        x0, y0, x1, y1 = (float(v) for v in e.box)
        if not (0 < (x0 + x1) / 2 < w and 0 < (y0 + y1) / 2 < h):
            return "edge"
        hidden_by = shadow(e, state.entities, size)
        if hidden_by > 0.3:
            return "occluded"
        mx, my = 0.02 * w, 0.02 * h
        if x0 < mx or x1 > w - mx or (y0 < my and e.velocity[1] < 0) or (y1 > h - my and e.velocity[1] > 0):
            return "edge"
        return "occluded" if hidden_by > 0.15 else "lost"

    def _promote(self, state: FollowState, view: View) -> list[Body]:
        """Tentative entities that were seen often enough get their identity: an old one, or a new id."""
        events: list[Body] = []
        for e in list(state.entities):
            if e.state != "tentative" or e.hits < self._o.confirm_hits or e.score < self._o.confirm_score:
                continue
            if e.look is None or e.patch is None or not self._active(e):
                continue
            rivals = [o for o in state.entities if o.live and same_kind(o.category, e.category)]
            answers = {o.id: _may_be(o, e, view.rgb) for o in rivals}
            young = e.hits < self._o.confirm_hits + PATIENCE
            if "wait" in answers.values() and (young or any(o.odd for o in rivals if answers[o.id] == "wait")):
                continue
            for other in [o for o in rivals if answers[o.id] == "yes"]:  # it may be the newcomer: let it be asked for
                _cut_short(state, other, e.first_us)
                events.append(exited(other, other.reason, view.scale))
                self._reidentifier.put(state.gallery, other)
                state.entities = [o for o in state.entities if o is not other]
            known = self._reidentifier.find(state.gallery, e, view.size)
            if known is None and young and self._reidentifier.may_know(state.gallery, e):
                continue  # half out of a hiding place it resembles nobody yet: wait for a better sight
            box = rounded(e.box if e.first_box is None else e.first_box, view.scale)
            e.state = "visible"
            seen_so_far, first = state.frames.pop(e.id, []), state.first_patches.pop(e.id, None)
            if known is not None:
                old, alike = known
                # what was drawn of it until then has been said: one mask a frame
                seen_so_far = [f for f in seen_so_far if f.pts_us > old.seen_us]
                since_us = max(e.first_us, seen_so_far[0].pts_us if seen_so_far else view.pts_us)
                if since_us != e.first_us:  # its place then is not its first of this stay
                    first, box = None, seen_so_far[0].bbox if seen_so_far else rounded(e.box, view.scale)
                e.id, e.category, e.expression, e.left_us = old.id, old.category, old.expression, old.seen_us
                e.look, e.traits, e.born_us = looks.blend(old.look, e.look), old.traits, old.born_us
                e.votes = {c: old.votes.get(c, 0) + e.votes.get(c, 0) for c in sorted({*old.votes, *e.votes})}
                events.append(
                    EntityReentered(
                        entity=e.id, at_us=since_us, category=e.category, score=round(e.score, 3), bbox=box,
                        similarity=round(alike, 3),
                    )
                )  # fmt: skip
            else:
                e.id, e.born_us = state.next_id, e.first_us
                e.within = holder(e, state.entities)
                state.next_id += 1
                events.append(
                    EntityAppeared(
                        entity=e.id, at_us=e.first_us, category=e.category, score=round(e.score, 3), bbox=box
                    )
                )
            if e.was and e.was != e.id:
                events.append(
                    EntitySplit(
                        entity=e.was, into=e.id, at_us=view.pts_us, since_us=e.odd_us, similarity=round(e.was_alike, 3)
                    )
                )
            e.was = 0
            state.frames.setdefault(e.id, []).extend(seen_so_far)
            if first is not None:
                state.first_patches[e.id] = first
        return events

    def _active(self, e: Entity) -> bool:
        """What only motion found must go on moving, and go somewhere, before it is more than a flickering curtain."""
        if e.category != "object":
            return True
        diagonal = float(np.hypot(e.box[2] - e.box[0], e.box[3] - e.box[1]))
        return e.hits >= self._o.object_hits and float(np.hypot(*e.path)) > 0.25 * diagonal

    def _dismiss(self, state: FollowState, view: View) -> list[Body]:
        """Who has been gone too long leaves; tentative ones nobody confirmed are forgotten."""
        events: list[Body] = []
        stay: list[Entity] = []
        for e in state.entities:
            if e.state == "tentative":
                patience = self._o.object_tentative_us if e.category == "object" else self._o.tentative_us
                if e.patch is not None and e.misses < 2 and view.pts_us - e.first_us <= patience:
                    stay.append(e)
                else:
                    _forget(state, e)
                continue
            unsupported = e.misses >= self._o.max_misses * (2 if self._outliner.kind(e.category) == "pose" else 1)
            if unsupported and e.state == "visible":
                self._hide(e, state, view)
            if e.state == "hidden" and (unsupported or view.pts_us - e.followed_us > self._o.hidden_us):
                events.append(exited(e, e.reason, view.scale))
                self._reidentifier.put(state.gallery, e)
                continue
            stay.append(e)
        state.entities = stay
        return events


def _forget(state: FollowState, e: Entity) -> None:
    state.frames.pop(e.id, None)
    state.first_patches.pop(e.id, None)


def _may_be(other: Entity, newcomer: Entity, rgb: U8) -> Literal["yes", "no", "wait"]:
    """Whether a live entity may be the newcomer, who has come out elsewhere: it was hidden before; or no detection has
    supported it since, and the newcomer looks more like it than what was still drawn of it, a rest on somebody else.
    `wait`: a better sight of the newcomer may yet tell, or whether the other is a stranger to its own look."""
    if other.state == "hidden" and other.followed_us < newcomer.first_us:
        return "yes"
    if other.look is None or newcomer.look is None:
        return "no"
    known = other.look
    alike = looks.similarity(looks.colours_only(newcomer.look), known)
    rest = looks.measure(rgb, other.patch, None) if other.patch is not None else None
    if other.found_us >= newcomer.first_us:  # `doubles` has yet to say whether what bears its name is still it
        strange = other.odd > 0 or (rest is not None and looks.similarity(rest, known) < alike - STRANGE)
        return "wait" if alike >= ALIKE and strange else "no"
    stayed = other.found_box is not None and box_iou(other.found_box[None], newcomer.box[None])[0, 0] >= STAYED
    small = other.patch is None or other.patch.area <= REST * other.reference_area
    if not small and not stayed and rest is not None and looks.similarity(rest, known) > max(alike, ALIKE) - 0.05:
        return "no"
    if alike >= ALIKE or (stayed and alike >= UNSURE):
        other.reason = "occluded"
        return "yes"
    return "wait" if alike >= UNSURE else "no"


def _cut_short(state: FollowState, e: Entity, until_us: int) -> None:
    """What was drawn of it since then was not it; masks that have gone out stay said."""
    unsent = state.frames.get(e.id, [])
    if unsent and unsent[0].pts_us < until_us:
        state.frames[e.id] = [f for f in unsent if f.pts_us < until_us]
        e.seen_us = e.followed_us = min(e.seen_us, state.frames[e.id][-1].pts_us)
    elif unsent:
        e.seen_us = e.followed_us = min(e.seen_us, max(until_us, unsent[0].pts_us) - 1)
        state.frames.pop(e.id)


def exited(e: Entity, reason: ExitReason, scale: float) -> EntityExited:
    e.reason = reason
    box = e.box if reason == "edge" or e.seen_box is None else e.seen_box
    return EntityExited(entity=e.id, at_us=e.seen_us, reason=reason, bbox=rounded(box, scale))


def shifted(box: F32, dx: float, dy: float) -> F32:
    return (box + np.array([dx, dy, dx, dy], np.float32)).astype(np.float32)
