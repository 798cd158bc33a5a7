"""What the detectors look like in numbers."""

from __future__ import annotations

from dataclasses import dataclass

MOST_NAMES = 32
"""Things that Grounding DINO looks for at once."""


@dataclass(frozen=True, slots=True)
class RfDetrShape:
    """RF-DETR (Robinson et al., arXiv 2511.09554): a DINOv2 backbone in windows, one map of its `taps` joined, and a
    deformable decoder.

    side: pixels of the square input, a multiple of patch x windows. width, depth, heads: of the backbone. taps: the
    backbone's layers that are looked at, from 1. dim, layers, ffn, queries, points: of the decoder. self_heads,
    cross_heads: of its two attentions. groups: of queries in training, which the weights hold all of.
    """

    side: int
    layers: int
    patch: int = 16
    windows: int = 2
    width: int = 384
    depth: int = 12
    heads: int = 6
    taps: tuple[int, ...] = (3, 6, 9, 12)
    dim: int = 256
    ffn: int = 2048
    queries: int = 300
    points: int = 2
    self_heads: int = 8
    cross_heads: int = 16
    groups: int = 13

    def __post_init__(self) -> None:
        if self.side % (self.patch * self.windows):
            raise ValueError(f"side {self.side}: wanted a multiple of {self.patch * self.windows}")


RF_DETR_MEDIUM = RfDetrShape(side=576, layers=4)
"""As Roboflow publishes it (src/rfdetr/config.py of roboflow/rf-detr, Apache-2.0)."""


@dataclass(frozen=True, slots=True)
class GroundingShape:
    """How Grounding DINO (Liu et al., arXiv 2303.05499) is run; what it is, its config.json tells.

    side: pixels of the square that a frame's longer side fills. dim, vocabulary: of the language model. tokens, names:
    what a set of prompts is padded to, so that one engine serves every set. keep: detections a frame.
    """

    side: int = 800
    dim: int = 768
    vocabulary: int = 30522
    tokens: int = 128
    names: int = MOST_NAMES
    keep: int = 100


GROUNDING_DINO_TINY = GroundingShape()
