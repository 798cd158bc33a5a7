"""A worker's figures: counted as they happened, bounded by feed, told as Prometheus wants them."""

from __future__ import annotations

import sys

import pytest
from prometheus_client import CollectorRegistry

from stream.events import ChunkDone
from stream.gpu_metrics import GpuMetrics, nvml
from stream.metrics import FEEDS, FORGET_S, WorkerMetrics
from stream.worker import Done
from tests.stream.fake_nvml import fake_nvml, module

CHUNK = ChunkDone(seq=0, frames=30, dropped=10, stage_us={"detect": 20_000, "masklets": 300_000}, latency_us=1_500_000)


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_what_was_done_is_counted() -> None:
    registry = CollectorRegistry()
    metrics = WorkerMetrics(registry, batches=lambda: {"sam2-step": {1: 3, 5: 1}})
    metrics.observe(Done("door", 1_000_000, False, 9, 0, "followed", CHUNK, 2, 1), in_hand=3)
    metrics.observe(Done("door", 2_000_000, False, 0, 1, "skipped", None, 2, 1), in_hand=1)
    metrics.observe(Done("hall", 0, False, 2, 0, "refused"))
    get = registry.get_sample_value
    assert get("strefer_frames_total") == 20
    assert get("strefer_frames_dropped_total") == 10
    assert [get("strefer_chunks_total", {"outcome": o}) for o in ("followed", "skipped", "refused")] == [1, 1, 1]
    assert get("strefer_stage_seconds_sum", {"stage": "masklets"}) == pytest.approx(0.3)
    assert get("strefer_stage_seconds_bucket", {"stage": "detect", "le": "0.025"}) == 1
    assert get("strefer_stage_seconds_bucket", {"stage": "detect", "le": "0.01"}) == 0
    assert get("strefer_latency_seconds_sum") == 1.5
    assert get("strefer_entities", {"feed": "door", "state": "live"}) == 2
    assert get("strefer_entities", {"feed": "door", "state": "dormant"}) == 1
    assert get("strefer_feed_position_seconds", {"feed": "door"}) == 2
    assert get("strefer_in_hand") == 0
    rows = "strefer_engine_batch_rows"
    assert [get(f"{rows}_bucket", {"engine": "sam2-step", "le": le}) for le in ("1.0", "4.0", "8.0", "+Inf")] == [
        3, 3, 4, 4,
    ]  # fmt: skip
    assert get(f"{rows}_sum", {"engine": "sam2-step"}) == 8
    assert get(f"{rows}_count", {"engine": "sam2-step"}) == 4


def test_feeds_that_are_gone_are_not_told_for_ever() -> None:
    registry, clock = CollectorRegistry(), Clock()
    metrics = WorkerMetrics(registry, clock=clock)

    def told(feed: str) -> bool:
        return registry.get_sample_value("strefer_feed_position_seconds", {"feed": feed}) is not None

    for i in range(FEEDS + 5):
        metrics.observe(Done(f"feed{i}", 0, False, 1))
    assert [told(f"feed{i}") for i in (0, 4, 5, FEEDS + 4)] == [False, False, True, True]
    metrics.observe(Done("feed9", 0, True, 1))
    assert not told("feed9"), "it has ended"
    clock.now_s += FORGET_S / 2
    metrics.observe(Done("feed7", 0, False, 1))
    clock.now_s += FORGET_S / 2 + 1
    assert [told(f"feed{i}") for i in (5, 7)] == [False, True]


def test_gpus_tell_what_they_can() -> None:
    registry = CollectorRegistry()
    registry.register(GpuMetrics(fake_nvml()))
    get = registry.get_sample_value
    assert get("strefer_gpu_memory_bytes", {"gpu": "0", "name": "H200", "kind": "used"}) == 1 << 30
    assert get("strefer_gpu_memory_bytes", {"gpu": "1", "name": "Old", "kind": "total"}) == 4 << 30
    assert [get("strefer_gpu_busy_ratio", {"gpu": "0", "part": p}) for p in ("sm", "decoder", "encoder")] == [
        0.75, 0.4, 0.05,
    ]  # fmt: skip
    assert get("strefer_gpu_busy_ratio", {"gpu": "1", "part": "sm"}) is None
    assert get("strefer_gpu_power_watts", {"gpu": "0"}) == 350


def test_without_a_driver_or_the_library_there_are_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", module(driver=False))
    assert nvml() is None
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert nvml() is None
