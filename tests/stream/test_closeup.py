"""Close-ups: what is too small for the detector in the whole frame is found where it moves, and found again."""

from __future__ import annotations

import numpy as np
import pytest

from engines.crops import U8
from engines.detections import Detections
from stream.closeup import CloseUp, CloseUpState
from stream.detect import Detect

H, W = 360, 640
NOTHING = Detections.none()


class Painted:
    """Sees white squares, `faint` (with a wrong name) where they are under 40 of 416 pixels as it is given them."""

    name = "painted"

    def __init__(self, faint: float = 0.0) -> None:
        self.faint, self.looks = faint, 0

    def detect(self, rgb: U8) -> Detections:
        self.looks += 1
        ys, xs = np.nonzero(rgb[..., 0] > 200)
        if not len(xs):
            return NOTHING
        box = np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], np.float32)
        shown = float((box[0, 2:] - box[0, :2]).max()) * 416 / max(rgb.shape[:2])
        if shown >= 40:
            return Detections(box, np.array([0.8], np.float32), ("dog",))
        return Detections(box, np.array([self.faint], np.float32), ("sports ball",)) if self.faint else NOTHING


def frame(x: int, y: int, side: int = 40, size: tuple[int, int] = (H, W)) -> U8:
    rgb = np.zeros((*size, 3), np.uint8)
    rgb[y : y + side, x : x + side] = 255
    return rgb


def moving(*boxes: tuple[int, int, int, int]) -> Detections:
    n = len(boxes)
    return Detections(np.array(boxes, np.float32).reshape(n, 4), np.full(n, 0.5, np.float32), ("object",) * n)


def looks(state: CloseUpState, detector: Painted, rgb: U8, moves: Detections, n: int) -> list[Detections]:
    close_up = CloseUp(Detect(detector))
    return [close_up.step(state, rgb, detector.detect(rgb), moves) for _ in range(n)]


@pytest.mark.parametrize(("x", "y"), [(0, 0), (300, 160), (600, 320), (200, 7), (255, 255)])
def test_what_is_small_and_moves_is_found_wherever_it_is(x: int, y: int) -> None:
    found = looks(CloseUpState(), Painted(), frame(x, y), moving((x - 9, y - 9, x + 49, y + 49)), 12)
    hits = [f for f in found if len(f)]
    assert len(hits) >= 4
    assert all(f.categories == ("dog",) and f.boxes[0].tolist() == [x, y, x + 40, y + 40] for f in hits)


def test_what_stands_still_is_scenery_until_it_has_moved() -> None:
    state, detector = CloseUpState(), Painted()
    assert not any(len(f) for f in looks(state, detector, frame(300, 160), NOTHING, 20))
    assert detector.looks == 20, "where nothing moves there is no close-up"
    looks(state, detector, frame(300, 160), moving((290, 150, 350, 210)), 12)
    still = looks(state, detector, frame(300, 160), NOTHING, 20)
    assert sum(len(f) for f in still) >= 9, "it is looked at again and again"


def test_at_most_one_close_up_a_look_and_none_for_ever_of_what_is_gone() -> None:
    state, detector = CloseUpState(), Painted()
    looks(state, detector, frame(300, 160), moving((0, 0, W, H)), 30)
    assert detector.looks <= 60
    looks(state, detector, np.zeros((H, W, 3), np.uint8), NOTHING, 12)
    assert state.places == []


def test_a_doubted_name_is_asked_about() -> None:
    """A dog of a few pixels is a ball to the detector; the close-up knows better, and says it instead."""
    found = looks(CloseUpState(), Painted(0.7), frame(300, 160), moving((290, 150, 350, 210)), 8)
    names = [f.categories for f in found]
    assert ("dog",) in names
    assert all(len(n) == 1 for n in names), "one thing is not said twice"


def test_what_the_whole_frame_shows_needs_none() -> None:
    detector = Painted()
    found = looks(CloseUpState(), detector, frame(100, 100, 80), moving((100, 100, 180, 180)), 6)
    assert [f.categories for f in found] == [("dog",)] * 6


@pytest.mark.parametrize("size", [(64, 64), (97, 33), (1, 1), (720, 90)])
def test_frames_of_any_shape(size: tuple[int, int]) -> None:
    rgb = np.zeros((*size, 3), np.uint8)
    assert not any(len(f) for f in looks(CloseUpState(), Painted(), rgb, moving((0, 0, size[1], size[0])), 9))
