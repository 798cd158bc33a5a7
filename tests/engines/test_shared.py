"""Networks that feeds share: what they ask at the same time is one batch, and each gets what it would get alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines import lite, networks, opening
from engines.backends.shared import SharedDetector, SharedSession
from engines.cache import Cache
from engines.detections import U8, Detections
from engines.errors import UserError
from engines.opening import How
from engines.spec import Axis, EngineSpec, TensorSpec
from engines.store import Store
from engines.together import BatchCounts
from tests.running import model_folder

SPEC = EngineSpec(
    "twice",
    (TensorSpec("x", ("n", 2)),),
    (TensorSpec("double", ("n", 2)), TensorSpec("sum", ("n",))),
    "MIT", "", (Axis("n", 1, 4, 8),), "n",
)  # fmt: skip


class Twice:
    """Holds its first run back until it is told, so that others gather."""

    spec, backend = SPEC, "numpy"

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.running, self.go = threading.Event(), threading.Event()

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        x = inputs["x"]
        self.rows.append(len(x))
        self.running.set()
        assert self.go.wait(30)
        return {"double": 2 * x, "sum": x.sum(axis=1)}


def test_what_gathers_while_one_runs_is_the_next_batch() -> None:
    engine = Twice()
    session = SharedSession(engine)
    asked = [np.full((1 + i % 2, 2), i, np.float32) for i in range(6)]
    with ThreadPoolExecutor(6) as threads:
        first = threads.submit(session.run, asked[0])
        assert engine.running.wait(30)
        rest = [threads.submit(session.run, x) for x in asked[1:]]
        while len(session._together._waiting) < 5:
            time.sleep(0.001)
        engine.go.set()
        found = [one.result() for one in (first, *rest)]
    assert engine.rows == [1, 8]
    for x, (double, total) in zip(asked, found, strict=True):
        assert np.array_equal(double, 2 * x)
        assert np.array_equal(total, x.sum(axis=1))


def test_the_networks_of_lite_in_batches_give_what_they_give_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", model_folder())
    how = How("onnxruntime-cpu")
    loaded = lite.load(store, shared=opening.shared(networks.lite(store), how, Cache(tmp_path)))
    assert loaded.missing == ()
    assert {u.backend for u in loaded.used} == {"onnxruntime/CPU"}
    alone = lite.load(store)
    frames = [np.random.default_rng(i).integers(0, 255, (120, 160, 3), np.uint8) for i in range(8)]
    box = np.array([30, 10, 90, 110], np.float32)
    assert loaded.reid is not None
    assert alone.reid is not None
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda rgb: loaded.reid.embed(rgb, box), frames))  # type: ignore[union-attr]
    for rgb, embed in zip(frames, found, strict=True):
        assert np.allclose(embed, alone.reid.embed(rgb, box), atol=1e-4)


def test_what_cannot_be_shared_is_opened_as_ever_and_told(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", model_folder())
    how = How("onnxruntime-cuda", device="cuda")
    loaded = lite.load(store, shared=opening.shared(networks.lite(store), how, Cache(tmp_path)))
    assert [u.name for u in loaded.used] == list(lite.NETWORKS)
    assert [line.split()[0] for line in loaded.missing] == list(lite.NETWORKS)
    assert all("on the CPU, one by one" in line for line in loaded.missing)
    with pytest.raises(UserError, match=r"fastestdet .* no ONNX form here that takes batches"):
        opening.shared(networks.lite(store), how, Cache(tmp_path))("fastestdet")


def test_an_engine_without_a_batch_is_none_to_share() -> None:
    class Fixed:
        spec = EngineSpec("fixed", (TensorSpec("x", (1, 2)),), (TensorSpec("y", (1, 2)),), "MIT", "")
        backend = "numpy"

        def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
            return {"y": inputs["x"]}

    with pytest.raises(ValueError, match="batch axis"):
        SharedSession(Fixed())


def test_a_detector_that_threads_share_sees_each_frame_once() -> None:
    class Bright:
        """Finds one thing in each frame, with its brightness as score."""

        name = "bright"

        def __init__(self) -> None:
            self.frames: list[int] = []

        def detect(self, rgb: U8) -> Detections:
            return self.detect_many([rgb])[0]

        def detect_many(self, frames: Sequence[U8]) -> list[Detections]:
            self.frames.append(len(frames))
            box = np.array([[0, 0, 9, 9]], np.float32)
            return [Detections(box, np.array([f.mean() / 255], np.float32), ("dog",)) for f in frames]

    counts, bright = BatchCounts(), Bright()
    detector = SharedDetector(bright, counts)
    frames = [np.full((8 + i, 9, 3), 10 * i, np.uint8) for i in range(20)]
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(detector.detect, frames))
    assert [float(one.scores[0]) for one in found] == pytest.approx([10 * i / 255 for i in range(20)])
    assert sum(rows * times for rows, times in counts.read()["bright"].items()) == sum(bright.frames) == 20
