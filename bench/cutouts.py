"""Cut-outs: people, dogs and cars of the sample clips as short films with a matte, to be pasted elsewhere.

The stretches were chosen by eye: whole, sharp, apart from others. YOLOX finds the box, BlazePose (people) or
DeepLabV3 (the rest) the mask, GrabCut its border (Rother et al., SIGGRAPH 2004), and a feather of a pixel the matte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from engines.crops import shrink
from engines.errors import UserError
from engines.lite import Lite
from kernels.iou import box_iou
from stream.entity import same_kind
from stream.outline import Outliner

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
TALLEST = 400
"""Pixels of the longer side of a cut-out's box; larger ones are shrunk before they are kept."""
_BAND = 0.02
"""Width of the band in which GrabCut decides, as a share of the box's longer side."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Frames `first` to `last` of a sample clip, and what is cut out of them.

    at: where its centre is in the first of them, in shares of the frame. expression: what a person calls it, true of
    no other cut-out. tall: how tall it looks beside an adult of 1. floats: its way up and down is its own (a jump).
    """

    name: str
    clip: str
    first: int
    last: int
    category: str
    at: tuple[float, float]
    expression: str
    tall: float
    still: bool = True
    """The clip's camera rests, and so does the thing's ground: jumps and steps are kept as they are."""
    plate: tuple[int, int] | None = None
    """Frames of the clip, whose camera rests, that show the ground without it: what differs from them is it too."""
    gain: float = 1.0
    """By how much it is lit more than there: what was filmed against the light or at dusk comes into daylight."""


CUTS = (
    Cut("girl", "bedroom", 140, 186, "person", (0.34, 0.52), "the person in the grey top and blue skirt", 0.72),
    Cut(
        "boy",
        "bedroom",
        164,
        173,
        "person",
        (0.12, 0.5),
        "the person in the white shirt and brown shorts",
        0.76,
        gain=1.25,
    ),
    Cut("woman", "01_dog", 30, 92, "person", (0.22, 0.5), "the person in the white shirt and blue jeans", 0.95),
    Cut("man", "05_default_juggle", 130, 168, "person", (0.55, 0.5), "the person in the black trousers", 1.0),
    Cut("collie", "01_dog", 120, 146, "dog", (0.86, 0.63), "the big dog", 0.38, still=False, plate=(77, 95)),
    Cut("papillon", "14_social_dog_training", 83, 88, "dog", (0.2, 0.6), "the small dog", 0.22, still=False),
    Cut("silver", "19_cyclist", 166, 182, "car", (0.2, 0.4), "the silver car", 0.44, still=False),
    Cut("white", "19_cyclist", 197, 207, "car", (0.52, 0.37), "the white car", 0.42, still=False, gain=1.4),
)


@dataclass(frozen=True, slots=True)
class Sprite:
    """A cut-out. rgba: [N, H, W, 4] uint8, colour not premultiplied; it stands with its bottom centre at `foot`
    (x, y in pixels of the sprite). height: of the thing itself, pixels."""

    cut: Cut
    rgba: U8
    foot: tuple[float, float]
    height: float

    def frame(self, step: int) -> U8:
        """[H, W, 4] uint8 at a step: to the end and back again, for ever."""
        n = len(self.rgba)
        k = step % max(1, 2 * n - 2)
        return np.asarray(self.rgba[k if k < n else 2 * n - 2 - k], np.uint8)


def key(folder: Path) -> str:
    """Changes with what cut-outs are made of: the recipes, this file, the clips."""
    sizes = [(c.clip, (folder / f"{c.clip}.mp4").stat().st_size) for c in CUTS]
    return hashlib.sha256(f"{CUTS}{sizes}{Path(__file__).read_text('utf-8')}".encode()).hexdigest()[:16]


def sprites(networks: Lite, samples: Path, cache: Path, tell: Callable[[str], None] = lambda _: None) -> list[Sprite]:
    """All cut-outs, made once and kept in `cache`. Raises UserError where a clip or a network is missing."""
    missing = sorted({c.clip for c in CUTS if not (samples / f"{c.clip}.mp4").is_file()})
    if missing:
        raise UserError(f"sample clips missing in {samples}: {', '.join(missing)} (set STREFER_SAMPLES)")
    folder = cache / f"cutouts-{key(samples)}"
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for cut in CUTS:
        path = folder / f"{cut.name}.npz"
        if not path.is_file():
            tell(f"cutting out {cut.name} of {cut.clip}")
            if networks.detector is None or networks.pose is None or networks.segment is None:
                raise UserError("cut-outs need YOLOX, BlazePose and DeepLabV3: strefer models pull")
            sprite = cut_out(networks, samples / f"{cut.clip}.mp4", cut)
            part = path.with_suffix(".part.npz")
            np.savez_compressed(part, rgba=sprite.rgba, foot=sprite.foot, height=sprite.height)
            part.replace(path)
        with np.load(path) as kept:
            foot = (float(kept["foot"][0]), float(kept["foot"][1]))
            made.append(Sprite(cut, kept["rgba"], foot, float(kept["height"])))
    return made


def frames_of(path: Path, first: int = 0, last: int | None = None) -> Iterator[U8]:
    """Frames `first` to `last` of a video file, [H, W, 3] uint8 RGB."""
    with av.open(path) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if last is not None and i > last:
                return
            if i >= first:
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def clean_plate(clip: Path, first: int, last: int) -> U8:
    """The median [H, W, 3] of a few frames from `first` to `last`: the ground alone."""
    frames = list(frames_of(clip, first, last))
    return np.asarray(np.median(frames[:: max(1, len(frames) // 7)], axis=0), np.uint8)


def differs(rgb: U8, plate: U8) -> U8:
    """[H, W] uint8, 255 where a frame is brighter or of another hue than the plate; shadows and thin things (a leash)
    are left out."""
    far = cv2.blur(rgb.astype(np.float32) - plate.astype(np.float32), (5, 5))
    mask = (far.max(axis=2) > 11) | (far.max(axis=2) - far.min(axis=2) > 18)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))
    return np.asarray(cv2.morphologyEx(mask.astype(np.uint8) * 255, cv2.MORPH_OPEN, kernel), np.uint8)


def same(rgb: U8, plate: U8) -> NDArray[np.bool_]:
    """[H, W], where a frame shows the plate: ground between legs."""
    far = cv2.blur(np.abs(rgb.astype(np.float32) - plate.astype(np.float32)), (5, 5))
    return np.asarray(far.max(axis=2) < 7, np.bool_)


def cut_out(networks: Lite, clip: Path, cut: Cut) -> Sprite:
    """Make one cut-out. Raises UserError where the detector does not find the thing in each frame or the next."""
    outliner = Outliner(networks.pose, networks.segment)
    assert networks.detector is not None
    pictures, mattes, boxes = [], [], []
    scale = 0.0
    box: F32 | None = None
    plate = clean_plate(clip, *cut.plate) if cut.plate else None
    for rgb in frames_of(clip, cut.first, cut.last):
        h, w = rgb.shape[:2]
        found = networks.detector.detect(rgb)
        mine = found.take(
            [i for i, c in enumerate(found.categories) if same_kind(c, cut.category) and found.scores[i] > 0.4]
        )
        if len(mine):
            if box is None:
                centres = (mine.boxes[:, :2] + mine.boxes[:, 2:]) / 2 / np.array([w, h], np.float32)
                best = int(np.hypot(*(centres - np.array(cut.at, np.float32)).T).argmin())
            else:
                best = int(box_iou(box[None], mine.boxes)[0].argmax())
            if box is None or box_iou(box[None], mine.boxes[best : best + 1])[0, 0] > 0.3:
                box = mine.boxes[best]
        if box is None:
            raise UserError(f"{cut.name} is not found in frame {cut.first} of {clip}")
        patch = outliner.outline(rgb, box, cut.category, None, grow=0.1).patch
        levels = np.zeros((h, w), np.uint8)
        x0, y0, x1, y1 = patch.window
        levels[y0:y1, x0:x1] = patch.main_part().prob
        if plate is not None:
            levels[y0:y1, x0:x1] = np.maximum(levels[y0:y1, x0:x1], differs(rgb, plate)[y0:y1, x0:x1])
            knee = int(box[1] + 0.55 * (box[3] - box[1]))
            levels[knee:][same(rgb, plate)[knee:]] = 0
        # All that follows is done at the size that is kept.
        scale = scale or min(1.0, TALLEST / float(max(box[2] - box[0], box[3] - box[1])))
        size = (round(w * scale), round(h * scale))
        pictures.append(shrink(rgb, size))
        mattes.append(matte(pictures[-1], shrink(levels, size), scale * box))
        ys, xs = np.nonzero(mattes[-1] >= 128)
        boxes.append((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1))
    return _assemble(cut, pictures, mattes, np.array(boxes, np.float64))


def matte(rgb: U8, levels: U8, box: F32) -> U8:
    """[H, W] uint8 coverage: the network's mask (levels, 128 is even odds), its border drawn by GrabCut, feathered."""
    side = float(max(box[2] - box[0], box[3] - box[1]))
    band = max(2, round(side * _BAND))
    x0, y0, x1, y1 = _window(levels >= 128, 3 * band, rgb.shape[:2])
    mask = (levels[y0:y1, x0:x1] >= 128).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    hint = np.where(mask > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    hint[cv2.erode(mask, kernel) > 0] = cv2.GC_FGD
    hint[cv2.dilate(mask, kernel) == 0] = cv2.GC_BGD
    cv2.setRNGSeed(0)
    cv2.grabCut(np.ascontiguousarray(rgb[y0:y1, x0:x1]), hint, None, np.zeros((1, 65)), np.zeros((1, 65)), 2, 1)
    fine = np.isin(hint, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(fine, connectivity=4)
    if count > 1:
        fine = (labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())).astype(np.uint8)
    soft = cv2.GaussianBlur(fine.astype(np.float32) * 255, (0, 0), max(1.0, side / 220))
    soft = np.clip((soft - 255 * 0.5) * 1.6 + 255 * 0.45, 0, 255)  # half a pixel inward: no rim of the old ground
    out = np.zeros(levels.shape, np.uint8)
    out[y0:y1, x0:x1] = soft.astype(np.uint8)
    return out


def _window(mask: NDArray[np.bool_], grow: int, size: tuple[int, ...]) -> tuple[int, int, int, int]:
    ys, xs = np.nonzero(mask)
    return (
        max(0, int(xs.min()) - grow),
        max(0, int(ys.min()) - grow),
        min(size[1], int(xs.max()) + grow + 1),
        min(size[0], int(ys.max()) + grow + 1),
    )


def _assemble(cut: Cut, pictures: list[U8], mattes: list[U8], boxes: NDArray[np.float64]) -> Sprite:
    """All frames over one window that goes with the thing, shrunk to what a scene needs."""
    middle, bottom = (boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]
    n = len(boxes)
    smooth = np.array([[np.median(v[max(0, i - 4) : i + 5]) for i in range(n)] for v in (middle, bottom)])
    if cut.still:  # jumps and steps are its own: the ground is where it comes lowest
        smooth[0], smooth[1] = np.median(middle), np.percentile(bottom, 90)
    left, right = (
        (middle - smooth[0] - (boxes[:, 2] - boxes[:, 0]) / 2).min(),
        (middle - smooth[0] + (boxes[:, 2] - boxes[:, 0]) / 2).max(),
    )
    up, down = (smooth[1] - boxes[:, 1]).max(), max(0.0, (bottom - smooth[1]).max())
    margin = 6
    w, h = int(right - left) + 2 * margin, int(up + down) + 2 * margin
    foot = (-left + margin, up + margin)
    height = float(np.median(boxes[:, 3] - boxes[:, 1]))
    out = []
    for rgb, alpha, x, y in zip(pictures, mattes, *smooth, strict=True):
        move = np.array([[1, 0, foot[0] - x], [0, 1, foot[1] - y]], np.float32)
        picture = cv2.warpAffine(rgb, move, (w, h), borderMode=cv2.BORDER_REPLICATE)
        cover = cv2.warpAffine(alpha, move, (w, h))
        out.append(np.dstack([np.clip(picture * np.float32(cut.gain), 0, 255).astype(np.uint8), cover]))
    return Sprite(cut, np.stack(out), (float(foot[0]), float(foot[1])), height)
