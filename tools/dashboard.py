"""Write deploy/components/monitoring/strefer.json: the Grafana dashboard, as a table of panels. Run as `make docs`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "deploy/components/monitoring/strefer.json"
WIDE, HIGH = 8, 7
ROWS: tuple[tuple[str, tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]], ...] = (
    ("Is all well?", (
        ("Messages that wait", "short", (("max by (topic) (strefer_log_lag)", "{{topic}}"),)),
        ("From capture to events", "s", (
            ("histogram_quantile(0.5, sum by (le) (rate(strefer_latency_seconds_bucket[5m])))", "p50"),
            ("histogram_quantile(0.95, sum by (le) (rate(strefer_latency_seconds_bucket[5m])))", "p95"),
            ("histogram_quantile(0.99, sum by (le) (rate(strefer_latency_seconds_bucket[5m])))", "p99"),
        )),
        ("Workers alive, ready", "short", (
            ("sum(strefer_alive)", "alive"), ("sum(strefer_ready)", "ready"), ("count(strefer_alive)", "all"),
        )),
    )),
    ("Work", (
        ("Frames a second", "short", (
            ("sum(rate(strefer_frames_total[1m]))", "followed"),
            ("sum(rate(strefer_frames_dropped_total[1m]))", "left out"),
        )),
        ("Chunks a second", "short", (("sum by (outcome) (rate(strefer_chunks_total[1m]))", "{{outcome}}"),)),
        ("Messages in workers' hands", "short", (("sum by (instance) (strefer_in_hand)", "{{instance}}"),)),
    )),
    ("Feeds", (
        ("Entities followed", "short", (('sum by (feed) (strefer_entities{state="live"})', "{{feed}}"),)),
        ("Entities remembered", "short", (('sum by (feed) (strefer_entities{state="dormant"})', "{{feed}}"),)),
        ("Silent for", "s", (("time() - max by (feed) (strefer_feed_heard_timestamp_seconds)", "{{feed}}"),)),
    )),
    ("Where the time goes", (
        ("A stage's share of time", "percentunit", (
            ("sum by (stage) (rate(strefer_stage_seconds_sum[5m])) / on () group_left ()"
             " sum(rate(strefer_stage_seconds_sum[5m]))", "{{stage}}"),
        )),
        ("A chunk's time in a stage, p95", "s", (
            ("histogram_quantile(0.95, sum by (le, stage) (rate(strefer_stage_seconds_bucket[5m])))", "{{stage}}"),
        )),
        ("Rows of a batch, mean", "short", (
            ("sum by (engine) (rate(strefer_engine_batch_rows_sum[5m]))"
             " / sum by (engine) (rate(strefer_engine_batch_rows_count[5m]))", "{{engine}}"),
        )),
    )),
    ("GPU", (
        ("Busy", "percentunit", (
            ("max by (instance, gpu, part) (strefer_gpu_busy_ratio)", "{{instance}} {{gpu}} {{part}}"),
        )),
        ("Memory", "bytes", (
            ("max by (instance, gpu, kind) (strefer_gpu_memory_bytes)", "{{instance}} {{gpu}} {{kind}}"),
        )),
        ("Power", "watt", (("max by (instance, gpu) (strefer_gpu_power_watts)", "{{instance}} {{gpu}}"),)),
    )),
)  # fmt: skip
"""Title of a row, and its panels: title, unit, queries with their legends."""


def dashboard() -> dict[str, Any]:
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS:
        place = {"h": 1, "w": 24, "x": 0, "y": y}
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "gridPos": place, "panels": []})
        y += 1
        for i, (name, unit, queries) in enumerate(row):
            panels.append(_panel(len(panels) + 1, name, unit, queries, i * WIDE, y))
        y += HIGH
    source = {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    return {
        "uid": "strefer", "title": "Strefer", "tags": ["strefer"], "schemaVersion": 39, "editable": True,
        "refresh": "15s", "time": {"from": "now-1h", "to": "now"}, "templating": {"list": [source]}, "panels": panels,
    }  # fmt: skip


def _panel(number: int, title: str, unit: str, queries: tuple[tuple[str, str], ...], x: int, y: int) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${source}"}
    return {
        "id": number, "type": "timeseries", "title": title, "datasource": source,
        "gridPos": {"h": HIGH, "w": WIDE, "x": x, "y": y},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": "ABCDEF"[i], "datasource": source, "expr": expr, "legendFormat": legend}
            for i, (expr, legend) in enumerate(queries)
        ],
    }  # fmt: skip


def text() -> str:
    return json.dumps(dashboard(), indent=1) + "\n"


def main() -> None:
    TARGET.write_text(text(), "utf-8")
    print(TARGET)


if __name__ == "__main__":
    main()
