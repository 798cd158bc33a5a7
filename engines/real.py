"""Real inputs of lite's networks: what they are really given when lite looks at the sample clips.

Each detector and network of `lite` runs on frames of the clips with a session that keeps what it is handed, so that the
preparation is the very one that is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from engines.backends import F32, Session
from engines.backends.litert import LiteRtSession
from engines.backends.ort import OrtSession
from engines.catalogue import find, known
from engines.crops import U8, Crop
from engines.deeplab import CATEGORIES, SegmentationNet
from engines.deeplab import FACTOR as SEGMENT_FACTOR
from engines.fastestdet import FastestDetDetector
from engines.pose import FACTOR as POSE_FACTOR
from engines.pose import PoseNet
from engines.reid import ReidNet
from engines.spec import Arrays
from engines.store import Store
from engines.yolox import YoloxDetector

SURE = 0.4
"""Score from which a detection's crop is looked at."""
STEP = 12
"""Frames from one look at a clip to the next."""
_INPUTS = {
    "yolox-nano": "images", "fastestdet": "input.1", "blazepose-full": "input_1", "deeplabv3-voc": "sub_7",
    "person-reid-0287": "inputs:0",
}  # fmt: skip


class Recorder:
    """A session that keeps every input it is given, and runs it."""

    def __init__(self, inner: Session) -> None:
        self._inner, self.backend = inner, inner.backend
        self.seen: list[F32] = []

    def run(self, x: F32) -> tuple[F32, ...]:
        self.seen.append(x.copy())
        return self._inner.run(x)


def inputs(name: str, store: Store, count: int) -> list[Arrays]:
    """Up to `count` inputs of one row each, spread over the clips in turn; none where clips or detector are missing."""
    folder = store.samples
    own, detector = _session(name, store), _session("yolox-nano", store)
    if folder is None or own is None or detector is None:
        return []
    recorder, finder = Recorder(own), YoloxDetector(detector)
    for frame in frames(folder):
        if len(recorder.seen) >= count:
            break
        _look(name, recorder, finder, frame)
    return [{_INPUTS[name]: x} for x in recorder.seen[:count]]


def _look(name: str, session: Session, finder: YoloxDetector, rgb: U8) -> None:
    """One frame as lite looks at it with this network."""
    if name == "yolox-nano":
        YoloxDetector(session).detect(rgb)
    elif name == "fastestdet":
        FastestDetDetector(session).detect(rgb)
    else:
        found = finder.detect(rgb)
        for box, score, category in zip(found.boxes, found.scores, found.categories, strict=True):
            if score < SURE:
                continue
            if name == "blazepose-full" and category == "person":
                PoseNet(session).run(rgb, Crop.around(box, factor=POSE_FACTOR))
            elif name == "person-reid-0287" and category == "person":
                ReidNet(session).embed(rgb, box)
            elif name == "deeplabv3-voc" and category != "person" and category in CATEGORIES:
                SegmentationNet(session).logits(rgb, Crop.around(box, factor=SEGMENT_FACTOR), category)


def clips(folder: Path) -> list[Path]:
    """The videos of a folder, by name."""
    return sorted(p for p in folder.iterdir() if p.suffix in (".mp4", ".mkv", ".webm"))


def fingerprint(store: Store) -> str:
    """What tells one set of clips from another: what was calibrated on them depends on it."""
    named = [(p.name, p.stat().st_size) for p in clips(store.samples)] if store.samples is not None else []
    return hashlib.sha256(repr(named).encode()).hexdigest()[:16]


def frames(folder: Path) -> Iterator[U8]:
    """Frames [H, W, 3] uint8 RGB, every `STEP`th of each clip, one of each clip in turn until all have ended."""
    open_ones = [cv2.VideoCapture(str(p)) for p in clips(folder)]
    while open_ones:
        for capture in list(open_ones):
            if not all(capture.grab() for _ in range(STEP)):
                open_ones.remove(capture)
                capture.release()
                continue
            there, bgr = capture.retrieve()
            if there:
                yield np.ascontiguousarray(bgr[:, :, ::-1], np.uint8)


def _session(name: str, store: Store) -> Session | None:
    for item in (find(n) for n in (f"{name}-onnx", name) if n in known()):
        path = store.locate(item)
        if path is not None:
            return LiteRtSession(path, threads=2) if path.suffix == ".tflite" else OrtSession(path)
    return None
