"""What a process that runs a pipeline sets once, before it starts: explicit, and never at import."""

from __future__ import annotations

import contextlib
import ctypes
import sys

import cv2

CV_THREADS = 1
"""OpenCV's optical flow (DIS) depends on how its work is split, and with several threads that depends on who else is
busy: one thread gives the same masks in every run and on every machine. The pipeline has threads of its own."""

SWITCH_S = 0.0003
"""The pipeline's threads hand the interpreter over after this long; Python's 5 ms would be a sixth of a frame."""

ARENAS = 2
"""glibc gives threads arenas of their own, and chunks begin and end threads: with 16 of them freed frames lie scattered
and memory wanders between 500 and 720 MB over half an hour; with two it stays where it is."""
_M_ARENA_MAX = -8


def settle() -> None:
    cv2.setNumThreads(CV_THREADS)
    sys.setswitchinterval(SWITCH_S)
    with contextlib.suppress(OSError, AttributeError):  # another C library has no such switch
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS)
