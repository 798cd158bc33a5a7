"""Colour matrices: what turns frames converted by BT.601 into frames converted by their own matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BT709, UNSPECIFIED, SMPTE170M = 1, 2, 6  # AVColorSpace, the codes of ITU-T H.273
HD_LINES = 720

# (Kr, Kb) of ITU-T H.273, table 4
_WEIGHTS = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.470 B/G, as BT.601
    6: (0.299, 0.114),  # SMPTE 170M, as BT.601
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
    10: (0.2627, 0.0593),  # BT.2020, constant luminance
}


def conventional_matrix(matrix: int, height: int) -> int:
    """`matrix`, or where it is not given BT.709 from 720 lines upward and BT.601 below, as players have it."""
    if matrix != UNSPECIFIED:
        return matrix
    return BT709 if height >= HD_LINES else SMPTE170M


def _rgb_from_yuv(matrix: int) -> NDArray[np.float64]:
    kr, kb = _WEIGHTS[matrix]
    kg = 1 - kr - kb
    return np.array(
        [
            [1, 0, 2 * (1 - kr)],
            [1, -2 * (1 - kb) * kb / kg, -2 * (1 - kr) * kr / kg],
            [1, 2 * (1 - kb), 0],
        ]
    )


def from_bt601(matrix: int) -> NDArray[np.float32] | None:
    """[3, 3] float32 to multiply RGB (as columns) with that was converted by BT.601 though its matrix is `matrix`.

    None where nothing is to be done: BT.601 itself, and matrices without luma weights (RGB, YCgCo). The range plays no
    part: grey stays grey, and both conversions stretch the range alike. What BT.601 clipped at 0 or 255 stays lost.
    """
    if matrix not in _WEIGHTS or _WEIGHTS[matrix] == _WEIGHTS[SMPTE170M]:
        return None
    return (_rgb_from_yuv(matrix) @ np.linalg.inv(_rgb_from_yuv(SMPTE170M))).astype(np.float32)
