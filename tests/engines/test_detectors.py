"""Detectors: known things found near known places, and boxes decoded exactly from made-up outputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from frames import BOY, GIRL, Fake, frame, session

from engines.backends import Session
from engines.detections import Detections, Detector, suppress
from engines.fastestdet import FastestDetDetector
from engines.labels import COCO
from engines.person import PersonDetector
from engines.yolox import YoloxDetector
from kernels.iou import box_iou

Build = Callable[[Session], Detector]
CASES = {
    # network: (class, [(clip, frame, category, box, least IoU)])
    "yolox-nano": (
        YoloxDetector,
        [
            ("bedroom.mp4", 0, "person", GIRL, 0.8),
            ("bedroom.mp4", 0, "person", BOY, 0.8),
            ("01_dog.mp4", 30, "person", (221, 81, 439, 557), 0.8),
            ("01_dog.mp4", 30, "dog", (546, 326, 711, 560), 0.75),
            ("19_cyclist.mp4", 0, "bicycle", (380, 470, 716, 720), 0.7),
        ],
    ),
    "fastestdet": (
        FastestDetDetector,
        [("bedroom.mp4", 0, "person", GIRL, 0.6), ("01_dog.mp4", 30, "dog", (546, 326, 711, 560), 0.6)],
    ),
    "blazepose-person": (
        PersonDetector,
        [("bedroom.mp4", 0, "person", GIRL, 0.5), ("01_dog.mp4", 30, "person", (221, 81, 439, 557), 0.5)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_finds_what_is_there(name: str) -> None:
    build, wanted = CASES[name]
    detector = build(session(name))
    assert detector.name == name
    for clip, number, category, box, least in wanted:
        rgb = frame(clip, number)
        found = detector.detect(rgb)
        assert list(found.scores) == sorted(found.scores, reverse=True)
        assert (found.boxes >= 0).all()
        assert (found.boxes[:, [0, 2]] <= rgb.shape[1]).all()
        assert (found.boxes[:, [1, 3]] <= rgb.shape[0]).all()
        mine = found.take([i for i, c in enumerate(found.categories) if c == category])
        assert box_iou(mine.boxes, np.array([box])).max(initial=0) >= least, (clip, category, found)
        again = detector.detect(rgb)
        assert (again.boxes == found.boxes).all()
        assert (again.scores == found.scores).all()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("shape", [(64, 64, 3), (17, 400, 3), (400, 17, 3)])
def test_nothing_in_a_grey_frame_of_any_shape(name: str, shape: tuple[int, ...]) -> None:
    assert len(CASES[name][0](session(name)).detect(np.full(shape, 114, np.uint8))) == 0


def test_yolox_decoding() -> None:
    """One cell of the stride-16 grid: column 10, row 5, half a cell in, e x stride wide and e^2 x stride high."""
    out = np.zeros((1, 3549, 85), np.float32)
    row = 52 * 52 + 5 * 26 + 10
    out[0, row, :5] = (0.5, 0.5, 1, 2, 0.8)
    out[0, row, 5 + COCO.index("dog")] = 0.5
    net = Fake(out)
    found = YoloxDetector(net).detect(np.zeros((208, 416, 3), np.uint8))
    assert found.categories == ("dog",)
    assert found.scores == pytest.approx([0.4])
    w, h = np.e * 16, np.e**2 * 16
    assert found.boxes[0] == pytest.approx([168 - w / 2, 88 - h / 2, 168 + w / 2, 88 + h / 2], abs=1e-3)
    assert net.seen.shape == (1, 3, 416, 416)
    assert (net.seen[0, :, 208:] == 114).all(), "letterboxed into the top left"
    assert (net.seen[0, :, :208] == 0).all()


def test_yolox_takes_bgr() -> None:
    net = Fake(np.zeros((1, 3549, 85)))
    red = np.zeros((416, 416, 3), np.uint8)
    red[..., 0] = 255
    YoloxDetector(net).detect(red)
    assert net.seen[0, :, 0, 0].tolist() == [0, 0, 255]


def test_fastestdet_decoding() -> None:
    out = np.full((1, 85, 22, 22), 0, np.float32)
    out[0, 0, 7, 3], out[0, 5 + COCO.index("cat"), 7, 3] = 0.9, 0.6
    out[0, 3:5, 7, 3] = np.log(0.25 / 0.75)  # a quarter of the frame, both ways
    found = FastestDetDetector(Fake(out)).detect(np.zeros((220, 440, 3), np.uint8))
    assert found.categories == ("cat",)
    assert found.scores == pytest.approx([0.9**0.6 * 0.6**0.4])
    assert found.boxes[0] == pytest.approx([60 - 55, 70 - 27.5, 60 + 55, 70 + 27.5], abs=1e-3)


def test_person_detector_decoding() -> None:
    """The body's square has its middle at the hips; half its side is the distance to the scope point."""
    values, logits = np.zeros((1, 2254, 12), np.float32), np.full((1, 2254, 1), -20, np.float32)
    anchor = 2 * (10 * 28 + 4)  # stride 8, row 10, column 4: centre (36, 84)
    logits[0, anchor] = 3
    values[0, anchor, 4:8] = (10, 20, 10, -20)
    found = PersonDetector(Fake(values, logits)).detect(np.zeros((448, 448, 3), np.uint8))
    x0, y0, x1, y1 = found.boxes[0]
    assert found.categories == ("person",)
    assert found.scores == pytest.approx([0.7 / (1 + np.exp(-3))])
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((92, 208), abs=1e-3)
    assert y1 - y0 == pytest.approx(160, abs=1e-3)
    assert 0.4 <= (x1 - x0) / (y1 - y0) <= 0.7


def test_suppress_is_by_class() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10], [20, 20, 21, 40], [50, 50, 70, 70]], np.float32)
    scores = np.array([0.5, 0.9, 0.4, 0.9, 0.1], np.float32)
    found = suppress(boxes, scores, ["dog", "dog", "cat", "dog", "dog"], score=0.3, iou=0.5, size=(60, 60))
    assert found.categories == ("dog", "cat")
    assert found.scores == pytest.approx([0.9, 0.4])


def test_detections_are_checked() -> None:
    with pytest.raises(ValueError, match="2 categories want boxes"):
        Detections(np.zeros((1, 4), np.float32), np.zeros(2, np.float32), ("dog", "cat"))
    assert len(Detections.none()) == 0
