"""Profile sam2 in the follower: with a segmenter that knows the truth (what is wrong then is the wiring), and with
SAM 2 itself on drawn weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.identity import score
from producers.produce import produce
from producers.sources import open_sources
from producers.synthetic import Scene, make_scene
from stream.cli import main
from stream.decode.pyav import PyAVDecoder
from stream.events import Event, FeedStarted
from stream.log import CHUNKS
from stream.log.sqlite import SqliteLog
from stream.patch import Patch
from stream.pipeline import Pipeline
from stream.runtime import settle
from stream.sam import SamMasks, patch_of
from stream.worker import GROUP, Worker
from tests.evaluation import frames_of
from tests.running import events_of, masks_of, networks

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Known:
    logits: F32
    score: float


class TruthSegmenter:
    """Follows by the scenes' own truth. A frame is known by its picture."""

    name, backend, sha256 = "truth", "none", ""

    def __init__(self, *scenes: Scene, slots: int = 8) -> None:
        self._frames = [(small(rgb), now.masks) for scene in scenes for rgb, _, now in scene.frames()]
        self._slots: dict[int, int] = {}
        self._room = slots
        self._now: dict[int, Bool] = {}

    @property
    def free(self) -> int:
        return self._room - len(self._slots)

    def look(self, rgb: U8) -> None:
        seen = small(rgb)
        self._now = min(self._frames, key=lambda f: float(np.abs(f[0] - seen).mean()))[1]

    def outline(self, box: F32) -> Known:
        x0, y0, x1, y1 = (round(float(v)) for v in box)
        shape = next(iter(self._now.values())).shape if self._now else (9, 16)
        inside = np.zeros(shape, bool)
        inside[max(0, y0) : y1, max(0, x0) : x1] = True
        return self._known(self._best(inside))

    def begin(self, mask: Bool) -> int:
        assert self.free > 0
        slot = min(set(range(self._room)) - set(self._slots))
        self._slots[slot] = self._best(mask)
        return slot

    def follow(self, slots: Sequence[int]) -> list[Known]:
        return [self._known(self._slots[s]) for s in slots]

    def forget(self, slots: Sequence[int]) -> None:
        for slot in slots:
            del self._slots[slot]

    def _best(self, mask: Bool) -> int:
        fits = {e: (m & mask).sum() / max(1, (m | mask).sum()) for e, m in self._now.items()}
        best = max(fits, key=lambda e: fits[e], default=-1)
        return best if best >= 0 and fits[best] > 0.2 else -1

    def _known(self, entity: int) -> Known:
        mask = self._now.get(entity)
        if mask is None or not mask.any():
            return Known(np.full((256, 256), -8, np.float32), -5.0)
        soft = cv2.resize(mask.astype(np.float32), (256, 256), interpolation=cv2.INTER_AREA)
        return Known((soft - 0.5) * 12, 5.0)


def small(rgb: U8) -> F32:
    return cv2.resize(rgb, (64, 36), interpolation=cv2.INTER_AREA).astype(np.float32)


def follow(scene: Scene, folder: Path, segmenter: TruthSegmenter, *, restart_after: int | None = None) -> list[Event]:
    """A scene's events; with a new worker and an empty segmenter after so many messages."""
    settle()
    with closing(SqliteLog(folder)) as log:
        produce(open_sources([scene.spec]), "feed", log)
        if restart_after is not None:
            count = 0
            pipeline = Pipeline(networks(), segmenter=TruthSegmenter(scene))
            with closing(Worker(log, pipeline, PyAVDecoder(), session_s=0.5)) as first:
                while count < restart_after:
                    count += first.step(timeout_s=1) is not None
        with closing(Worker(log, Pipeline(networks(), segmenter=segmenter), PyAVDecoder(), session_s=0.5)) as worker:
            worker.run(until=lambda done: done is None and log.lag(GROUP, CHUNKS) == 0, poll_s=0.05)
        return events_of(log, "feed")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "least"), [("synthetic:two-people?fps=15", 0.93), ("synthetic:exit-reentry?fps=15", 0.94)]
)
def test_true_masks_stay_true_with_their_identity(spec: str, least: float, tmp_path: Path) -> None:
    scene = make_scene(spec)
    segmenter = TruthSegmenter(scene)
    events = follow(scene, tmp_path, segmenter)
    found = score(scene.name, frames_of(scene, masks_of(events)))
    assert found.mean_iou >= least
    assert found.switches == 0
    assert found.reentries[0] == found.reentries[1]
    assert segmenter.free == 8, "the feed is over, and nothing of it is held"
    started = next(e.body for e in events if isinstance(e.body, FeedStarted))
    assert (started.profile, started.engines[-1].name) == ("sam2", "truth")


@pytest.mark.slow
def test_a_restart_begins_anew_from_the_last_masks(tmp_path: Path) -> None:
    scene = make_scene("synthetic:two-people?seconds=5&fps=15")
    events = follow(scene, tmp_path, TruthSegmenter(scene), restart_after=3)
    found = score(scene.name, frames_of(scene, masks_of(events)))
    assert found.switches == 0
    assert found.mean_iou >= 0.9


def test_more_objects_than_slots_are_carried_by_flow(tmp_path: Path) -> None:
    scene = make_scene("synthetic:two-people?seconds=2")
    segmenter = TruthSegmenter(scene, slots=1)
    found = score(scene.name, frames_of(scene, masks_of(follow(scene, tmp_path, segmenter))))
    assert found.mean_iou > 0.6
    assert segmenter.free == 1


def test_a_patch_is_what_interpolation_makes_of_logits() -> None:
    logits = cv2.GaussianBlur(np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32), (0, 0), 5) * 40 - 2
    patch = patch_of(logits, (180, 320))
    wanted = cv2.resize(logits, (320, 180), interpolation=cv2.INTER_LINEAR) > 0
    made = patch.on((0, 0, 320, 180)) >= 128
    assert (made != wanted).sum() <= 0.002 * wanted.sum()
    assert patch_of(np.full((64, 64), -1, np.float32), (180, 320)).area == 0
    half = patch_of(logits, (180, 320), (0, 0, 160, 180))
    assert half.window[2] <= 160


def test_the_feed_used_longest_ago_gives_way() -> None:
    class Counting:
        name, backend, sha256, free = "counting", "none", "", 0

        def __init__(self) -> None:
            self.forgotten: list[int] = []

        def forget(self, slots: Sequence[int]) -> None:
            self.forgotten += slots

    counting = Counting()
    masks = SamMasks(counting, outliner=None)  # type: ignore[arg-type]
    from stream.sam import _Feed

    masks._feeds = {"old": _Feed(1, {3, 4}), "new": _Feed(2, {5})}
    assert masks._make_room("new")
    assert counting.forgotten == [3, 4]
    assert not masks._make_room("new")


@pytest.mark.slow
def test_sam_2_itself_runs_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    asked = ["annotate", "synthetic:two-people?seconds=2&fps=15", "--out", str(out), "--quiet"]
    assert main([*asked, "--profile", "sam2", "--sam2", "mini@256", "--sam2-drawn"]) == 0
    lines = [json.loads(line) for line in (out / "annotations.jsonl").read_text().splitlines()]
    started = next(line["data"] for line in lines if line["type"] == "feed.started")
    assert started["profile"] == "sam2"
    assert started["engines"][-1]["name"] == "sam2.1-mini@256 (drawn weights)"
    # What is drawn at random is no mask of anybody; that every frame goes through is what can be asked of it.
    assert sum(line["data"]["frames"] for line in lines if line["type"] == "chunk.done") == 30
    assert not [line for line in lines if line["type"] == "error"]
    assert main(asked) == 2, "the folder holds a run of another profile"
    assert "--fresh" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--profile", "sam2", "--sam2", "huge"], "no SAM 2.1 'huge'"),
        (["--profile", "sam2", "--sam2", "tiny@99"], "size '99'"),
        (["--sam2-drawn"], "go with --profile sam2"),
        (["--profile", "sam2", "--sam2-weights", "nowhere.pt"], "no such file"),
        (["--profile", "sam2"], "sam2.1_hiera_tiny.pt is not here"),
        (["--profile", "sam2", "--sam2", "mini"], "--sam2-drawn"),
    ],
)
def test_one_line_for_what_is_wrong(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["annotate", "synthetic:two-people", "--out", str(tmp_path / "o"), *options]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.strip().splitlines()) == 1


def test_a_mask_that_holds_a_detection_is_left_alone() -> None:
    patch = Patch(10, 10, np.full((40, 20), 255, np.uint8))

    class Entity:
        slot = 0

        def __init__(self) -> None:
            self.patch = patch

    masks = SamMasks(segmenter=None, outliner=None)  # type: ignore[arg-type]
    assert masks.holds(Entity(), np.array([8, 10, 30, 52], np.float32))  # type: ignore[arg-type]
    assert not masks.holds(Entity(), np.array([80, 10, 100, 52], np.float32))  # type: ignore[arg-type]
