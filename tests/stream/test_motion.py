"""Motion against a still and a moving camera, and the background learnt while nothing moves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from pictures import SIZE, U8, disc, full, mask_iou, patch_of, shifted, texture

from engines.detections import Detections
from kernels.iou import box_iou
from stream.background import Background, BackgroundState
from stream.detect import Detect, is_due, merge
from stream.flow import Flow, flow_image, small_image
from stream.motion import MotionDetector, MotionState, corroborate

STEP_US = 33_333


def walk(frames: int, *, speed: float, pan: float = 0.0) -> Iterator[tuple[U8, tuple[float, float]]]:
    """Frames with a textured disc that walks over a textured ground, and the disc's centre."""
    ground, thing = texture(1), texture(2)
    for i in range(frames):
        x = 60 + speed * i
        picture = shifted(ground, pan * i, 0)
        inside = disc(x, 90, 28)
        picture[inside] = shifted(thing, x, 0)[inside]
        yield picture, (x, 90)


def flows(frames: Iterator[tuple[U8, tuple[float, float]]]) -> Iterator[tuple[U8, Flow | None, tuple[float, float]]]:
    before = None
    for rgb, at in frames:
        image = flow_image(small_image(rgb))
        yield rgb, Flow(image, before, SIZE) if before is not None else None, at
        before = image


@pytest.mark.parametrize("pan", [0.0, 2.0])
def test_what_moves_is_found(pan: float) -> None:
    detector, state = MotionDetector(), MotionState()
    frames = list(flows(walk(15, speed=5 + pan, pan=pan)))
    for _, flow, _ in frames:
        detector.step(state, flow, STEP_US)
    at = frames[-1][2]
    found = detector.detect(state, SIZE)
    assert found.categories == ("object",)
    assert box_iou(found.boxes, np.array([[at[0] - 28, 62, at[0] + 28, 118]]))[0, 0] > 0.5


@pytest.mark.parametrize("pan", [0.0, 4.0])
def test_camera_alone_is_no_motion(pan: float) -> None:
    detector, state = MotionDetector(), MotionState()
    ground = texture(1)
    for _, flow, _ in flows(iter([(shifted(ground, pan * i, 0), (0.0, 0.0)) for i in range(12)])):
        detector.step(state, flow, STEP_US)
        assert len(detector.detect(state, SIZE)) == 0


def test_a_cut_forgets() -> None:
    detector, state = MotionDetector(), MotionState()
    for _, flow, _ in flows(walk(10, speed=5)):
        detector.step(state, flow, STEP_US)
    detector.step(state, None, STEP_US)
    assert len(detector.detect(state, SIZE)) == 0


def found(*rows: tuple[tuple[int, int, int, int], float, str]) -> Detections:
    boxes, scores, names = zip(*rows, strict=True)
    return Detections(np.array(boxes, np.float32), np.array(scores, np.float32), tuple(names))


def test_motion_backs_weak_detections_where_it_is() -> None:
    weak = found(
        ((0, 0, 40, 80), 0.3, "person"), ((200, 0, 240, 80), 0.32, "person"), ((0, 0, 40, 80), 0.3, "umbrella")
    )
    better = corroborate(weak, found(((0, 0, 42, 82), 0.6, "object")))
    by_box = {(b[0], c): s for b, s, c in zip(better.boxes, better.scores, better.categories, strict=True)}
    assert by_box[0.0, "person"] > 0.6
    assert by_box[200.0, "person"] == pytest.approx(0.32)
    assert by_box[0.0, "umbrella"] == pytest.approx(0.3)
    assert list(better.scores) == sorted(better.scores, reverse=True)


def test_merge_keeps_what_lies_elsewhere() -> None:
    both = merge(
        found(((0, 0, 40, 80), 0.9, "dog")), found(((5, 5, 38, 70), 0.5, "object"), ((100, 0, 140, 50), 0.5, "object"))
    )
    assert both.categories == ("dog", "object")
    assert both.boxes[1].tolist() == [100, 0, 140, 50]


@pytest.mark.parametrize(("now", "last", "due"), [(0, -1, True), (100, 0, True), (90, 0, True), (89, 0, False)])
def test_when_to_look(now: int, last: int, due: bool) -> None:
    assert is_due(now, last, 100) is due


class Says:
    """A detector that always says the same."""

    name = "says"

    def __init__(self, what: Detections) -> None:
        self._what = what

    def detect(self, rgb: U8) -> Detections:
        return self._what


def test_scenery_and_doubles_are_dropped() -> None:
    said = found(
        ((10, 10, 60, 100), 0.9, "person"), ((12, 10, 60, 102), 0.6, "dog"), ((0, 90, 200, 180), 0.9, "bed"),
        ((0, 0, 320, 180), 0.8, "car"), ((70, 10, 72, 12), 0.8, "car"), ((200, 20, 260, 60), 0.5, "car"),
    )  # fmt: skip
    assert Detect(Says(said)).look(texture()).categories == ("person", "car")
    assert len(Detect(None).look(texture())) == 0


def test_background_gives_back_what_a_mask_missed() -> None:
    ground, thing = texture(1), np.full((*SIZE, 3), (230, 20, 200), np.uint8)
    background, state = Background(), BackgroundState()
    before, patch, flow, now = flow_image(small_image(ground)), None, None, None
    for i in range(40):
        rgb = ground.copy()
        if i >= 25:  # it comes in and stays in motion
            rgb[disc(6 * (i - 25) + 60, 90, 30)] = thing[disc(6 * (i - 25) + 60, 90, 30)]
        image = flow_image(small_image(rgb))
        flow = Flow(image, before, SIZE)
        before = image
        now = background.step(state, rgb, flow, [])
    x = 6 * 14 + 60
    truth = disc(x, 90, 30)
    patch = patch_of(disc(x - 10, 90, 18))
    box = np.array([x - 30, 60, x + 30, 120], np.float32)
    better = background.sharpen(state, now, patch, box, [], flow, SIZE, rigid=False)
    assert mask_iou(full(better), truth) > mask_iou(full(patch), truth)
    assert not (full(better) & ~disc(x, 90, 40)).any()


def test_no_background_while_the_camera_moves() -> None:
    background, state = Background(), BackgroundState()
    for rgb, flow, _ in flows(walk(8, speed=3, pan=3.0)):
        assert background.step(state, rgb, flow, []) is None
    assert state.mean is None
    patch = patch_of(disc(100, 90, 20))
    assert background.sharpen(state, None, patch, np.array([80, 70, 120, 110.0]), [], None, SIZE, rigid=False) is patch
