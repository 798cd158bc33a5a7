"""What the follower is given and keeps: options, state of a feed, and one frame as it sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from engines.crops import F32, U8
from engines.detections import Detections
from stream.entity import Entity, Gallery, Look, Met
from stream.events import MaskletFrame
from stream.flow import Flow
from stream.lookback import Past
from stream.patch import Patch


@dataclass(frozen=True, slots=True)
class FollowOptions:
    """Thresholds of following. Times in microseconds, the budget a frame in units of outline.COST."""

    budget: int = 5
    ask_every_us: int = 130_000
    new_score: float = 0.4
    sure_score: float = 0.72
    weak_score: float = 0.1
    confirm_hits: int = 2
    confirm_score: float = 0.45
    object_hits: int = 4
    object_every_us: int = 500_000
    tentative_us: int = 1_200_000
    object_tentative_us: int = 3_000_000
    sliver_us: int = 1_000_000
    hidden_us: int = 500_000
    max_misses: int = 4
    look_every_us: int = 1_000_000
    max_entities: int = 32


class FollowState(msgspec.Struct):
    """All the follower knows of a feed."""

    entities: list[Entity] = msgspec.field(default_factory=list)
    gallery: Gallery = msgspec.field(default_factory=Gallery)
    next_id: int = 1
    next_tentative: int = -1
    object_us: int = -1_000_000
    """When something that only moves was last cut out, to see whether it can be followed."""
    credit: int = 0
    """Budget that former frames left over."""
    met: list[Met] = msgspec.field(default_factory=list)
    doubles: dict[str, int] = msgspec.field(default_factory=dict)
    """Pairs "older younger" that seem to be one, and for how many looks in a row."""
    scene: Look | None = None
    """Colours of the whole frame at the last look."""
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
    sharpen: Callable[[Patch, F32, list[Patch], str], Patch] | None = None
    """Makes a mask (of a box and category, among others' masks) sharper by the still background and by motion."""
    feed: str = ""
    picture: Any = None
    """`rgb` where it was decoded, a `torch.Tensor` on the device; None where that is host memory."""
    full: tuple[int, int] | None = None
    """(H, W) of the feed's frame; None: the working frame is it."""
    past: Past | None = None
    """The last frames of this shot, small, this one the newest."""

    @property
    def size(self) -> tuple[int, int]:
        return int(self.rgb.shape[0]), int(self.rgb.shape[1])


def rounded(box: F32, scale: float) -> tuple[float, float, float, float]:
    """A box of the working frame in pixels of the feed's frame, to a tenth."""
    x0, y0, x1, y1 = (round(float(v) * scale, 1) for v in box)
    return x0, y0, x1, y1
