"""What a process that runs a pipeline sets once, before it starts: explicit, and never at import."""

from __future__ import annotations

import sys

import cv2

CV_THREADS = 1
"""OpenCV's optical flow (DIS) depends on how its work is split, and with several threads that depends on who else is
busy: one thread gives the same masks in every run and on every machine. The pipeline has threads of its own."""

SWITCH_S = 0.0003
"""The pipeline's threads hand the interpreter over after this long; Python's 5 ms would be a sixth of a frame."""


def settle() -> None:
    cv2.setNumThreads(CV_THREADS)
    sys.setswitchinterval(SWITCH_S)
