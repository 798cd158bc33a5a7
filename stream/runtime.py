"""What a process that runs a pipeline sets once, before it starts: explicit, and never at import."""

from __future__ import annotations

import sys

import cv2

CV_THREADS = 2
"""OpenCV's optical flow depends on its number of threads: fixed, so that every machine gives the same masks."""

SWITCH_S = 0.0003
"""The pipeline's threads hand the interpreter over after this long; Python's 5 ms would be a sixth of a frame."""


def settle() -> None:
    cv2.setNumThreads(CV_THREADS)
    sys.setswitchinterval(SWITCH_S)
