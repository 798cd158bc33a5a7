"""What exports hold, decoded as each format's readers do it; and a stream of odd events."""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from instruct.export import file_name
from stream import events as ev
from stream.events import Event
from stream.mended import Hindsight
from tests.instruct.streams import SIZE, STEP_US, _mask
from tests.instruct.test_formats import told

Pixels = dict[tuple[int, int], bytes]
"""By entity and frame number."""


def expected(events: list[Event]) -> Pixels:
    """What the events hold, read anew: the last word on each frame counts."""
    mended = Hindsight.of(events).mend(events)
    return {
        (e.body.entity, f.pts_us // STEP_US): pixels(msgspec.to_builtins(f.rle))
        for e in mended
        if isinstance(e.body, ev.Masklet | ev.MaskletRevised)
        for f in e.body.frames
    }


def pixels(code: dict[str, object]) -> bytes:
    return np.ascontiguousarray(coco.decode(code)).astype(bool).tobytes()


def full(left: int, top: int, part: NDArray[np.bool_]) -> bytes:
    out = np.zeros(SIZE, np.bool_)
    out[top : top + part.shape[0], left : left + part.shape[1]] = part
    return out.tobytes()


def from_ytvis(path: Path, name: str) -> Pixels:
    meta = json.loads(path.read_text())
    (video,) = (v["id"] for v in meta["videos"] if v["name"] == name)
    return {
        (t["entity"], i): pixels(code)
        for t in meta["annotations"] if t["video_id"] == video
        for i, code in enumerate(t["segmentations"]) if code is not None
    }  # fmt: skip


def from_mots(path: Path, name: str) -> Pixels:
    """Of one person, who is entity 1 here: the format's numbers are its own."""
    out = {}
    for line in (path / f"{file_name(name)}.txt").read_text().splitlines():
        frame, number, kind, h, w, counts = line.split(" ")
        assert (kind, h, w) == ("2", str(SIZE[0]), str(SIZE[1]))
        out[int(number) - 2000, int(frame) - 1] = pixels({"size": SIZE, "counts": counts})
    return out


def from_sav(path: Path, name: str) -> Pixels:
    meta = json.loads((path / f"{file_name(name)}_manual.json").read_text())
    assert meta["video_id"] == file_name(name)
    assert meta["masklet_id"] == list(range(meta["masklet_num"]))
    return {
        (meta["entity"][k], i): pixels(code)
        for i, frame in enumerate(meta["masklet"])
        for k, code in enumerate(frame) if coco.area(code)
    }  # fmt: skip


def from_cvat(path: Path, name: str) -> Pixels:
    """As its documentation says: runs row by row, the first of zeros, of the box at left, top."""
    root = ElementTree.parse(path / f"{file_name(name)}.xml").getroot()
    assert root.findtext("version") == "1.1"
    assert root.findtext("meta/task/name") == name
    labels = {label.text for label in root.iterfind("meta/task/labels/label/name")}
    out = {}
    for image in root.iterfind("image"):
        assert (int(image.get("height", 0)), int(image.get("width", 0))) == SIZE
        assert image.get("name") == f"frame_{int(image.get('id', -1)):06d}.png"
        for m in image.iterfind("mask"):
            assert m.get("label") in labels
            assert m.get("group_id") == m.findtext("attribute[@name='track_id']")
            runs = [int(n) for n in m.get("rle", "").split(",")]
            left, top, w, h = (int(m.get(k, -1)) for k in ("left", "top", "width", "height"))
            part = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(h, w)
            assert part.any(0)[[0, -1]].all()
            assert part.any(1)[[0, -1]].all()
            out[int(m.get("group_id", 0)), int(image.get("id", -1))] = full(left, top, part)
    return out


def from_fiftyone(path: Path, name: str) -> Pixels:
    """As voxel51-eta 0.17 does it: corners are cut down to whole pixels, after fiftyone made them box and size."""
    index = json.loads((path / "manifest.json").read_text())["index"]
    (entry,) = (e for e in index if e["labels"] == f"labels/{file_name(name)}.json")
    assert entry["data"] == f"data/{file_name(name)}.mp4"
    out = {}
    for number, frame in json.loads((path / entry["labels"]).read_text())["frames"].items():
        assert frame["frame_number"] == int(number)
        for o in frame["objects"]["objects"]:
            part = np.load(io.BytesIO(zlib.decompress(base64.b64decode(o["mask"]))))
            a, b = o["bounding_box"]["top_left"], o["bounding_box"]["bottom_right"]
            right, bottom = a["x"] + (b["x"] - a["x"]), a["y"] + (b["y"] - a["y"])
            left, top = int(SIZE[1] * a["x"]), int(SIZE[0] * a["y"])
            assert part.shape == (int(SIZE[0] * bottom) - top, int(SIZE[1] * right) - left)
            out[o["index"], int(number) - 1] = full(left, top, part)
    return out


READERS: dict[str, Callable[[Path, str], Pixels]] = {
    "ytvis": from_ytvis, "mots": from_mots, "sav": from_sav, "cvat": from_cvat, "fiftyone": from_fiftyone,
}  # fmt: skip


def odd() -> list[Event]:
    """Exits and returns, a corrected mask, frames of the look-back, one that turned out to be another, a gap."""
    events = [e.body for e in told().events]
    late = ev.Masklet(entity=7, start_us=45 * STEP_US, frames=[_mask((3, 3, 9, 9), i) for i in range(45, 50)])
    extra: list[ev.Body] = [
        ev.FeedGap(start_us=60 * STEP_US, end_us=61 * STEP_US, reason="away"),
        ev.EntityAppeared(entity=7, at_us=45 * STEP_US, category="dog", score=0.9, bbox=(3, 3, 9, 9)),
        late,
        ev.MaskletRevised(entity=1, start_us=3 * STEP_US, frames=[_mask((0, 0, 48, 24), 3)]),
        ev.MaskletRevised(entity=2, start_us=68 * STEP_US, frames=[_mask((47, 0, 48, 24), i) for i in (68, 69)]),
        ev.EntityMerged(entity=2, merged=7, at_us=80 * STEP_US, similarity=0.9, reason="same look"),
    ]
    return [Event("feed", 0, n, body) for n, body in enumerate([*events[:-1], *extra, events[-1]])]


def named(events: list[Event], feed: str) -> list[Event]:
    return [msgspec.structs.replace(e, feed=feed) for e in events]
