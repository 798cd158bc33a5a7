"""BlazePose GHUM full (Bazarevsky et al., arXiv 2006.10204): one person's mask and 33 landmarks from a crop.

Input [1, 256, 256, 3] RGB 0..1, a square crop round the person 1.25 times the box's longer side, reflected at the
frame's border. Outputs: 39 x (x, y, z in crop pixels, visibility logit, presence logit), of which the first 33 are
the body; presence of a person (a probability); mask logits [1, 256, 256, 1]; heat maps; world metres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engines.backends import Session
from engines.crops import F32, U8, Crop

SIZE, BODY, FACTOR = 256, 33, 1.25
# The mask output is a 0..1 heat map in some exports and logits in this one; beyond +-12 nothing changes in float32.
_LOGIT_LIMIT = 12.0


@dataclass(frozen=True, slots=True)
class Pose:
    """One person as the network sees it.

    landmarks: [33, 3] float32: x, y in frame pixels and visibility in [0, 1]. presence: in [0, 1].
    logits: [256, 256] float32 over `crop`; a pixel is the person's where its logit is over 0.
    """

    crop: Crop
    landmarks: F32
    presence: float
    logits: F32


class PoseNet:
    name = "blazepose-full"

    def __init__(self, session: Session) -> None:
        self._session = session

    def run(self, rgb: U8, crop: Crop) -> Pose:
        """The person at the centre of `crop` of one frame [H, W, 3] uint8 RGB."""
        return self.see(crop.cut(rgb, SIZE), crop)

    def see(self, image: U8, crop: Crop) -> Pose:
        """The person at the centre of `image`, [256, 256, 3] uint8 RGB: what `crop.cut(frame, SIZE)` gave."""
        return self.see_many(image[None], [crop])[0]

    def see_many(self, images: U8, crops: Sequence[Crop]) -> list[Pose]:
        """The persons at the centres of `images`, [N, 256, 256, 3] uint8 RGB, of any frames of any feeds, in one run.

        More than one wants a session whose batch axis is dynamic (`engines.networks`); a row's pose is the same in
        any batch. Raises ValueError where crops and images are not as many."""
        if len(images) != len(crops):
            raise ValueError(f"{len(images)} images and {len(crops)} crops, wanted as many")
        x = images.astype(np.float32)
        x *= np.float32(1 / 255)
        out = self._session.run(x)
        return [_pose({o[i].size: o[i] for o in out}, crop) for i, crop in enumerate(crops)]


def _pose(by_size: dict[int, F32], crop: Crop) -> Pose:
    """One row's outputs by their sizes: converters keep these, not the order."""
    body = by_size[195].reshape(39, 5)[:BODY]
    visible = 1 / (1 + np.exp(-np.clip(body[:, 3], -_LOGIT_LIMIT, _LOGIT_LIMIT)))
    points = np.concatenate([crop.to_frame(body[:, :2], SIZE), visible[:, None]], axis=1).astype(np.float32)
    logits = np.clip(by_size[SIZE * SIZE].reshape(SIZE, SIZE), -_LOGIT_LIMIT, _LOGIT_LIMIT)
    return Pose(crop, points, float(by_size[1].reshape(())), logits)
