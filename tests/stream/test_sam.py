"""Profile sam2 in the follower: with a segmenter that knows the truth (what is wrong then is the wiring), and with
SAM 2 itself on drawn weights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bench.identity import score
from engines.sam2.seen import Seen, read
from kernels import rle
from producers.produce import produce
from producers.sources import open_sources
from producers.synthetic import Scene, make_scene
from stream.chunk import Chunk
from stream.cli import main
from stream.decode.pyav import PyAVDecoder
from stream.events import ChunkDone, Event, FeedStarted, Masklet
from stream.frames import Decoder, Frames
from stream.log.sqlite import SqliteLog
from stream.outline import Outliner
from stream.patch import Patch, Window
from stream.pipeline import Pipeline
from stream.runtime import settle
from stream.sam import Held, SamFeeds, SamMasks, patch_of
from stream.view import FollowState, View
from stream.worker import Worker
from tests.evaluation import frames_of
from tests.running import drain, events_of, masks_of, networks

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Truth:
    """True masks of a frame at the size it is worked on, and the size (H, W) of the feed's own."""

    masks: dict[int, Bool]
    full: tuple[int, int]


class TruthSegmenter:
    """Follows by the scenes' own truth. A frame is known by its picture: what `look` gives are its true masks."""

    name, backend, sha256 = "truth", "none", ""
    quick = True

    def __init__(self, *scenes: Scene, slots: int = 8) -> None:
        self._frames = [(small(rgb), now.masks) for scene in scenes for rgb, _, now in scene.frames()]
        self._slots: dict[int, int] = {}
        self._room = slots

    @property
    def free(self) -> int:
        return self._room - len(self._slots)

    def taking_part(self) -> AbstractContextManager[None]:
        return nullcontext()

    def look(self, picture: U8, full: tuple[int, int] | None = None) -> Truth:
        seen, (h, w) = small(picture), picture.shape[:2]
        masks = min(self._frames, key=lambda f: float(np.abs(f[0] - seen).mean()))[1]
        sized = {e: cv2.resize(m.astype(np.uint8), (w, h), interpolation=cv2.INTER_AREA) > 0 for e, m in masks.items()}
        return Truth(sized, full or (h, w))

    def outlines(self, frame: Truth, boxes: Sequence[F32], within: Sequence[Window]) -> list[Seen]:
        return [self._outline(frame, box) for box in boxes]

    def _outline(self, frame: Truth, box: F32) -> Seen:
        x0, y0, x1, y1 = (round(float(v)) for v in box)
        shape = next(iter(frame.masks.values())).shape if frame.masks else (9, 16)
        inside = np.zeros(shape, bool)
        inside[max(0, y0) : y1, max(0, x0) : x1] = True
        return known(frame, best(frame, inside))

    def begin(self, frame: Truth, mask: Bool) -> int:
        assert self.free > 0
        slot = min(set(range(self._room)) - set(self._slots))
        self._slots[slot] = best(frame, mask)
        return slot

    def follow(self, frame: Truth, slots: Sequence[int]) -> list[Seen]:
        return [known(frame, self._slots[s]) for s in slots]

    def forget(self, slots: Sequence[int]) -> None:
        for slot in slots:
            del self._slots[slot]


def best(frame: Truth, mask: Bool) -> int:
    for there in frame.masks.values():  # looking back, frames are smaller than the mask
        mask = cv2.resize(mask.astype(np.uint8), there.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    fits = {e: (m & mask).sum() / max(1, (m | mask).sum()) for e, m in frame.masks.items()}
    found = max(fits, key=lambda e: fits[e], default=-1)
    return found if found >= 0 and fits[found] > 0.2 else -1


def known(frame: Truth, entity: int) -> Seen:
    mask = frame.masks.get(entity)
    if mask is None or not mask.any():
        return seen_of(np.full((256, 256), -8, np.float32), frame.full, -5.0)
    soft = cv2.resize(mask.astype(np.float32), (256, 256), interpolation=cv2.INTER_AREA)
    return seen_of((soft - 0.5) * 12, frame.full)


def seen_of(logits: F32, full: tuple[int, int], score: float = 5.0) -> Seen:
    """As a segmenter hands it out."""
    return read(torch.from_numpy(logits.astype(np.float32))[None], torch.tensor([score]), [full])[0]


def small(rgb: U8) -> F32:
    return cv2.resize(rgb, (64, 36), interpolation=cv2.INTER_AREA).astype(np.float32)


def follow(
    scene: Scene,
    folder: Path,
    segmenter: TruthSegmenter,
    *,
    restart_after: int | None = None,
    decoder: Decoder | None = None,
) -> list[Event]:
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
        pipeline = Pipeline(networks(), segmenter=segmenter)
        with closing(Worker(log, pipeline, decoder or PyAVDecoder(), session_s=0.5)) as worker:
            drain(worker, log)
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
def test_memory_looks_back_as_far_as_the_shot_and_the_window_reach() -> None:
    scene = make_scene("synthetic:two-people?seconds=3&size=320x180&fps=10")
    frames = [(rgb, now.masks) for rgb, _, now in scene.frames()]
    segmenter = TruthSegmenter(scene)
    feeds = SamFeeds(segmenter, Outliner(None, None), look_back_us=1_000_000)
    state = FollowState()
    with feeds.following("feed") as masks:
        for i, (rgb, _) in enumerate(frames):
            masks.look(state, View(rgb, i * 100_000, 100_000, None, i == 22, None))
            masks.keep(state, View(rgb, i * 100_000, 100_000, None, False, None))
            if i in (20, 27):
                entity, mask = max(frames[i][1].items(), key=lambda one: int(one[1].sum()))
                patch = Patch(0, 0, mask.astype(np.uint8) * 255)
                found = masks.trace_back(patch, i * 100_000, (180, 320))
                assert found is not None
                wanted = range(i - 1, 9 if i == 20 else 21, -1)
                assert [pts_us for pts_us, _ in found] == [100_000 * j for j in wanted], (
                    "back to the window, or the cut"
                )
                for (_, before), j in zip(found, wanted, strict=True):
                    true = frames[j][1][entity]
                    made = before.on((0, 0, 320, 180)) >= 128
                    assert (made & true).sum() / (made | true).sum() > 0.85
        assert masks.trace_back(patch, 50_000, (180, 320)) is None, "a frame that is not there"
    assert segmenter.free == 8


@pytest.mark.slow
def test_masks_of_a_large_frame_are_made_at_its_own_size(tmp_path: Path) -> None:
    """2560 pixels wide, followed at 1280: nothing of a mask that nobody changed is made of the small frame."""
    scene = make_scene("synthetic:two-people?seconds=1&fps=10&size=2560x1440")
    handed_out: list[str | None] = []

    class Told(TruthSegmenter):
        def follow(self, frame: Truth, slots: Sequence[int]) -> list[Seen]:
            seen = super().follow(frame, slots)
            handed_out.extend(one.counts for one in seen)
            return seen

    events = follow(scene, tmp_path, Told(scene))
    made = [frame for masks in masks_of(events).values() for frame in masks.values()]
    assert {frame.rle.size for frame in made} == {(1440, 2560)}
    assert sum(frame.rle.counts in handed_out for frame in made) > len(made) / 2
    assert all(frame.area == rle.area(frame.rle.counts, (1440, 2560)) for frame in made)
    assert score(scene.name, frames_of(scene, masks_of(events))).mean_iou > 0.95


@pytest.mark.slow
def test_frames_on_a_device_go_to_the_segmenter_as_they_are(tmp_path: Path) -> None:
    """As DALI leaves them on a GPU; here they are tensors of host memory. What is told is the same."""

    class OnDevice(PyAVDecoder):
        def decode(self, chunk: Chunk) -> Iterator[Frames]:
            for frames in super().decode(chunk):
                yield Frames(torch.from_numpy(np.array(frames.pixels)), frames.pts_us)

    class Taking(TruthSegmenter):
        def look(self, picture: Any, full: tuple[int, int] | None = None) -> Truth:
            kinds.add(type(picture))
            return super().look(np.asarray(picture), full)

    scene = make_scene("synthetic:two-people?seconds=2&fps=10&size=320x180")
    told = []
    for name, decoder in (("host", PyAVDecoder()), ("device", OnDevice())):
        kinds: set[type] = set()
        events = follow(scene, tmp_path / name, Taking(scene), decoder=decoder)
        told.append([event.body for event in events if not isinstance(event.body, ChunkDone)])
        assert (torch.Tensor in kinds) == (name == "device")
    assert told[0] == told[1]
    assert sum(isinstance(body, Masklet) for body in told[0]) >= 2


@pytest.mark.slow
def test_a_restart_begins_anew_from_the_last_masks(tmp_path: Path) -> None:
    scene = make_scene("synthetic:two-people?seconds=5&fps=15")
    events = follow(scene, tmp_path, TruthSegmenter(scene), restart_after=3)
    found = score(scene.name, frames_of(scene, masks_of(events)))
    assert found.switches == 0
    assert found.mean_iou >= 0.9


@pytest.mark.slow
def test_more_objects_than_slots_are_carried_by_flow(tmp_path: Path) -> None:
    scene = make_scene("synthetic:two-people?seconds=2")
    segmenter = TruthSegmenter(scene, slots=1)
    found = score(scene.name, frames_of(scene, masks_of(follow(scene, tmp_path, segmenter))))
    assert found.mean_iou > 0.6
    assert segmenter.free == 1


def test_a_patch_is_what_interpolation_makes_of_logits() -> None:
    logits = cv2.GaussianBlur(np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32), (0, 0), 5) * 40 - 2
    patch = patch_of(seen_of(logits, (180, 320)), (180, 320))
    wanted = cv2.resize(logits, (320, 180), interpolation=cv2.INTER_LINEAR) > 0
    made = patch.on((0, 0, 320, 180)) >= 128
    assert (made != wanted).sum() <= 0.002 * wanted.sum()
    assert patch_of(seen_of(np.full((64, 64), -1, np.float32), (180, 320)), (180, 320)).area == 0
    half = patch_of(seen_of(logits, (180, 320)), (180, 320), (0, 0, 160, 180))
    assert half.window[2] <= 160


def test_the_feed_used_longest_ago_gives_way_unless_it_is_at_work() -> None:
    class Counting:
        def __init__(self) -> None:
            self.taken: list[int] = []

        @property
        def free(self) -> int:
            return 2 - len(self.taken)

        def taking_part(self) -> AbstractContextManager[None]:
            return nullcontext()

        def begin(self, frame: object, mask: Bool) -> int:
            slot = min({0, 1} - set(self.taken))
            self.taken.append(slot)
            return slot

        def forget(self, slots: Sequence[int]) -> None:
            self.taken = [slot for slot in self.taken if slot not in slots]

    feeds = SamFeeds(Counting(), outliner=None)  # type: ignore[arg-type]
    mask = np.ones((4, 4), bool)
    for feed in ("old", "older"):
        with feeds.following(feed) as masks:
            masks._held.slots.add(feeds.begin(None, mask))
    with feeds.following("old"), feeds.following("new") as masks:
        slot = feeds.begin(None, mask)
        assert slot == 1, "that of `older`, though `old` came first: it is at work again"
        masks._held.slots.add(slot)
        assert feeds.begin(None, mask) == -1
    with feeds.following("new"):
        assert feeds.begin(None, mask) == 0


@pytest.mark.slow
def test_sam_2_itself_runs_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    asked = ["annotate", "synthetic:two-people?seconds=2&fps=15", "--out", str(out), "--quiet"]
    assert main([*asked, "--profile", "sam2", "--sam2", "mini@256", "--sam2-drawn"]) == 0
    assert capsys.readouterr().out == "", "quiet is quiet"
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
        (["--profile", "sam2"], "sam2.1-tiny is not on this machine"),
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


def test_damaged_weights_are_told_with_their_mend(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREFER_MODELS", str(tmp_path))
    (tmp_path / "sam2").mkdir()
    (tmp_path / "sam2" / "sam2.1_hiera_tiny.pt").write_bytes(b"half of it")
    assert main(["annotate", "synthetic:two-people", "--out", str(tmp_path / "o"), "--profile", "sam2"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("strefer: sam2.1-tiny is damaged (")
    assert "strefer models pull sam2.1-tiny fetches it anew" in said


def test_torch_that_does_not_load_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(module: str, distribution: str) -> tuple[None, str]:
        return None, "OSError: libcudart.so.13: cannot open shared object file"

    monkeypatch.setattr("stream.doctor.compute.load", broken)
    asked = ["annotate", "synthetic:two-people?seconds=1", "--out", str(tmp_path / "o"), "--quiet"]
    assert main([*asked, "--profile", "sam2", "--sam2-drawn"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("strefer: torch does not load (OSError: libcudart.so.13: ")
    assert len(said) == 2, "and the note on drawn weights"


def test_a_mask_that_holds_a_detection_is_left_alone() -> None:
    patch = Patch(10, 10, np.full((40, 20), 255, np.uint8))

    class Entity:
        slot = 0

        def __init__(self) -> None:
            self.patch = patch

    masks = SamMasks(None, None, None, Held())  # type: ignore[arg-type]
    assert masks.holds(Entity(), np.array([8, 10, 30, 52], np.float32))  # type: ignore[arg-type]
    assert not masks.holds(Entity(), np.array([80, 10, 100, 52], np.float32))  # type: ignore[arg-type]
