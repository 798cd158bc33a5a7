"""Logits to test with, drawn by hypothesis: noise, blobs, stripes, steps, empty, full, and values at the edge."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

F32 = NDArray[np.float32]
KINDS = ("noise", "blobs", "stripes", "whole numbers", "empty", "full", "one pixel", "huge")


def logits(kind: str, n: int, h: int, w: int, seed: int) -> F32:
    """[n, h, w] float32 of a kind."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n, h, w)).astype(np.float32)
    if kind == "blobs":
        smooth = [cv2.GaussianBlur(m, (0, 0), max(0.6, min(h, w) / 12)) * 20 for m in noise]
        return np.array(smooth, np.float32).reshape(n, h, w)
    if kind == "stripes":
        waves = np.sin(np.arange(w) * rng.uniform(0.3, 3))[None] + np.sin(np.arange(h) * rng.uniform(0.3, 3))[:, None]
        return np.repeat(waves[None].astype(np.float32), n, 0)
    if kind == "whole numbers":  # many exact zeros between them
        return rng.integers(-2, 3, (n, h, w)).astype(np.float32)
    if kind in ("empty", "full"):
        return np.full((n, h, w), 3 if kind == "full" else -3, np.float32)
    if kind == "one pixel":
        out = np.full((n, h, w), -4, np.float32)
        out[:, rng.integers(h), rng.integers(w)] = 30
        return out
    if kind == "huge":
        return (noise * np.float32(1e30)).astype(np.float32)
    return noise


@st.composite
def maps(draw: st.DrawFn, *, most: int, largest: int) -> tuple[F32, tuple[int, int], str]:
    """Logits [N, h, w] of up to `most` points a side, the size of a mask of up to `largest`, and their kind."""
    kind = draw(st.sampled_from(KINDS))
    h, w = draw(st.integers(1, most)), draw(st.integers(1, most))
    size = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    return logits(kind, draw(st.integers(0, 3)), h, w, draw(st.integers(0, 2**31))), size, kind
