"""Masks for boxes: cut out the same every time, by networks where there are some, shared out where they overlap."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pictures import SIZE, U8, disc, entity, full, mask_iou, patch_of, texture

from stream.outline import Outliner
from stream.overlap import behind, claim, reaches_into, shadow
from tests.media import samples
from tests.running import networks

GIRL = np.array([316, 8, 514, 399], np.float32)


def scene() -> U8:
    """A red disc on a grey ground, both a little noisy."""
    noise = np.random.default_rng(1).integers(-12, 13, (*SIZE, 3))
    picture = np.full((*SIZE, 3), 120) + noise
    picture[disc(160, 90, 40)] = (np.array([190, 40, 40]) + noise)[disc(160, 90, 40)]
    return np.clip(picture, 0, 255).astype(np.uint8)


BOX = np.array([118, 48, 202, 132], np.float32)


def test_cut_out_without_networks() -> None:
    outliner = Outliner(None, None)
    assert outliner.kind("person") == outliner.kind("dog") == "cut"
    seen = outliner.outline(scene(), BOX, "object", None, grow=0.1)
    assert mask_iou(full(seen.patch), disc(160, 90, 40)) > 0.9
    assert seen.landmarks is None


def test_cut_out_is_the_same_whatever_was_drawn_before() -> None:
    """GrabCut draws from OpenCV's global generator: its state must not matter."""
    outliner, masks = Outliner(None, None), []
    for seed in (1, 77, 12345):
        cv2.setRNGSeed(seed)
        cv2.randu(np.zeros((5, 5), np.uint8), 0, 255)
        masks.append(outliner.outline(texture(4), BOX, "object", None, grow=0.1).patch)
    assert all((m.prob == masks[0].prob).all() and m.window == masks[0].window for m in masks)


def test_cut_out_goes_on_from_the_carried_mask() -> None:
    prior = patch_of(disc(157, 92, 38))
    seen = Outliner(None, None).outline(scene(), BOX, "object", prior, grow=0.1)
    assert mask_iou(full(seen.patch), disc(160, 90, 40)) > 0.9


@pytest.mark.parametrize("box", [(-20, -20, 30, 30), (300, 160, 400, 300), (5, 5, 6, 6), (0, 0, 320, 180)])
def test_any_box_stays_in_the_frame(box: tuple[int, ...]) -> None:
    for category in ("person", "dog", "object"):
        outliner = Outliner(networks().pose, networks().segment)
        patch = outliner.outline(scene(), np.array(box, np.float32), category, None, grow=0.1).patch
        x0, y0, x1, y1 = patch.window
        assert 0 <= x0 < x1 <= SIZE[1]
        assert 0 <= y0 < y1 <= SIZE[0]


def test_the_right_network_for_a_category() -> None:
    outliner = Outliner(networks().pose, networks().segment)
    kinds = {c: outliner.kind(c) for c in ("person", "dog", "car", "truck", "sports ball", "object")}
    assert kinds == {
        "person": "pose", "dog": "segment", "car": "segment", "truck": "segment", "sports ball": "cut", "object": "cut"
    }  # fmt: skip
    assert Outliner(None, networks().segment).kind("person") == "segment"


def test_a_real_person() -> None:
    capture = cv2.VideoCapture(str(samples() / "bedroom.mp4"))
    rgb = np.ascontiguousarray(capture.read()[1][:, :, ::-1])
    capture.release()
    seen = Outliner(networks().pose, networks().segment).outline(rgb, GIRL, "person", None, grow=0.08)
    assert seen.presence > 0.5
    assert seen.landmarks is not None
    assert seen.landmarks.shape == (33, 3)
    box = seen.patch.main_part().box()
    assert box is not None
    assert np.abs(box - GIRL).max() < 40


def instances(category: str) -> bool:
    return category == "person"


def test_every_pixel_is_one_entitys() -> None:
    people = [entity(i, disc(x, 90, 40)) for i, x in ((1, 130), (2, 170), (3, 200))]
    together = np.logical_or.reduce([disc(x, 90, 40) for x in (130, 170, 200)])
    claim(people, {}, scene(), knows_instances=instances)
    masks = [full(e.patch) for e in people if e.patch is not None]
    total = np.sum(masks, axis=0)
    assert total.max() == 1
    assert ((total > 0) == together).all(), "no pixel is lost"


def test_the_one_who_stands_nearer_keeps_the_shared_pixels() -> None:
    far, near = entity(1, disc(130, 80, 40)), entity(2, disc(170, 100, 40))
    for order in ([far, near], [near, far]):
        far.patch, near.patch = patch_of(disc(130, 80, 40)), patch_of(disc(170, 100, 40))
        claim(order, {}, scene(), knows_instances=instances)
        assert near.patch is not None
        assert (full(near.patch) == disc(170, 100, 40)).all()


def test_apart_they_keep_what_they_have() -> None:
    people = [entity(1, disc(60, 90, 30)), entity(2, disc(250, 90, 30), "dog")]
    claim(people, {}, scene(), knows_instances=instances)
    assert [e.patch.area for e in people if e.patch is not None] == [disc(60, 90, 30).sum(), disc(250, 90, 30).sum()]


def test_shadow_and_reach() -> None:
    a, b = entity(1, disc(130, 90, 40)), entity(2, disc(150, 90, 40))
    assert shadow(a, [a], SIZE) == 0
    assert 0.4 < shadow(a, [a, b], SIZE) < 0.8
    assert reaches_into(a.box, patch_of(disc(290, 90, 20))) == 0
    assert reaches_into(np.array([120, 80, 140, 100], np.float32), patch_of(disc(130, 90, 60))) == 1
    a.patch = patch_of(disc(100, 90, 10))  # little of it is left
    assert behind(a, b)
    assert not behind(b, a)
