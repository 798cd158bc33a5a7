"""Where an offline generator of masklets that samples frames goes wrong: a test each (shared/STREFER.md, section 3).

The rest of that list: expressions that conflict and lone wrong candidates also in tests/stream/test_refer.py, what is
unreadable or stale input in test_bad_input.py, variable rate, rotation and odd sizes in tests/producers,
causality in test_causality.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from producers.synthetic import make_scene
from stream.events import (
    EntityAppeared,
    EntityExited,
    EntityReentered,
    Event,
    FeedEnded,
    Masklet,
    MaskletRevised,
    QueryAmbiguous,
    QueryBound,
)
from tests.evaluation import evaluate, table
from tests.running import follow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SMALL = "size=480x270&fps=10"


@pytest.mark.parametrize(
    ("spec", "reentries"),
    [
        (f"in-turn?seconds=12&{SMALL}", 0),  # two of a category that are never there together
        (f"brief-visit?seconds=20&{SMALL}", 0),  # in and out between two samples
        (f"long-exit?seconds=9&{SMALL}", 1),  # away for 1 s,
        (f"long-exit?seconds=18&{SMALL}", 1),  # 10 s,
        ("long-exit?seconds=68&size=480x270&fps=3", 1),  # and 60 s
        (f"look-alike?seconds=9&{SMALL}", 1),  # the same beside one in the same clothes
        (f"look-alike?seconds=18&{SMALL}", 1),
        ("look-alike?seconds=68&size=480x270&fps=3", 1),
        (f"same-layout?seconds=8&{SMALL}", 0),  # a cut to a picture that is laid out alike
    ],
)
def test_each_thing_keeps_one_identity(spec: str, reentries: int) -> None:
    score = evaluate(f"synthetic:{spec}")
    told = "\n" + table([score])
    assert score.identities == len(score.iou), told
    assert score.switches == 0, told
    assert score.reentries == (reentries, reentries), told
    assert min(score.iou.values()) > 0.7, told


def test_four_who_cross_behind_each_other_keep_their_names() -> None:
    score = evaluate("synthetic:referring?seed=2&seconds=6&size=640x360&fps=30")
    assert score.identities == len(score.iou) == 4, "\n" + table([score])
    assert score.switches <= 3, "\n" + table([score])  # 2, of a moment; 6 where a name goes to whoever is in front


QUERIES = (
    "the person in the red shirt",  # one of two
    "the person in red trousers",  # nobody: the shirt is red
    "the cat",  # nobody of that category
    "the person",  # two fit
    "the people",  # both are meant
    "the person with long hair in the green shirt",
    "the person in green",  # another name for the same one
    "the person not in green",
)


@cache
def asked() -> tuple[Event, ...]:
    with TemporaryDirectory() as folder:
        return tuple(follow(f"synthetic:two-people?seconds=8&{SMALL}", Path(folder), QUERIES))


def test_expressions_that_fit_nobody_one_two_or_the_same_one() -> None:
    said: dict[str, tuple[str, int]] = {}
    for event in asked():
        if isinstance(event.body, QueryBound | QueryAmbiguous):
            said[event.body.text] = (event.type, len(event.body.entities))
    bound, ambiguous = ("query.bound", 1), ("query.ambiguous", 2)
    assert said == {
        QUERIES[0]: bound, QUERIES[3]: ambiguous, QUERIES[4]: ("query.bound", 2), QUERIES[5]: bound, QUERIES[6]: bound,
        QUERIES[7]: bound,
    }  # fmt: skip


def test_each_answer_is_the_right_one() -> None:
    final = {e.body.text: e.body.entities for e in asked() if isinstance(e.body, QueryBound)}
    assert final[QUERIES[0]] == final[QUERIES[7]]
    assert final[QUERIES[5]] == final[QUERIES[6]] != final[QUERIES[0]]
    assert sorted(final[QUERIES[4]]) == sorted([*final[QUERIES[0]], *final[QUERIES[5]]])


@pytest.mark.parametrize("seed", [3, 13])
def test_one_mask_a_frame_and_nobody_is_back_before_leaving(seed: int) -> None:
    """Also where what was drawn of somebody behind a pillar turns out to have been a rest of him: he is out already."""
    with TemporaryDirectory() as folder:
        events = follow(f"synthetic:referring?seed={seed}&seconds=8&size=640x360&fps=30", Path(folder), ["all people"])
    masks: set[tuple[int, int]] = set()
    left: dict[int, int] = {}
    for event in events:
        body = event.body
        if isinstance(body, Masklet | MaskletRevised):
            for frame in body.frames:
                assert (body.entity, frame.pts_us) not in masks, "two masks of one in a frame"
                masks.add((body.entity, frame.pts_us))
        elif isinstance(body, EntityExited):
            left[body.entity] = body.at_us
        elif isinstance(body, EntityReentered):
            assert body.at_us > left[body.entity]


def film(path: Path, frames: Iterator[np.ndarray], size: tuple[int, int]) -> Path:
    with av.open(path, mode="w") as writer:
        track = writer.add_stream("mpeg4", rate=10)
        assert isinstance(track, VideoStream)
        track.width, track.height, track.pix_fmt, track.bit_rate = *size, "yuv420p", 4_000_000
        for rgb in frames:
            for packet in track.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")):
                writer.mux(packet)
        for packet in track.encode():
            writer.mux(packet)
    return path


def scene_frames(spec: str) -> Iterator[np.ndarray]:
    return (rgb for rgb, _, _ in make_scene(f"synthetic:{spec}").frames())


def with_nothing_before_and_amid(spec: str) -> Iterator[np.ndarray]:
    """15 black frames, the scene, and 5 black frames in its midst."""
    for i, rgb in enumerate(scene_frames(spec)):
        if i in (0, 25):
            yield from [np.zeros_like(rgb)] * (15 if i == 0 else 5)
        yield rgb


def test_black_frames_before_and_amid(tmp_path: Path) -> None:
    spec = f"two-people?seconds=5&{SMALL}"
    events = follow(str(film(tmp_path / "black.mp4", with_nothing_before_and_amid(spec), (480, 270))), tmp_path / "log")
    appeared = [e.body for e in events if isinstance(e.body, EntityAppeared)]
    assert all(a.at_us >= 1_500_000 for a in appeared), "nobody is there in the dark"
    assert len([a for a in appeared if a.at_us < 3_000_000]) == 2
    dark = range(1_500_000 + 2_500_000, 1_500_000 + 3_000_000)
    for event in events:
        if isinstance(event.body, Masklet):
            assert not [f.pts_us for f in event.body.frames if f.pts_us in dark[100_000:]], event.body.entity
    assert isinstance(events[-1].body, FeedEnded)


def test_a_single_frame(tmp_path: Path) -> None:
    one = [next(scene_frames("two-people?seconds=1&size=640x360"))]
    events = follow(str(film(tmp_path / "one.mp4", iter(one), (640, 360))), tmp_path / "log")
    assert {e.type for e in events} >= {"feed.started", "segment.opened", "chunk.done", "feed.ended"}
    assert not [e for e in events if isinstance(e.body, EntityExited)], "one sight is no entity yet"


def test_4k(tmp_path: Path) -> None:
    frames = scene_frames("two-people?seconds=1&size=3840x2160&fps=10")
    events = follow(str(film(tmp_path / "4k.mp4", frames, (3840, 2160))), tmp_path / "log")
    sizes = {f.rle.size for e in events if isinstance(e.body, Masklet) for f in e.body.frames}
    assert sizes == {(2160, 3840)}
    assert sum(isinstance(e.body, EntityAppeared) for e in events) == 2
