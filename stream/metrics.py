"""A worker's figures for Prometheus: what was done, how long each stage took, who is in sight, how batches came out.

`observe` is called after every message; all else is read when Prometheus asks. Whatever is kept by feed has a bound.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from stream.worker import Done

FEEDS = 256
"""Feeds of which figures are kept: those that were heard of last."""
FORGET_S = 300.0
"""A feed that was not heard of for so long has no figures any more: it ended, or is another worker's."""
STAGE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
LATENCY_S = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)

Batches = Callable[[], Mapping[str, Mapping[int, int]]]
"""Of each engine that runs batches: how many were run of how many rows."""


@dataclass(frozen=True, slots=True)
class _Feed:
    live: int
    dormant: int
    at_us: int
    heard_s: float


class WorkerMetrics(Collector):
    """Registers itself and all it counts with `registry`. clock: seconds of a wall clock."""

    def __init__(
        self, registry: CollectorRegistry, *, batches: Batches = dict, clock: Callable[[], float] = time.time
    ) -> None:
        self._batches, self._clock = batches, clock
        self._feeds: dict[str, _Feed] = {}
        self._lock = threading.Lock()
        self._in_hand = 0
        self._stage = Histogram(
            "strefer_stage_seconds",
            "Time a stage took of one chunk.",
            ["stage"],
            buckets=STAGE_S,
            registry=registry,
        )
        self._latency = Histogram(
            "strefer_latency_seconds", "From the capture of a live chunk's first frame to its events.",
            buckets=LATENCY_S, registry=registry,
        )  # fmt: skip
        self._chunks = Counter(
            "strefer_chunks", "Chunks by what became of them: followed, skipped by the feed's policy, or refused.",
            ["outcome"], registry=registry,
        )  # fmt: skip
        for outcome in ("followed", "skipped", "refused"):
            self._chunks.labels(outcome)
        self._frames = Counter("strefer_frames", "Frames followed.", registry=registry)
        self._dropped = Counter(
            "strefer_frames_dropped", "Frames of followed chunks left out under pressure.", registry=registry
        )
        registry.register(self)

    def observe(self, done: Done, *, in_hand: int = 0) -> None:
        """A message was finished. in_hand: how many the worker has taken and not finished."""
        self._in_hand = in_hand
        if done.outcome:
            self._chunks.labels(done.outcome).inc()
        chunk = done.chunk
        if chunk is not None:
            self._frames.inc(chunk.frames - chunk.dropped)
            self._dropped.inc(chunk.dropped)
            for stage, us in chunk.stage_us.items():
                self._stage.labels(stage).observe(us / 1e6)
            if chunk.latency_us is not None:
                self._latency.observe(max(0, chunk.latency_us) / 1e6)
        with self._lock:
            self._feeds.pop(done.feed, None)
            if not done.ended:
                self._feeds[done.feed] = _Feed(done.live, done.dormant, done.at_us, self._clock())
            while len(self._feeds) > FEEDS:
                del self._feeds[next(iter(self._feeds))]

    def collect(self) -> Iterator[Metric]:
        since_s = self._clock() - FORGET_S
        with self._lock:
            self._feeds = {feed: f for feed, f in self._feeds.items() if f.heard_s > since_s}
            feeds = dict(self._feeds)
        entities = GaugeMetricFamily(
            "strefer_entities", "Entities followed, and dormant ones that are remembered.", labels=["feed", "state"]
        )
        heard = GaugeMetricFamily(
            "strefer_feed_heard_timestamp_seconds", "Wall-clock time of a feed's last message.", labels=["feed"]
        )
        at = GaugeMetricFamily(
            "strefer_feed_position_seconds", "Presentation time that a feed was followed to.", labels=["feed"]
        )
        for feed, one in feeds.items():
            entities.add_metric([feed, "live"], one.live)
            entities.add_metric([feed, "dormant"], one.dormant)
            heard.add_metric([feed], one.heard_s)
            at.add_metric([feed], one.at_us / 1e6)
        yield from (entities, heard, at)
        yield GaugeMetricFamily("strefer_in_hand", "Messages taken from the log and not finished.", self._in_hand)
        rows = HistogramMetricFamily(
            "strefer_engine_batch_rows", "Rows of the batches that feeds share.", labels=["engine"]
        )
        for engine, sizes in self._batches().items():
            counts = [(str(float(b)), sum(n for size, n in sizes.items() if size <= b)) for b in ROWS]
            total = sum(sizes.values())
            rows.add_metric([engine], [*counts, ("+Inf", total)], sum(size * n for size, n in sizes.items()))
        yield rows
