"""A worker's figures as Prometheus reads them. They are made anew at each request, from `Health` alone."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from stream.health import Health


class Metrics(Collector):
    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        facts = self._health.facts()
        yield InfoMetricFamily(
            "strefer_worker", "Who this worker is.", {"client_id": facts.client_id, "group": facts.group}
        )
        yield CounterMetricFamily(
            "strefer_messages", "Messages of video.chunks finished: chunks, gaps and ends.", facts.messages
        )
        yield CounterMetricFamily("strefer_events", "Annotation events committed.", facts.events)
        yield CounterMetricFamily("strefer_feeds_ended", "Ends of feeds seen.", facts.feeds_ended)
        now_s = time.time()
        for name, words, age_s in (
            ("turn", "Wall-clock time of the loop's last turn.", facts.turn_age_s),
            ("progress", "Wall-clock time of the last message finished.", facts.progress_age_s),
        ):
            if age_s is not None:
                yield GaugeMetricFamily(f"strefer_last_{name}_timestamp_seconds", words, now_s - age_s)
        lag = GaugeMetricFamily(
            "strefer_log_lag",
            "What the group has not finished of a topic; Kafka counts offsets. None while the log is out of reach.",
            labels=["topic", "group"],
        )
        for topic, records in facts.lag.items():
            lag.add_metric([topic, facts.group], records)
        yield lag
        yield GaugeMetricFamily("strefer_alive", "1 where /healthz says yes.", int(self._health.alive().ok))
        yield GaugeMetricFamily("strefer_ready", "1 where /readyz says yes.", int(self._health.ready().ok))
