"""Masklet generator: follows entities frame by frame, causally, with one identity per real thing.

Between detections a mask is carried by optical flow and redrawn by its network as far as the frame's budget goes;
detections correct, confirm and begin entities. Association is Hungarian on boxes and masks, as in SORT (Bewley et
al., arXiv 1602.00763) with ByteTrack's second round for weak detections (Zhang et al., arXiv 2110.06864).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
from scipy.optimize import linear_sum_assignment

from engines.crops import F32, U8
from engines.detections import Detections
from engines.reid import ReidNet
from stream import look as looks
from stream.entity import Entity, Gallery, Sight, same_kind
from stream.events import Body, EntityAppeared, EntityExited, EntityReentered, ExitReason, MaskletFrame
from stream.flow import Flow
from stream.outline import COST, Outline, Outliner
from stream.overlap import behind, claim, reaches_into, shadow
from stream.patch import Patch, box_iou, iou, shared_area, window_of
from stream.reidentify import Reidentifier


@dataclass(frozen=True, slots=True)
class FollowOptions:
    """Thresholds of following. Times in microseconds, budgets in quarters of a 30 Hz frame's time (see outline.COST)."""

    budget: int = 4
    new_score: float = 0.4
    sure_score: float = 0.72
    weak_score: float = 0.1
    confirm_hits: int = 2
    confirm_score: float = 0.45
    object_hits: int = 4
    tentative_us: int = 700_000
    object_tentative_us: int = 3_000_000
    hidden_us: int = 500_000
    max_misses: int = 4
    look_every_us: int = 500_000
    max_entities: int = 32


class FollowState(msgspec.Struct):
    """All the follower knows of a feed."""

    entities: list[Entity] = msgspec.field(default_factory=list)
    gallery: Gallery = msgspec.field(default_factory=Gallery)
    next_id: int = 1
    next_tentative: int = -1
    first_patches: dict[int, Patch] = msgspec.field(default_factory=dict)
    """The first mask of each tentative entity, from which a confirmed one is followed back."""
    frames: dict[int, list[MaskletFrame]] = msgspec.field(default_factory=dict)
    """Masks not sent yet, by entity; a tentative entity's go with it into its identity, or are forgotten with it."""


@dataclass(frozen=True, slots=True)
class View:
    """One frame as the follower sees it. rgb: [H, W, 3] uint8 of the working size; flow: from the frame before, None
    at a cut and at the start; detections: None where nobody looked."""

    rgb: U8
    pts_us: int
    step_us: int
    flow: Flow | None
    cut: bool
    detections: Detections | None
    scale: float = 1.0
    """Pixels of the feed's frame in one of the working frame."""
    sharpen: Callable[[Patch, F32, list[Patch]], Patch] | None = None
    """Makes a mask (of a box) sharper by the still background, where there is one."""

    @property
    def size(self) -> tuple[int, int]:
        return int(self.rgb.shape[0]), int(self.rgb.shape[1])


class Masklets:
    """`step` takes a frame and moves every entity on; the entities' `patch` are this frame's masks."""

    def __init__(
        self, outliner: Outliner, reid: ReidNet | None, reidentifier: Reidentifier, options: FollowOptions | None = None
    ) -> None:
        self._outliner, self._reid, self._reidentifier = outliner, reid, reidentifier
        self._o = options or FollowOptions()

    def step(self, state: FollowState, view: View) -> list[Body]:
        """Follow every entity into this frame. Returns what changed: appeared, exited, re-entered."""
        events: list[Body] = []
        if view.cut:
            events += self.leave_all(state, "cut", view.scale)
        self._carry(state, view)
        if view.detections is not None:
            proposals = self._propose(state, view, view.detections)
            self._associate(state, view, view.detections, proposals)
        self._redraw(state, view)
        claim([e for e in state.entities if e.patch is not None])
        self._settle(state, view)
        events += self._promote(state, view)
        events += self._dismiss(state, view)
        return events

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

    # 1. where everything is by motion alone

    def _carry(self, state: FollowState, view: View) -> None:
        seconds = max(1e-3, view.step_us / 1e6)
        camera = view.flow.camera() if view.flow is not None else (0.0, 0.0)
        for e in state.entities:
            if e.patch is None or view.flow is None:
                dx, dy = (camera[0] + e.velocity[0] * seconds * 0.5, camera[1] + e.velocity[1] * seconds * 0.5)
                e.box = shifted(e.box, dx, dy)
                e.patch = None if view.flow is None else e.patch
                continue
            covered = e.patch.area < 0.6 * e.reference_area and shadow(e, state.entities, view.size) > 0.25
            dx, dy = view.flow.motion(e.patch)
            e.patch = view.flow.carry(e.patch)
            if covered:  # what little shows may be the other's edge: the whole goes on as it went
                dx, dy = camera[0] + e.velocity[0] * seconds, camera[1] + e.velocity[1] * seconds
                e.patch = e.patch.within(window_of(e.box, view.size, grow=0.15))
            e.box = shifted(e.box, dx, dy)
            if not covered:
                own = ((dx - camera[0]) / seconds, (dy - camera[1]) / seconds)
                e.velocity = (0.85 * e.velocity[0] + 0.15 * own[0], 0.85 * e.velocity[1] + 0.15 * own[1])
                e.travelled += float(np.hypot(dx - camera[0], dy - camera[1]))

    # 2. what the detector says

    def _propose(self, state: FollowState, view: View, found: Detections) -> list[Outline | None]:
        """Masks of detections whose owner boxes alone cannot tell: new ones and those that touch several entities."""
        proposals: list[Outline | None] = []
        boxes = np.array([e.box for e in state.entities], np.float32).reshape(-1, 4)
        near = box_iou(found.boxes, boxes)
        for i in range(len(found)):
            rivals = int((near[i] > 0.15).sum())
            strong = found.scores[i] >= self._o.new_score
            if i < 8 and ((rivals != 1 and strong) or (rivals > 1 and found.scores[i] >= 0.25)):
                proposals.append(self._outliner.outline(view.rgb, found.boxes[i], found.categories[i], None, grow=0.08))
            else:
                proposals.append(None)
        return proposals

    def _associate(self, state: FollowState, view: View, found: Detections, proposals: list[Outline | None]) -> None:
        free_entities = list(range(len(state.entities)))
        free_found = list(range(len(found)))
        for least, gate in ((self._o.new_score, 0.2), (self._o.weak_score, 0.4)):
            ds = [d for d in free_found if found.scores[d] >= least]
            es = list(free_entities)
            if not ds or not es:
                continue
            merit = np.array([[self._merit(state.entities[e], found, d, proposals[d]) for d in ds] for e in es])
            for r, c in zip(*linear_sum_assignment(-merit), strict=True):
                if merit[r, c] < gate:
                    continue
                e, d = state.entities[es[r]], ds[c]
                self._take(e, state.entities, view, found, d, proposals[d])
                free_entities.remove(es[r])
                free_found.remove(d)
        self._recall(state, view, found, proposals, free_entities, free_found)
        for i in free_entities:
            e = state.entities[i]
            if e.state == "tentative" or shadow(e, state.entities, view.size) < 0.3:
                e.misses += 1  # who stands behind somebody cannot be asked to be detected
        for d in free_found:
            if found.scores[d] >= self._o.new_score and len(state.entities) < self._o.max_entities:
                self._begin(state, view, found, d, proposals[d])

    def _recall(
        self,
        state: FollowState,
        view: View,
        found: Detections,
        proposals: list[Outline | None],
        free_entities: list[int],
        free_found: list[int],
    ) -> None:
        """Third round: what nobody's place explains may be somebody who was covered and comes out elsewhere: by look."""
        for d in [d for d in free_found if found.scores[d] >= self._o.new_score]:
            proposal = proposals[d]
            if proposal is None:
                continue
            new = looks.measure(view.rgb, proposal.patch, None)
            best, best_alike = -1, 0.7
            for i in free_entities:
                e = state.entities[i]
                diagonal = float(np.hypot(e.box[2] - e.box[0], e.box[3] - e.box[1]))
                gone = float(np.abs((e.box[:2] + e.box[2:]) - (found.boxes[d, :2] + found.boxes[d, 2:])).max()) / 2
                lost = e.live and (e.patch is None or e.patch.area < 0.6 * e.reference_area or e.misses > 0)
                if not lost or gone > diagonal or not same_kind(e.category, found.categories[d]) or e.look is None:
                    continue
                alike = looks.similarity(new, msgspec.structs.replace(e.look, embed=np.zeros(0, np.float32)))
                if alike > best_alike:
                    best, best_alike = i, alike
            if best >= 0:
                e = state.entities[best]
                e.patch = None
                self._take(e, state.entities, view, found, d, proposal)
                free_entities.remove(best)
                free_found.remove(d)

    def _merit(self, e: Entity, found: Detections, d: int, proposal: Outline | None) -> float:
        """How well detection `d` fits the entity, in [0, 1]."""
        by_motion = found.categories[d] == "object" and e.live
        if not by_motion and not same_kind(e.category, found.categories[d]):
            return 0.0
        box = found.boxes[d]
        fit = float(box_iou(e.box[None], box[None])[0, 0])
        tight = e.patch.box() if e.patch is not None else None
        if tight is not None:
            fit = max(fit, 0.9 * float(box_iou(tight[None], box[None])[0, 0]))
        if proposal is not None and e.patch is not None and e.patch.area:
            fit = 0.35 * fit + 0.65 * iou(proposal.patch, e.patch)
        return fit

    def _take(
        self, e: Entity, others: list[Entity], view: View, found: Detections, d: int, proposal: Outline | None
    ) -> None:
        """Entity `e` is what detection `d` shows."""
        box, score, category = found.boxes[d], float(found.scores[d]), found.categories[d]
        e.hits, e.misses = e.hits + 1, 0
        if category == "object" and e.category != "object":
            return  # something moves where it is: a sign of life, no better box or name
        e.score = score if e.score == 0 else 0.6 * e.score + 0.4 * score
        e.votes[category] = e.votes.get(category, 0.0) + score
        if not e.live:
            e.category = max(e.votes, key=lambda c: (e.votes[c], c))
        was_hidden = e.patch is None or e.state == "hidden"
        e.box = box.copy()
        if proposal is None:
            hide = _in_front_of(e, others)
            proposal = self._outliner.outline(view.rgb, box, e.category, e.patch, grow=0.1, hide=hide)
        if was_hidden or self._believable(e, proposal, view, detected=True):
            self._draw(e, others, view, proposal, trust=1.0 if was_hidden else 0.85)

    def _begin(self, state: FollowState, view: View, found: Detections, d: int, proposal: Outline | None) -> None:
        box, score, category = found.boxes[d], float(found.scores[d]), found.categories[d]
        if proposal is None:
            proposal = self._outliner.outline(view.rgb, box, category, None, grow=0.08)
        patch = proposal.patch.main_part()
        if view.sharpen is not None and self._outliner.kind(category) != "pose":
            patch = view.sharpen(patch, box, [o.patch for o in state.entities if o.patch is not None])
        area = patch.area
        if area < 48:
            return
        if self._outliner.kind(category) == "pose" and score < self._o.sure_score and proposal.presence < 0.25:
            return  # scenery that resembles a person: the pose network sees nobody there
        taken = sum(
            shared_area(patch, e.patch)
            for e in state.entities
            if e.patch is not None and same_kind(e.category, category)
        )
        if taken > 0.55 * area:
            return  # a second box of somebody who is followed already
        e = Entity(state.next_tentative, category, "tentative", view.pts_us, view.pts_us, box.copy(), patch, score)
        state.next_tentative -= 1
        e.votes[category] = score
        e.pose_us, e.reference_area = view.pts_us, float(area)
        state.entities.append(e)
        state.first_patches[e.id] = patch

    # 3. masks

    def _redraw(self, state: FollowState, view: View) -> None:
        """Let the mask networks look again, longest unseen first, as far as this frame's budget goes."""
        budget = self._o.budget
        for e in sorted(state.entities, key=lambda e: (e.pose_us, e.id)):
            kind = self._outliner.kind(e.category)
            if e.patch is None or e.pose_us == view.pts_us or e.category == "object":
                budget -= COST[kind] if e.pose_us == view.pts_us else 0
                continue
            wait = {"pose": 0, "segment": 2, "cut": 8}[kind] * view.step_us
            if COST[kind] > budget or view.pts_us - e.pose_us < wait:
                continue
            tight = e.patch.box()
            if tight is None:
                continue
            budget -= COST[kind]
            whole = e.patch.area > 0.7 * e.reference_area
            # Half hidden, its tight box says where the rest shows, not where it is: keep to the whole box then.
            box = 0.5 * tight + 0.5 * e.box if whole else e.box
            seen = self._outliner.outline(
                view.rgb, box.astype(np.float32), e.category, e.patch, grow=0.15, hide=_in_front_of(e, state.entities)
            )
            e.pose_us = view.pts_us
            if self._believable(e, seen, view, detected=False) and not self._captured(e, seen, state):
                self._draw(e, state.entities, view, seen, trust=0.85)
                if kind == "pose" and seen.presence > 0.5:
                    e.misses = min(e.misses, 2)

    def _believable(self, e: Entity, seen: Outline, view: View, *, detected: bool) -> bool:
        """Whether a redrawn mask can be the same entity's.

        It agrees with the one flow brought here, or, where flow lost its hold, looks more like the entity than that.
        """
        if e.patch is None or e.patch.area < 24:
            return detected
        agreement = iou(seen.patch, e.patch)
        if agreement > (0.25 if detected else 0.45 if seen.presence >= 0.5 else 0.6):
            return True
        if seen.presence < 0.5 or e.look is None or seen.patch.area < 0.15 * e.reference_area:
            return False
        new, old = (looks.measure(view.rgb, p, None) for p in (seen.patch, e.patch))
        known = msgspec.structs.replace(e.look, embed=np.zeros(0, np.float32))
        alike = looks.similarity(new, known)
        return new is not None and alike > 0.6 and (old is None or alike > looks.similarity(old, known) + 0.03)

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
            patch = view.sharpen(patch, e.box, [o.patch for o in others if o is not e and o.patch is not None])
        if e.patch is not None and trust < 1:
            known = e.patch.on(patch.window)
            levels = np.float32(trust) * patch.prob + np.float32(1 - trust) * known
            patch = Patch(patch.x0, patch.y0, levels.astype(np.uint8))
        e.patch = patch.main_part(keep=0.08).trim()
        e.pose_us = view.pts_us
        if seen.landmarks is not None and seen.presence > 0.5:
            e.sights.append(sight(e, view, seen.landmarks))

    # 4. states

    def _settle(self, state: FollowState, view: View) -> None:
        """Areas, boxes and visibility after everybody has drawn and pixels are shared out."""
        h, w = view.size
        for e in state.entities:
            area = e.patch.area if e.patch is not None else 0
            least = max(24.0, (0.12 if e.misses >= 2 else 0.03) * e.reference_area)
            if area < least:
                if e.state == "visible":
                    e.state, e.reason = "hidden", self._why(e, state, (h, w))
                e.patch = None
                continue
            assert e.patch is not None
            e.seen_us = view.pts_us
            if e.state == "hidden":
                e.state = "visible"
            e.reference_area = max(float(area), 0.995 * e.reference_area)
            tight = e.patch.box()
            if tight is not None and area > 0.6 * e.reference_area:
                e.box = (0.5 * e.box + 0.5 * tight).astype(np.float32)
            if view.pts_us - e.looked_us >= self._o.look_every_us or (e.look is None):
                self._look(e, view)

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
        if seen is not None:
            e.look, e.looked_us = looks.blend(e.look, seen), view.pts_us

    def _why(self, e: Entity, state: FollowState, size: tuple[int, int]) -> ExitReason:
        h, w = size
        x0, y0, x1, y1 = (float(v) for v in e.box)
        mx, my = 0.02 * w, 0.02 * h
        if x0 < mx or x1 > w - mx or (y0 < my and e.velocity[1] < 0) or (y1 > h - my and e.velocity[1] > 0):
            return "edge"
        return "occluded" if shadow(e, state.entities, size) > 0.25 else "lost"

    def _promote(self, state: FollowState, view: View) -> list[Body]:
        """Tentative entities that were seen often enough get their identity: an old one, or a new id."""
        events: list[Body] = []
        for e in state.entities:
            if e.state != "tentative" or e.hits < self._o.confirm_hits or e.score < self._o.confirm_score:
                continue
            if e.look is None or e.patch is None or not self._active(e):
                continue
            seen_so_far, first = state.frames.pop(e.id, []), state.first_patches.pop(e.id, None)
            known = self._reidentifier.find(state.gallery, e, view.size)
            box = rounded(e.box, view.scale)
            e.state = "visible"
            if known is not None:
                old, alike = known
                e.id, e.category, e.expression = old.id, old.category, old.expression
                e.look, e.traits = looks.blend(old.look, e.look), old.traits
                e.votes = {c: old.votes.get(c, 0) + e.votes.get(c, 0) for c in sorted({*old.votes, *e.votes})}
                events.append(
                    EntityReentered(
                        entity=e.id, at_us=e.first_us, category=e.category, score=round(e.score, 3), bbox=box,
                        similarity=round(alike, 3),
                    )
                )  # fmt: skip
            else:
                e.id = state.next_id
                state.next_id += 1
                if first is not None:
                    state.first_patches[e.id] = first
                events.append(
                    EntityAppeared(
                        entity=e.id, at_us=e.first_us, category=e.category, score=round(e.score, 3), bbox=box
                    )
                )
            state.frames.setdefault(e.id, []).extend(seen_so_far)
        return events

    def _active(self, e: Entity) -> bool:
        """What only motion found must go on moving, and go somewhere, before it is more than a flickering curtain."""
        if e.category != "object":
            return True
        diagonal = float(np.hypot(e.box[2] - e.box[0], e.box[3] - e.box[1]))
        return e.hits >= self._o.object_hits and e.travelled > 0.5 * diagonal

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
                e.state, e.reason, e.patch = "hidden", self._why(e, state, view.size), None
            if e.state == "hidden" and (unsupported or view.pts_us - e.seen_us > self._o.hidden_us):
                events.append(exited(e, e.reason, view.scale))
                self._reidentifier.put(state.gallery, e)
                continue
            stay.append(e)
        state.entities = stay
        return events


def _in_front_of(e: Entity, entities: list[Entity]) -> list[Patch]:
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


def _forget(state: FollowState, e: Entity) -> None:
    state.frames.pop(e.id, None)
    state.first_patches.pop(e.id, None)


def exited(e: Entity, reason: ExitReason, scale: float) -> EntityExited:
    e.reason, e.exited_us = reason, e.seen_us
    return EntityExited(entity=e.id, at_us=e.seen_us, reason=reason, bbox=rounded(e.box, scale))


def shifted(box: F32, dx: float, dy: float) -> F32:
    return (box + np.array([dx, dy, dx, dy], np.float32)).astype(np.float32)


def rounded(box: F32, scale: float) -> tuple[float, float, float, float]:
    """A box of the working frame in pixels of the feed's frame, to a tenth."""
    x0, y0, x1, y1 = (round(float(v) * scale, 1) for v in box)
    return x0, y0, x1, y1


def sight(e: Entity, view: View, landmarks: F32 | None) -> Sight:
    x0, y0, x1, y1 = (float(v) for v in e.box)
    camera = view.flow.camera() if view.flow is not None else (0.0, 0.0)
    return Sight(view.pts_us, (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, camera[0], camera[1], landmarks)
