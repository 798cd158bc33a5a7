"""Pose, segmentation and re-identification networks on real frames."""

from __future__ import annotations

import numpy as np
import pytest
from frames import BOY, GIRL, Fake, frame, session

from engines.crops import Crop
from engines.deeplab import CATEGORIES, SegmentationNet
from engines.labels import COCO, VOC
from engines.pose import FACTOR, PoseNet
from engines.reid import ReidNet


@pytest.fixture(scope="module")
def pose() -> PoseNet:
    return PoseNet(session("blazepose-full"))


def over_frame(crop: Crop, logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return crop.uncut(logits.astype(np.float32), (0, 0, size[1], size[0]), border=-12) > 0


@pytest.mark.parametrize("box", [GIRL, BOY])
def test_pose_is_of_the_person_in_the_crop(pose: PoseNet, box: tuple[int, ...]) -> None:
    rgb = frame("bedroom.mp4", 0)
    seen = pose.run(rgb, Crop.around(np.array(box), factor=FACTOR))
    assert seen.presence > 0.5
    x0, y0, x1, y1 = box
    visible = seen.landmarks[seen.landmarks[:, 2] > 0.8]
    assert len(visible) > 15
    inside = (
        (visible[:, 0] > x0 - 15) & (visible[:, 0] < x1 + 15) & (visible[:, 1] > y0 - 15) & (visible[:, 1] < y1 + 15)
    )
    assert inside.mean() > 0.9
    nose, hips = seen.landmarks[0], seen.landmarks[[23, 24]].mean(axis=0)
    assert nose[1] < hips[1], "the head is above the hips"
    mask = over_frame(seen.crop, seen.logits, rgb.shape[:2])
    assert 0.25 < mask[y0:y1, x0:x1].mean() < 0.8
    assert mask[y0:y1, x0:x1].sum() > 0.9 * mask.sum()


def test_no_presence_in_scenery(pose: PoseNet) -> None:
    rgb = frame("12_hideandseek.mp4", 0)
    tent = np.array([0, 0.35 * rgb.shape[0], 0.25 * rgb.shape[1], rgb.shape[0]])
    assert pose.run(rgb, Crop.around(tent, factor=FACTOR)).presence < 0.25


@pytest.mark.parametrize(
    ("clip", "number", "category", "box"),
    [
        ("01_dog.mp4", 30, "dog", (546, 326, 711, 560)),
        ("19_cyclist.mp4", 0, "bicycle", (380, 470, 716, 720)),
        ("19_cyclist.mp4", 210, "car", (850, 160, 1210, 370)),
    ],
)
def test_segmentation_marks_its_category(clip: str, number: int, category: str, box: tuple[int, ...]) -> None:
    rgb = frame(clip, number)
    crop = Crop.around(np.array(box), factor=1.3)
    net = SegmentationNet(session("deeplabv3-voc"))
    mask = over_frame(crop, net.logits(rgb, crop, category), rgb.shape[:2])
    x0, y0, x1, y1 = box
    assert mask[y0:y1, x0:x1].mean() > 0.2
    assert mask[y0:y1, x0:x1].sum() > 0.7 * mask.sum()
    other = over_frame(crop, net.logits(rgb, crop, "sheep" if category != "dog" else "car"), rgb.shape[:2])
    if category != "dog":
        assert not (mask & other).any(), "a pixel has one kind"


def test_segmentation_categories_are_the_detectors() -> None:
    assert {"person", "dog", "car", "truck", "bicycle"} <= CATEGORIES
    assert set(COCO) >= CATEGORIES - set(VOC), "aliases are COCO's names"


def test_look_alikes_and_others() -> None:
    net = ReidNet(session("person-reid-0287"))
    girl, later, boy = (net.embed(frame("bedroom.mp4", n), np.array(b)) for n, b in ((0, GIRL), (2, GIRL), (0, BOY)))
    assert girl.shape == (256,)
    assert float(np.linalg.norm(girl)) == pytest.approx(1, abs=1e-5)
    assert girl @ later > girl @ boy + 0.1


def test_reid_of_a_box_over_the_border() -> None:
    net = Fake(np.ones((1, 256)))
    v = ReidNet(net).embed(np.zeros((20, 20, 3), np.uint8), np.array([-5.0, -5, 50, 50]))
    assert net.seen.shape == (1, 256, 128, 3)
    assert v == pytest.approx(np.full(256, 1 / 16))


def test_crop_there_and_back() -> None:
    y, x = np.mgrid[:90, :120]
    rgb = np.stack([x * 2, y * 2, x + y], axis=-1).astype(np.uint8)
    crop = Crop(60.0, 45.0, 40.0)
    cut = crop.cut(rgb, 80)
    back = crop.uncut(np.ascontiguousarray(cut[..., 0]), (45, 30, 75, 60), border=0)
    assert np.abs(back.astype(int) - rgb[30:60, 45:75, 0]).max() <= 2
    np.testing.assert_allclose(
        crop.to_frame(np.array([[0, 0], [40, 40], [80, 80]], np.float32), 80), [[40, 25], [60, 45], [80, 65]]
    )
