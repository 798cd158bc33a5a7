"""Redrawing masks: let the mask networks look again, and believe them only where they drew the same entity."""

from __future__ import annotations

import numpy as np

from stream import look as looks
from stream.entity import RIGID, SOLID, Entity, Sight, same_kind
from stream.outline import COST, Outline, Outliner
from stream.overlap import behind, in_front, reaches_into
from stream.patch import F32, HALF, Patch, iou, shared_area
from stream.sam import SamMasks
from stream.view import FollowOptions, FollowState, View

_RIGID_TRUST = 0.6
"""Share of a new mask in a rigid thing's shape."""


COMING_US = 1_000_000
"""Who was first seen less than this ago may be still on the way into sight."""


class Redraw:
    """Masks of known entities, by network. `step` spends the frame's budget; `take` serves detections."""

    def __init__(self, outliner: Outliner | SamMasks, options: FollowOptions) -> None:
        self._outliner, self._o = outliner, options

    def step(self, state: FollowState, view: View) -> None:
        """Let the mask networks look again, longest unseen first, as far as this frame's budget goes."""
        # What a frame leaves over the next may spend, so that an odd budget is not lost.
        state.credit = min(state.credit + self._o.budget, 2 * self._o.budget)
        for e in sorted(state.entities, key=lambda e: (not _comes_in(e, view), e.pose_us, e.id)):
            kind = self._outliner.kind(e.category)
            if e.patch is None or e.pose_us == view.pts_us or e.category == "object":
                spent = COST[kind] if e.pose_us == view.pts_us else 0  # a detection had it drawn already
                state.credit -= spent
                continue
            wait = {"pose": 0, "segment": 2, "cut": 8}[kind] * view.step_us
            if COST[kind] > state.credit or view.pts_us - e.pose_us < wait:
                continue
            tight = e.patch.box()
            if tight is None:
                continue
            state.credit -= COST[kind]
            whole = e.patch.area > 0.7 * e.reference_area
            # Half hidden, its tight box says where the rest shows, not where it is: keep to the whole box then.
            box = 0.5 * tight + 0.5 * e.box if whole else e.box
            ask = view.pts_us - e.asked_us >= self._o.ask_every_us
            seen = self._outliner.outline(
                view.rgb,
                box.astype(np.float32),
                e.category,
                e.patch,
                grow=0.15,
                hide=in_front_of(e, state.entities),
                second_opinion=ask,
            )
            e.pose_us = view.pts_us
            e.asked_us = view.pts_us if ask and seen.presence < 0.5 else e.asked_us
            if self._believable(e, seen, view, detected=False) and not self._captured(e, seen, state):
                self._draw(e, state.entities, view, seen, trust=0.85)
                if kind != "cut" and seen.presence > 0.5:
                    e.misses = min(e.misses, 2)  # the mask network still sees it, if the detector does not

    def take(self, e: Entity, others: list[Entity], view: View, box: F32, proposal: Outline | None) -> None:
        """A detection with this box is the entity: draw it there, unless the mask contradicts what is known."""
        was_hidden = e.patch is None or e.state == "hidden"
        if self._outliner.holds(e, box):
            self._stand(e, view, proposal or self._outliner.pose(view.rgb, box, e.category, e.patch))
            return
        if proposal is None:
            hide = in_front_of(e, others)
            proposal = self._outliner.outline(view.rgb, box, e.category, e.patch, grow=0.15, hide=hide)
        if was_hidden or self._believable(e, proposal, view, detected=True):
            self._draw(e, others, view, proposal, trust=1.0 if was_hidden else 0.85)

    def _believable(self, e: Entity, seen: Outline, view: View, *, detected: bool) -> bool:
        """Whether a redrawn mask can be the same entity's.

        It agrees with the one flow brought here, or, where flow lost its hold, looks more like the entity than that.
        """
        if e.patch is None or e.patch.area < 24:
            return detected
        coming = detected and seen.presence >= 0.5 and view.pts_us - e.first_us < COMING_US
        if coming and shared_area(seen.patch, e.patch) > 0.7 * e.patch.area:
            return True  # more of who is coming out or in
        agreement = iou(seen.patch, e.patch)
        if agreement > (0.25 if detected else 0.45 if seen.presence >= 0.5 else 0.6):
            return True
        if seen.presence < 0.5 or e.look is None or seen.patch.area < 0.15 * e.reference_area:
            return False
        new, old = (looks.measure(view.rgb, p, None) for p in (seen.patch, e.patch))
        alike = looks.similarity(new, e.look)
        return new is not None and alike > 0.6 and (old is None or alike > looks.similarity(old, e.look) + 0.03)

    def _captured(self, e: Entity, seen: Outline, state: FollowState) -> bool:
        """Whether the network drew a neighbour instead: most of its mask is another's."""
        area = max(1, seen.patch.area)
        for other in state.entities:
            if other is e or other.patch is None or not same_kind(e.category, other.category):
                continue
            mine = shared_area(e.patch, other.patch) if e.patch is not None else 0
            if shared_area(seen.patch, other.patch) > 0.5 * area and mine < 0.3 * area:
                return True
        return False

    def _draw(self, e: Entity, others: list[Entity], view: View, seen: Outline, *, trust: float) -> None:
        patch = seen.patch
        if view.sharpen is not None and self._outliner.kind(e.category) != "pose":
            patch = view.sharpen(
                patch, e.box, [o.patch for o in others if o is not e and o.patch is not None], e.category
            )
        if e.category in SOLID:
            patch = patch.solid()
        if e.category in RIGID and trust < 1 and not patch.at_edge(view.size):
            trust = _RIGID_TRUST  # its shape is known from before, and changes slowly
        if e.patch is not None and trust < 1:
            known = (e.shape or e.patch).on(patch.window)
            levels = np.float32(trust) * patch.prob + np.float32(1 - trust) * known
            if e.category in RIGID:  # behind another the network sees nothing of it
                for o in others:
                    if o is not e and o.patch is not None and in_front(o, e):
                        levels = np.where(o.patch.on(patch.window) >= HALF, known, levels)
            patch = Patch(patch.x0, patch.y0, levels.astype(np.uint8))
        e.patch = patch.main_part(keep=0.08).trim()
        e.shape = e.patch if e.category in RIGID else None
        e.slot = -1  # what was followed so far was something else
        self._stand(e, view, seen)

    def _stand(self, e: Entity, view: View, seen: Outline | None) -> None:
        """Remember how a person stands, where the network is sure that there is one."""
        e.pose_us = view.pts_us
        if seen is not None and seen.landmarks is not None and seen.presence > 0.5:
            e.sights.append(sight(e, view, seen.landmarks))


def in_front_of(e: Entity, entities: list[Entity]) -> list[Patch]:
    """Masks of people that reach far into the entity's box and are no smaller in it than its own: it stands behind."""
    return [
        other.patch
        for other in entities
        if other is not e
        and other.patch is not None
        and same_kind(e.category, other.category)
        and other.live
        and reaches_into(e.box, other.patch) > 0.12
        and behind(e, other)
    ]


def sight(e: Entity, view: View, landmarks: F32 | None) -> Sight:
    x0, y0, x1, y1 = (float(v) for v in e.box)
    camera = view.flow.camera if view.flow is not None else (0.0, 0.0)
    return Sight(view.pts_us, (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, camera[0], camera[1], landmarks)


def _comes_in(e: Entity, view: View) -> bool:
    """Whether the entity is new and touches the frame's border: more of it shows in every frame, which flow cannot
    know."""
    return e.patch is not None and view.pts_us - e.first_us < COMING_US and e.patch.at_edge(view.size)
