"""Propagation without detections: what stands for SAM 2's video predictor in the Strefer way.

The pipeline's own follower, given nothing but the boxes of one frame: masks are carried by flow, every one is
redrawn by its network in every frame, overlaps are shared out, and nobody new begins or leaves.
"""

from __future__ import annotations

from engines.detections import U8, Detections
from engines.lite import Lite
from stream import look as looks
from stream.background import Background, BackgroundState
from stream.entity import RIGID, Entity
from stream.flow import Flow, flow_image, small_image
from stream.masklets import Masklets
from stream.outline import Outliner
from stream.patch import F32, Patch
from stream.reidentify import Reidentifier
from stream.view import FollowOptions, FollowState, View

STEP_US = 33_333
FOR_EVER_US = 1 << 60
ASK_EVERY = 3
"""A hidden mask is asked for every so many frames, where it would be now."""
ALIKE = 0.6
"""How much what is found there must look like it."""


class Follower:
    """One direction from frame K. `step` goes a frame on; entities are numbered as the boxes, from 1."""

    def __init__(self, networks: Lite, rgb: U8, found: Detections) -> None:
        self._outliner = Outliner(networks.pose, networks.segment)
        # Every network may draw every mask in every frame, as SAM 2 does.
        options = FollowOptions(budget=6 * max(1, len(found)), hidden_us=FOR_EVER_US)
        self._masklets = Masklets(self._outliner, networks.reid, Reidentifier(), options)
        self._background, self._ground = Background(), BackgroundState()
        self._state = FollowState()
        self._now_us, self._count = 0, 0
        self.outlines = [
            self._outliner.outline(rgb, box, category, None, grow=0.15)
            for box, category in zip(found.boxes, found.categories, strict=True)
        ]
        for n, (outline, box, category, score) in enumerate(
            zip(self.outlines, found.boxes, found.categories, found.scores, strict=True), 1
        ):
            patch = outline.patch.main_part(keep=0.08).trim()
            self._state.entities.append(
                Entity(
                    n, category, "visible", 0, 0, box.copy(), patch, float(score), reference_area=float(patch.area),
                    look=looks.measure(rgb, patch, None),
                )
            )  # fmt: skip

    def masks(self) -> dict[int, Patch]:
        return {e.id: e.patch for e in self._state.entities if e.patch is not None and e.patch.area}

    def step(self, before: U8, rgb: U8) -> dict[int, Patch]:
        """From frame `before` to its neighbour `rgb` [H, W, 3], whichever way time goes; the masks there."""
        self._now_us += STEP_US
        self._count += 1
        size = (int(rgb.shape[0]), int(rgb.shape[1]))
        small = small_image(rgb)
        flow = Flow(flow_image(small), flow_image(small_image(before)), size)
        now = self._background.step(self._ground, small, flow, self._state.entities)

        def sharpen(patch: Patch, box: F32, others: list[Patch], category: str) -> Patch:
            return self._background.sharpen(self._ground, now, patch, box, others, flow, size, rigid=category in RIGID)

        view = View(rgb, self._now_us, STEP_US, flow, False, None, 1.0, sharpen)
        self._masklets.step(self._state, view)
        if self._count % ASK_EVERY == 0:
            for e in self._state.entities:
                self._recall(e, rgb)
        return self.masks()

    def _recall(self, e: Entity, rgb: U8) -> None:
        """What SAM 2's memory does for short occlusions: look where it would be, and take it if it looks like it."""
        h, w = rgb.shape[:2]
        x, y = float(e.box[0] + e.box[2]) / 2, float(e.box[1] + e.box[3]) / 2
        if e.patch is not None or e.look is None or not (0 < x < w and 0 < y < h):
            return
        seen = self._outliner.outline(rgb, e.box, e.category, None, grow=0.15)
        if seen.presence < 0.5 or seen.patch.area < 0.3 * e.reference_area:
            return
        look = looks.measure(rgb, seen.patch, None)
        if look is not None and looks.similarity(look, looks.colours_only(e.look)) > ALIKE:
            e.patch = seen.patch.main_part(keep=0.08).trim()
            box = e.patch.box()
            e.box = e.box if box is None else box
            e.state, e.seen_us = "visible", self._now_us
