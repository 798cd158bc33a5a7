"""DeepLabV3 MobileNetV2 0.5 on Pascal VOC (Chen et al., arXiv 1706.05587): which of 21 categories each pixel is.

Input [1, 257, 257, 3] RGB / 127.5 - 1. Output [1, 257, 257, 21] logits. It knows categories, not instances: run it on
a crop round one box and read that box's category.
"""

from __future__ import annotations

import numpy as np

from engines.backends import Session
from engines.crops import F32, U8, Crop
from engines.labels import VOC

SIZE, FACTOR = 257, 1.3
_KINDS = (
    {"dog", "cat", "horse", "sheep", "cow", "bird"},
    {"car", "bus", "train"},
    {"bicycle", "motorcycle"},
)
"""Categories the network mixes up with each other; the detector has told them apart already."""
_ALIASES = {"truck": "bus", "bear": "cow", "zebra": "horse", "giraffe": "horse", "elephant": "cow"}
CATEGORIES = frozenset(VOC[1:]) | frozenset(_ALIASES)


class SegmentationNet:
    name = "deeplabv3-voc"

    def __init__(self, session: Session) -> None:
        self._session = session

    def logits(self, rgb: U8, crop: Crop, category: str) -> F32:
        """[257, 257] float32 over `crop`: by how much `category` (of CATEGORIES) beats all else."""
        x = crop.cut(rgb, SIZE).astype(np.float32) / 127.5 - 1
        out = self._session.run(x[None].astype(np.float32))[0][0]
        name = _ALIASES.get(category, category)
        mine = next((kind for kind in _KINDS if name in kind), {name})
        inside = [i for i, label in enumerate(VOC) if label in mine]
        outside = [i for i, label in enumerate(VOC) if label not in mine]
        return out[:, :, inside].max(axis=2) - out[:, :, outside].max(axis=2)  # type: ignore[no-any-return]
