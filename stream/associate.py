"""Detections to entities: by place and mask first, then by look, and only what is left begins somebody new.

Hungarian assignment on boxes and masks, as in SORT (Bewley et al., arXiv 1602.00763), with ByteTrack's second round
for weak detections (Zhang et al., arXiv 2110.06864).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from engines.detections import Detections
from kernels.iou import box_iou
from stream import look as looks
from stream.entity import MOST, RIGID, SOLID, Entity, same_kind
from stream.outline import Outline, Outliner
from stream.overlap import box_share, shadow
from stream.patch import F32, iou, shared_area
from stream.redraw import Redraw
from stream.sam import SamMasks
from stream.view import FollowOptions, FollowState, View

DRIFTED, DRIFTED_S = (0.6, 0.75), 1.0
"""How alike what is drawn of a person must stay to that person: found just now, and not found for that long."""
SHOWS = 0.5
"""Share of an entity that must be to be seen for its place alone to say that a detection is its."""
GROW = 0.08
"""Share of a detection's box by which its mask may reach beyond it."""
MOST_DRAWN = 8
"""Detections of a frame that are drawn before anybody takes them."""
RECALLED = 0.7
"""How alike somebody must be who comes out of hiding where no place explains it."""
APART = 0.2
"""How much more a detection looks like another who may be there, where it is not this one's whatever its place."""
ELSEWHERE = 0.3
"""How much more another detection looks like somebody, and like nobody else more, where who is at the old place is
not that person: one stood half out at the edge, and another came in there in front."""
STRANGER, MORE = 0.5, 1.2
"""Likeness to a person under which a detection that shows most of a body is not that person's: somebody comes in by the
edge by which another leaves. What covers more than that of the person's usual area may be two."""


class _Drawn:
    """Masks of a frame's detections, drawn where they are wanted, and whom they look like.

    outlines: [D], None where nothing was drawn. alike: [E, D] float32, how alike each is to the entities that may be
    there by now, no further away than they are large; 0 where that is not so, or cannot be told.
    """

    def __init__(
        self, outliner: Outliner | SamMasks, entities: Sequence[Entity], view: View, found: Detections
    ) -> None:
        self._outliner, self._entities, self._view, self._found = outliner, list(entities), view, found
        self.outlines: list[Outline | None] = [None] * len(found)
        self.alike = np.zeros((len(entities), len(found)), np.float32)

    def draw_all(self, ds: Sequence[int]) -> None:
        self._outliner.ahead(self._view.rgb, [self._found.boxes[d] for d in ds], grow=GROW)
        for d in ds:
            self.draw(d)

    def draw(self, d: int) -> Outline:
        """The mask of a detection."""
        known = self.outlines[d]
        if known is not None:
            return known
        rgb, box, category = self._view.rgb, self._found.boxes[d], self._found.categories[d]
        outline = self.outlines[d] = self._outliner.outline(rgb, box, category, None, grow=GROW)
        look = looks.measure(rgb, outline.patch, None)
        for i, e in enumerate(self._entities):
            if look is not None and e.look is not None and _may_be_at(e, box) and same_kind(e.category, category):
                self.alike[i, d] = looks.similarity(look, e.look)
        return outline

    def looks_like_another(self) -> NDArray[np.bool_]:
        """[E, D]: whether a detection looks much more like somebody else who may be there than like the entity, or
        like nobody that the entity could be."""
        live = np.array([e.live for e in self._entities], bool)
        known = np.array(
            [e.category == "person" and e.look is not None and e.look.count >= 4 for e in self._entities], bool
        )
        areas = np.array([o.patch.area if o is not None else 0 for o in self.outlines])
        usual = np.array([e.reference_area for e in self._entities])
        one = (areas >= SHOWS * usual[:, None]) & (areas <= MORE * usual[:, None])
        stranger = known[:, None] & one & (self.alike < STRANGER)
        another: NDArray[np.bool_] = self.alike[live].max(axis=0, initial=0) - self.alike > APART
        return (self.alike > 0) & (another | stranger)

    def seen_elsewhere(self) -> NDArray[np.bool_]:
        """[E, D]: whether a detection looks far less like the entity than one that looks like nobody else."""
        best = self.alike.max(axis=0, initial=0)
        own = np.where((self.alike == best) & (self.alike > RECALLED), self.alike, 0).max(axis=1, initial=0)
        less: NDArray[np.bool_] = (self.alike > 0) & (own[:, None] - self.alike > ELSEWHERE)
        return less


class Associate:
    """`step` gives every detection of a frame its entity, or begins one."""

    def __init__(self, outliner: Outliner | SamMasks, redraw: Redraw, options: FollowOptions) -> None:
        self._outliner, self._redraw, self._o = outliner, redraw, options

    def step(self, state: FollowState, view: View, found: Detections) -> None:
        """Match, recall, begin; what nobody detected counts a miss."""
        drawn = _Drawn(self._outliner, state.entities, view, found)
        drifted = [self._drifted(e, view) for e in state.entities]
        drawn.draw_all(self._unclear(state, found, drifted))
        elsewhere = drawn.seen_elsewhere()
        another = drawn.looks_like_another() | elsewhere
        free_entities = list(range(len(state.entities)))
        free_found = list(range(len(found)))
        for least, gate in ((self._o.new_score, 0.2), (self._o.weak_score, 0.4)):
            ds = [d for d in free_found if found.scores[d] >= least]
            es = list(free_entities)
            if not ds or not es:
                continue
            merit = np.array(
                [
                    [self._merit(state.entities[e], found, d, drawn.outlines[d], drawn.alike[e, d]) for d in ds]
                    for e in es
                ]
            )
            merit[another[np.ix_(es, ds)]] = 0.0
            for r, c in zip(*linear_sum_assignment(-merit), strict=True):
                if merit[r, c] < gate:
                    continue
                e, d = state.entities[es[r]], ds[c]
                self._take(e, state.entities, view, found, d, drawn.outlines[d])
                free_entities.remove(es[r])
                free_found.remove(d)
        unsure = elsewhere.any(axis=1) | np.array(drifted, bool)
        self._recall(state, view, found, drawn, unsure, free_entities, free_found)
        for i in free_entities:
            e = state.entities[i]
            if e.state == "tentative" or shadow(e, state.entities, view.size) < 0.2:
                e.misses += 1 + 2 * drifted[i]
            else:  # who stands behind somebody cannot be asked to be detected
                e.misses += drifted[i]
        for d in free_found:
            if found.categories[d] == "object" and view.pts_us - state.object_us < self._o.object_every_us:
                continue  # most of what only moves is nothing, and cutting it out is dear: try now and then
            if found.scores[d] >= self._o.new_score and len(state.entities) < self._o.max_entities:
                self._begin(state, view, found, d, drawn.outlines[d])

    def _unclear(self, state: FollowState, found: Detections, drifted: list[bool]) -> list[int]:
        """Detections whose owner boxes alone cannot tell: new ones, and those that touch several entities, or one of
        which too little is to be seen to be sure of its place, or that may be where a new one is."""
        boxes = np.array([e.box for e in state.entities], np.float32).reshape(-1, 4)
        near = box_iou(found.boxes, boxes) > 0.15
        new = [d for d in range(len(found)) if not near[d].any() and found.scores[d] >= self._o.new_score]
        doubted = [
            slipped or any(_may_be_at(e, found.boxes[d]) for d in new)
            for e, slipped in zip(state.entities, drifted, strict=True)
        ]
        unclear = []
        for d in range(min(len(found), MOST_DRAWN)):
            rivals = np.flatnonzero(near[d])
            least = 0.25 if len(rivals) > 1 else self._o.new_score
            clear = len(rivals) == 1 and state.entities[rivals[0]].shows(SHOWS) and not doubted[rivals[0]]
            if not clear and found.categories[d] != "object" and found.scores[d] >= least:
                unclear.append(d)
        return unclear

    def _recall(
        self,
        state: FollowState,
        view: View,
        found: Detections,
        drawn: _Drawn,
        unsure: NDArray[np.bool_],
        free_entities: list[int],
        free_found: list[int],
    ) -> None:
        """Third round: what no place explains may be somebody who was covered and comes out elsewhere: by look."""
        for d in [d for d in free_found if found.scores[d] >= self._o.new_score and found.categories[d] != "object"]:
            lost = [i for i in free_entities if _lost(state.entities[i], unsure=bool(unsure[i]))]
            if not lost:
                return
            proposal = drawn.draw(d)
            best = lost[int(drawn.alike[lost, d].argmax())]
            if drawn.alike[best, d] > RECALLED:
                e = state.entities[best]
                e.patch = None
                self._take(e, state.entities, view, found, d, proposal)
                free_entities.remove(best)
                free_found.remove(d)

    def _merit(self, e: Entity, found: Detections, d: int, proposal: Outline | None, alike: float) -> float:
        """How well detection `d` fits the entity, in [0, 1]: by place, and where others are near by mask and look."""
        # Motion is a sign of life of whatever it is, and what only motion found may turn out to be anything.
        by_motion = (found.categories[d] == "object" and e.live) or e.category == "object"
        if not by_motion and not same_kind(e.category, found.categories[d]):
            return 0.0
        box = found.boxes[d]
        fit = float(box_iou(e.box[None], box[None])[0, 0])
        tight = e.patch.box() if e.patch is not None else None
        if tight is not None:
            fit = max(fit, 0.9 * float(box_iou(tight[None], box[None])[0, 0]))
        if proposal is not None and e.patch is not None and e.patch.area:
            # A semantic network's mask takes in the neighbour too: only the pose network's says whose it is.
            trust = 0.65 if self._outliner.kind(found.categories[d]) == "pose" else 0.2
            fit = (1 - trust) * fit + trust * iou(proposal.patch, e.patch)
        if alike > 0 and fit > 0.1:
            fit += 0.4 * (alike - 0.75)
        return fit

    def _take(
        self, e: Entity, others: list[Entity], view: View, found: Detections, d: int, proposal: Outline | None
    ) -> None:
        """Entity `e` is what detection `d` shows."""
        box, score, category = found.boxes[d], float(found.scores[d]), found.categories[d]
        e.hits, e.misses, e.found_us, e.found_box = e.hits + 1, 0, view.pts_us, box.copy()
        if category == "object" and e.category != "object":
            return  # something moves where it is: a sign of life, no better box or name
        e.score = score if e.score == 0 else 0.6 * e.score + 0.4 * score
        e.votes[category] = e.votes.get(category, 0.0) + score
        if not e.live or (e.category == "object" and category != "object" and e.votes[category] > 0.8):
            e.category = max(e.votes, key=lambda c: (c != "object", e.votes[c], c))
        e.box = self._whole(e, box, others, view)
        self._redraw.take(e, others, view, e.box, proposal)

    def _drifted(self, e: Entity, view: View) -> bool:
        """Whether the mask has slipped off: what it covers looks like something else."""
        if e.patch is None or not looks_tell(e, self._outliner):
            return False
        now = looks.measure(view.rgb, e.patch, None)
        alone_s = max(0.0, (view.pts_us - e.found_us) / 1e6)  # the longer nothing detects it, the less it is believed
        least = min(DRIFTED[1], DRIFTED[0] + (DRIFTED[1] - DRIFTED[0]) * alone_s / DRIFTED_S)
        return now is not None and looks.similarity(now, e.look) < least

    def _whole(self, e: Entity, box: F32, others: list[Entity], view: View) -> F32:
        """The box of all of it: a rigid thing half of which is behind somebody is as large as it was."""
        smaller = float(np.prod(box[2:] - box[:2])) < 0.75 * float(np.prod(e.box[2:] - e.box[:2]))
        if e.category in RIGID and smaller and shadow(e, others, view.size) > 0.08:
            return np.concatenate([np.minimum(e.box[:2], box[:2]), np.maximum(e.box[2:], box[2:])])
        return box.copy()

    def _begin(self, state: FollowState, view: View, found: Detections, d: int, proposal: Outline | None) -> None:
        box, score, category = found.boxes[d], float(found.scores[d]), found.categories[d]
        if category == "object" and any(box_share(box, e.box) > 0.1 for e in state.entities):
            return  # what moves there is followed already, or moved by who is
        if category == "object":
            state.object_us = view.pts_us
        if self._outliner.kind(category) != "pose" and _fragment(box, category, state.entities):
            return  # half of something whose other half is behind somebody
        if proposal is None:
            proposal = self._outliner.outline(view.rgb, box, category, None, grow=GROW)
        patch = proposal.patch.main_part()
        if view.sharpen is not None and self._outliner.kind(category) != "pose":
            patch = view.sharpen(patch, box, [o.patch for o in state.entities if o.patch is not None], category)
        if category in SOLID:
            patch = patch.solid()
        area = patch.area
        if area < 48:
            return
        if self._outliner.kind(category) == "pose" and score < self._o.sure_score and proposal.presence < 0.25:
            return  # scenery that resembles a person: the pose network sees nobody there
        sliver = self._sliver(state, view, category, box, area)
        if sliver is not None:
            sliver.patch = None
            self._take(sliver, state.entities, view, found, d, proposal)
            return
        taken = sum(
            shared_area(patch, e.patch)
            for e in state.entities
            if e.patch is not None and same_kind(e.category, category)
        )
        if taken > 0.55 * area:
            return  # a second box of somebody who is followed already
        e = Entity(
            state.next_tentative,
            category,
            "tentative",
            view.pts_us,
            view.pts_us,
            box.copy(),
            patch,
            score,
            first_box=box.copy(),
        )
        state.next_tentative -= 1
        e.votes[category] = score
        e.pose_us = e.found_us = view.pts_us
        e.reference_area = float(area)
        state.entities.append(e)
        state.first_patches[e.id] = patch

    def _sliver(self, state: FollowState, view: View, category: str, box: F32, area: int) -> Entity | None:
        """Who has just come in, of whom only an arm was followed so far, and who is now seen as a whole."""
        for e in state.entities:
            tight = e.patch.box() if e.patch is not None else None
            if tight is None or e.patch is None or not same_kind(e.category, category):
                continue
            new = view.pts_us - e.first_us < self._o.sliver_us
            if new and e.patch.area < 0.35 * area and box_share(tight, box) > 0.8:
                return e
        return None


def looks_tell(e: Entity, outliner: Outliner | SamMasks) -> bool:
    """Whether its look can say that what is drawn of it is something else. A car half covered does look different; a
    person's pose network would have said so."""
    known = e.look is not None and e.state != "tentative"
    return known and e.category == "person" and outliner.kind(e.category) == "pose"


def _fragment(box: F32, category: str, entities: list[Entity]) -> bool:
    """Whether most of a detection's box lies in that of an entity of its kind."""
    return any(e.live and same_kind(e.category, category) and box_share(box, e.box) > 0.6 for e in entities)


def _may_be_at(e: Entity, box: F32) -> bool:
    """Whether a box is no further away than the entity is large."""
    gone = float(np.abs((e.box[:2] + e.box[2:]) - (box[:2] + box[2:])).max()) / 2
    return gone <= float(np.hypot(e.box[2] - e.box[0], e.box[3] - e.box[1]))


def _lost(e: Entity, *, unsure: bool) -> bool:
    """Whether nothing is sure about where it is."""
    return e.live and (not e.shows(MOST) or e.misses > 0 or unsure)
