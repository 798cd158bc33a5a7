"""What of one picture is to be found in another, block by block: moved, lit otherwise, or mixed with a third.

Normalised correlation (OpenCV's `matchTemplate`) forgives light, a search forgives motion; what neither explains is
new.
"""

from __future__ import annotations

import cv2
import numpy as np

from engines.crops import U8
from stream.patch import F32

LONG = 64
"""Pixels of the longer side of a thumb: a block of it is a fifth of the picture's width."""
_BLOCK = 12
_TEXTURE = 0.8
"""Grey levels of deviation above which a block has something to be known by; sensor noise leaves 0.4 in a thumb."""
_FAR = 12
"""Pixels searched on each side, a fifth of the picture's width: a fast camera's next frame."""
_KNOWN = 0.7
"""Correlation from which a block counts as found: so are 4 of 5 in the next frame, and one of 10 in another shot."""
_ENOUGH = 0.6
"""Share of blocks found by the camera's motion alone that makes a further search needless."""


def thumb(image: U8) -> U8:
    """A BGR image [h, w, 3] as a small grey one, of at least a block on both sides."""
    h, w = image.shape[:2]
    k = LONG / max(h, w)
    size = (max(16, round(w * k)), max(16, round(h * k)))
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)  # type: ignore[no-any-return]


def detail(thumb: U8) -> F32:
    """What a thumb shows but for its soft shades, which fit each other anywhere: [h, w] float32."""
    grey = thumb.astype(np.float32)
    return grey - cv2.GaussianBlur(grey, (0, 0), 4)  # type: ignore[no-any-return]


def coarse(image: U8) -> U8:
    """A BGR image [h, w, 3] at an eighth of that: colours without detail."""
    h, w = image.shape[:2]
    return cv2.resize(image, (max(1, w // 8), max(1, h // 8)), interpolation=cv2.INTER_AREA)  # type: ignore[no-any-return]


def found(now: F32, other: F32) -> float | None:
    """Share of the blocks of `now` that are to be found in `other`; None where too little of it has texture.

    Both as `detail` gives them.
    """
    places = _textured(now)
    if len(places) < 3:
        return None
    dy, dx, _ = camera(now, other)
    moved = (round(dy), round(dx))
    share = sum(_best(now, other, p, 1, moved) >= _KNOWN for p in places) / len(places)
    if share >= _ENOUGH:
        return share
    return max(share, sum(_best(now, other, p, _FAR) >= _KNOWN for p in places) / len(places))


def camera(now: F32, other: F32) -> tuple[float, float, float]:
    """Where the middle of `now` lies in `other`, (down, right) in pixels, and the correlation there."""
    h, w = now.shape
    y, x = h // 4, w // 4
    fit = cv2.matchTemplate(other, now[y : h - y, x : w - x], cv2.TM_CCOEFF_NORMED)
    _, best, _, (bx, by) = cv2.minMaxLoc(fit)
    return by - y + _peak(fit[:, bx], by), bx - x + _peak(fit[by], bx), float(best)


def _peak(fit: F32, at: int) -> float:
    """Where between its neighbours the highest value lies, by the parabola through the three: slow pans add up."""
    if not 0 < at < len(fit) - 1:
        return 0.0
    left, top, right = float(fit[at - 1]), float(fit[at]), float(fit[at + 1])
    bend = left - 2 * top + right
    return 0.5 * (left - right) / bend if bend < -1e-6 else 0.0


def mixed(before: U8, between: U8, after: U8) -> float:
    """How much of the colours of `between` is a sum of shares of `before` and `after`, in 0..1; 0 where one will do.

    Coarse pictures [h, w, 3]: they change little by what moves in them. A picture that is partly one and partly the
    other, where something comes in, reaches one half.
    """
    a, m, b = (_flat(picture.astype(np.float32)) for picture in (before, between, after))
    ma, mb, ab = float(m @ a), float(m @ b), min(0.95, max(-0.95, float(a @ b)))
    share_a, share_b = (ma - mb * ab) / (1 - ab * ab), (mb - ma * ab) / (1 - ab * ab)
    return share_a * ma + share_b * mb if min(share_a, share_b) > 0.15 else 0.0


def _textured(picture: F32) -> list[tuple[int, int]]:
    """Top left corners (y, x) of the blocks that have texture."""
    h, w = picture.shape
    rows = np.linspace(0, h - _BLOCK, max(1, h // _BLOCK)).astype(int).tolist()
    columns = np.linspace(0, w - _BLOCK, max(1, w // _BLOCK)).astype(int).tolist()
    return [(y, x) for y in rows for x in columns if picture[y : y + _BLOCK, x : x + _BLOCK].std() >= _TEXTURE]


def _best(picture: F32, other: F32, at: tuple[int, int], reach: int, moved: tuple[int, int] = (0, 0)) -> float:
    """Correlation of the block of `picture` at (y, x) with the best one of `other`.

    Searched within `reach` of where it has `moved` to, as far as that lies in the picture.
    """
    h, w = other.shape
    y, x = (min(max(0, c + d), side - _BLOCK) for c, d, side in zip(at, moved, (h, w), strict=True))
    part = other[max(0, y - reach) : y + _BLOCK + reach, max(0, x - reach) : x + _BLOCK + reach]
    fit = cv2.matchTemplate(part, picture[at[0] : at[0] + _BLOCK, at[1] : at[1] + _BLOCK], cv2.TM_CCOEFF_NORMED)
    return float(cv2.minMaxLoc(fit)[1])


def _flat(picture: F32) -> F32:
    """A picture [h, w, 3] as a vector of length 1, with a mean of 0 in every channel."""
    v: F32 = (picture - picture.mean(axis=(0, 1))).reshape(-1)
    v /= np.float32(max(1e-3, float(np.linalg.norm(v))))
    return v
