"""What a body does, from one pose: how well 33 landmarks fit words such as `sitting` or `arm-raised`.

Lengths are in torsos (shoulders to hips), so that nearness does not matter. Landmarks are BlazePose's (Bazarevsky et
al., arXiv 2006.10204): 11, 12 shoulders, 15, 16 wrists, 23, 24 hips, 25, 26 knees, 27, 28 ankles, 0 nose.
"""

from __future__ import annotations

import numpy as np

from engines.crops import F32

SURE = 0.5
"""Visibility under which a landmark is a guess."""
WORDS = ("arm-raised", "bending", "crouching", "lying", "sitting", "standing")


def fits(landmarks: F32 | None) -> dict[str, float]:
    """word -> fit in [0, 1], for landmarks [33, 3] float32 (x, y in pixels, visibility in [0, 1]); words whose
    landmarks are not seen are missing."""
    if landmarks is None:
        return {}
    shoulder, hip = _middle(landmarks, 11, 12), _middle(landmarks, 23, 24)
    if shoulder is None or hip is None:
        return {}
    torso = float(np.hypot(*(hip - shoulder)))
    if torso < 4:
        return {}
    upright = float(hip[1] - shoulder[1]) / torso  # 1 standing straight, 0 lying
    found = {"lying": _ramp(upright, 0.45, 0.15), "bending": _ramp(upright, 0.75, 0.5) * _ramp(upright, 0.05, 0.3)}
    wrists = [
        float(landmarks[s, 1] - landmarks[w, 1]) / torso for s, w in ((11, 15), (12, 16)) if _seen(landmarks, s, w)
    ]
    if wrists:
        found["arm-raised"] = _ramp(max(wrists), 0.05, 0.45)
    knee, ankle = _middle(landmarks, 25, 26), _middle(landmarks, 27, 28)
    if knee is not None and ankle is not None:
        thigh, shin = float(knee[1] - hip[1]) / torso, float(ankle[1] - knee[1]) / torso
        up = _ramp(upright, 0.5, 0.75)
        folded = _ramp(thigh, 0.55, 0.3)  # thighs level, or knees above the hips
        drop = float(ankle[1] - hip[1]) / torso  # from the hips to the feet
        found["crouching"] = up * folded * _ramp(drop, 0.9, 0.65)
        found["sitting"] = up * folded * _ramp(drop, 0.65, 0.9)
        found["standing"] = up * _ramp(thigh, 0.45, 0.65) * _ramp(shin, 0.4, 0.6)
    return found


def _seen(landmarks: F32, *which: int) -> bool:
    return bool((landmarks[list(which), 2] >= SURE).all())


def _middle(landmarks: F32, a: int, b: int) -> F32 | None:
    """Between two landmarks of both sides; the one that is seen where the other is not."""
    sides = [i for i in (a, b) if landmarks[i, 2] >= SURE]
    if not sides:
        return None
    middle: F32 = landmarks[sides, :2].mean(axis=0)
    return middle


def _ramp(value: float, nothing: float, all_of_it: float) -> float:
    """0 at `nothing`, 1 at `all_of_it`, straight between them."""
    return float(np.clip((value - nothing) / (all_of_it - nothing), 0, 1))
