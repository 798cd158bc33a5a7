"""Followed back: things that move by a known way over grounds that stand or move, to when they could be seen first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import SIZE, U8, disc, full, mask_iou, patch_of, shifted, texture

from stream.flow import small_image
from stream.lookback import Followed, Past, trace_back
from stream.outline import Outline, Outliner
from stream.patch import F32, Patch

Mask = np.ndarray


def film(
    places: Sequence[tuple[float, float] | None], *, radius: float = 20, pan: float = 0
) -> tuple[Past, list[Mask]]:
    """A textured disc at these places (None: away), over ground that goes by `pan` pixels a frame; its true masks."""
    past, ground, thing, truth = Past(), texture(1), texture(2) // 2 + 100, []
    for i, place in enumerate(places):
        picture = shifted(ground, pan * i, 0)
        mask = disc(*place, radius) if place is not None else np.zeros(SIZE, bool)
        if place is not None:
            picture[mask] = shifted(thing, place[0] - 160, place[1] - 90)[mask]
        past.add(i * 33_333, picture)
        truth.append(mask)
    return past, truth


def followed(truth: Sequence[Mask], at: int) -> Followed:
    """What it is at frame `at`, the last of the film being the newest."""
    newest = patch_of(truth[-1]) if truth[-1].any() else None
    return Followed("object", patch_of(truth[at]), at * 33_333, newest, SIZE)


def compared(found: list[tuple[int, Patch]], truth: Sequence[Mask], at: int) -> list[float]:
    """IoU of each mask, newest first; they follow one another without a gap."""
    assert [round(t / 33_333) for t, _ in found] == list(range(at - 1, at - 1 - len(found), -1))
    return [mask_iou(full(patch), truth[round(t / 33_333)]) for t, patch in found]


def test_traced_to_the_beginning_with_the_picture() -> None:
    past, picture, truth = Past(), texture(), []
    for i in range(10):
        past.add(i * 33_333, shifted(picture, 4 * i, -i))
        truth.append(disc(144 + 4 * i, 90 - i, 30))
    found = trace_back(past, followed(truth, 9), None)
    assert len(found) == 9
    assert min(compared(found, truth, 9)) > 0.9


@pytest.mark.parametrize("speed", [2, 5, 9, 14])
@pytest.mark.parametrize("pan", [0, -3])
def test_into_the_frame_at_any_speed(speed: int, pan: float) -> None:
    """Flow would wear a sliver away at the frame's edge; where nothing of it is in sight nothing is invented."""
    places = [(-40.0 + speed * i, 90.0) for i in range(8 + 70 // speed)]
    past, truth = film(places, pan=pan)
    at = next(i for i, mask in enumerate(truth) if mask.sum() > 700)
    found = trace_back(past, followed(truth, at), None)
    shares = compared(found, truth, at)
    in_sight = [i for i in range(at) if truth[i].sum() > 100]
    assert len(found) >= len(in_sight)
    assert min(shares[: len(in_sight)]) > 0.6
    assert sum(not truth[round(t / 33_333)].any() for t, _ in found) <= 1


def test_from_behind_something_and_no_further() -> None:
    places = [(150.0 + 3 * max(0, i - 10), 90.0) for i in range(40)]
    past, truth = film(places)
    post = np.zeros(SIZE, bool)
    post[:, 120:180] = True
    for i, image in enumerate(past.images):
        image[post] = texture(3)[post]
        truth[i] = truth[i] & ~post
    at = 34
    found = trace_back(past, followed(truth, at), None)
    assert 8 <= len(found) <= at - 12
    assert min(compared(found, truth, at)[:8]) > 0.6
    assert all(truth[round(t / 33_333)].any() for t, _ in found)


def test_not_over_a_change() -> None:
    """What was there before looks otherwise: the trace ends, it does not invent."""
    past = Past()
    for i in range(8):
        past.add(i * 100_000, texture(seed=0 if i < 4 else 1))
    what = Followed("object", patch_of(disc(160, 90, 30)), 700_000, None, SIZE)
    assert [t for t, _ in trace_back(past, what, None)] == [600_000, 500_000, 400_000]


def test_no_such_frame_and_no_mask_in_it() -> None:
    past, truth = film([(100.0, 90.0)] * 3)
    for outside in (Patch(-40, -40, np.full((9, 9), 255, np.uint8)), Patch(9, 9, np.zeros((1, 1), np.uint8))):
        assert trace_back(past, Followed("object", outside, 66_666, None, SIZE), None) == []
        assert len(trace_back(past, Followed("object", patch_of(truth[1]), 33_333, outside, SIZE), None)) == 1
    assert trace_back(past, Followed("object", patch_of(truth[0]), 5, None, SIZE), None) == []


class Drawn(Outliner):
    """Draws whatever it is given, in the order of asking."""

    def __init__(self, masks: Sequence[Mask]) -> None:
        super().__init__(None, None)
        self.masks = list(masks)

    def kind(self, category: str) -> str:
        return "pose"

    def outline(self, rgb: U8, box: F32, category: str, prior: Patch | None, **_: object) -> Outline:
        return Outline(patch_of(self.masks.pop(0)), 1.0)


def test_what_changes_its_shape_is_drawn_anew() -> None:
    past, _ = film([(160.0, 90.0)] * 12, radius=30)
    grown = [disc(160, 90, 18 + i) for i in range(12)]
    found = trace_back(past, followed(grown, 11), Drawn(grown[10::-1]))
    assert len(found) == 11
    assert min(compared(found, grown, 11)) > 0.85


def test_a_network_that_draws_a_neighbour_is_not_believed() -> None:
    past, truth = film([(100.0 + 4 * i, 90.0) for i in range(12)])
    found = trace_back(past, followed(truth, 11), Drawn([disc(250, 90, 25)] * 11))
    assert len(found) == 11
    assert min(compared(found, truth, 11)) > 0.8


def test_a_large_frame_is_followed_in_small_images() -> None:
    past, truth = film([(100.0 + 4 * i, 90.0) for i in range(12)])
    size = (SIZE[0] * 3, SIZE[1] * 3)
    what = Followed("object", patch_of(truth[11]).scaled(3, 3), 11 * 33_333, None, size)
    found = trace_back(past, what, None)
    assert len(found) == 11
    for t, patch in found:
        true = np.kron(truth[round(t / 33_333)], np.ones((3, 3), bool))
        assert mask_iou(patch.on((0, 0, size[1], size[0])) >= 128, true) > 0.8


@given(st.integers(1, 700), st.integers(1, 700), st.floats(0, 1), st.floats(0, 1), st.floats(2, 90))
def test_frames_of_any_size_and_masks_anywhere(h: int, w: int, x: float, y: float, radius: float) -> None:
    """Small images are rounded to whole pixels, each side by itself: no mask may reach beyond them, nor the frame's."""
    picture, past = texture(size=(h, w)), Past()
    for i in range(4):
        past.add(i, small_image(shifted(picture, 3 * i, -2 * i)))
    mask = patch_of(disc(x * w, y * h, radius, (h, w)))
    for _, patch in trace_back(past, Followed("object", mask, 2, mask, (h, w)), None):
        x0, y0, x1, y1 = patch.window
        assert 0 <= x0 < x1 <= w
        assert 0 <= y0 < y1 <= h
        assert patch.area


def test_the_past_is_bounded() -> None:
    past = Past(window_us=500_000)
    for i in range(1000):
        past.add(i * 33_333, np.zeros((2, 2, 3), np.uint8))
    assert len(past.images) == len(past.times) == 16
    assert past.times[-1] - past.times[0] <= 500_000
    past.clear()
    assert (past.times, past.images) == ([], [])
