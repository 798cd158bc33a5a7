"""Alarms and the dashboard: PromQL that parses, over metrics that a worker really tells."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from stream.gpu_metrics import GpuMetrics
from stream.health import Health
from stream.health_server import serving
from stream.log import CHUNKS
from stream.log.sqlite import SqliteLog
from stream.metrics import WorkerMetrics
from stream.worker import Done
from tests.deploy.manifests import of_kind
from tests.stream.fake_nvml import fake_nvml
from tests.stream.test_health import get
from tests.stream.test_metrics import CHUNK
from tools import dashboard
from tools.render_manifests import ROOT

ALERTS = yaml.safe_load((ROOT / "deploy/components/monitoring/alerts.yaml").read_text("utf-8"))
RULES: list[dict[str, Any]] = [rule for group in ALERTS["spec"]["groups"] for rule in group["rules"]]
PANELS = [p for p in dashboard.dashboard()["panels"] if p["type"] != "row"]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [t["expr"] for panel in PANELS for t in panel["targets"]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Every sample a worker with a GPU tells, and its labels. Of Prometheus' own only `instance` is there wherever it
    scrapes."""
    folder, registry = tmp_path_factory.mktemp("log"), CollectorRegistry()
    health = Health(client_id="me", group="g", stop=threading.Event())
    metrics = WorkerMetrics(registry, batches=lambda: {"sam2-step": {4: 2}})
    registry.register(GpuMetrics(fake_nvml()))
    done = Done("door", 1_000_000, False, 9, 0, "followed", CHUNK, 2, 1)
    metrics.observe(done)
    health.turn(done)
    with closing(SqliteLog(folder)):
        server = serving(
            health, host="127.0.0.1", port=0, open_log=lambda: SqliteLog(folder), group="g", topics=[CHUNKS],
            registry=registry, every_s=0.05,
        )  # fmt: skip
        with server as port:
            until = time.monotonic() + 30
            while "strefer_log_lag{" not in (text := get(port, "/metrics")[1]):
                assert time.monotonic() < until
                time.sleep(0.02)
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {"instance"}).update(sample.labels)
    return found


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Metrics and the labels they are asked by."""
    for name, matchers in re.findall(r"\b(strefer_\w+)(?:\{([^}]*)\})?", expression):
        yield name, set(re.findall(r"(\w+)\s*[=!]", matchers))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_parses_and_asks_for_what_is_told(expression: str, told: dict[str, set[str]]) -> None:
    promql_parser.parse(expression)
    asked = list(selectors(expression))
    assert asked
    for name, labels in asked:
        assert name in told
        assert labels <= told[name]
    by = {label.strip() for part in re.findall(r"\bby \(([^)]*)\)", expression) for label in part.split(",")}
    assert by <= set().union(*(told[name] for name, _ in asked))


def test_nothing_that_is_told_is_left_out_of_the_dashboard_for_no_reason(told: dict[str, set[str]]) -> None:
    families = {re.sub(r"_(total|bucket|sum|count|created|info)$", "", name) for name in told}
    shown = {re.sub(r"_(total|bucket|sum|count)$", "", n) for e in EXPRESSIONS for n, _ in selectors(e)}
    aside = {
        "strefer_worker", "strefer_events", "strefer_feeds_ended", "strefer_last_turn_timestamp_seconds",
        "strefer_last_progress_timestamp_seconds", "strefer_feed_position_seconds",
    }  # fmt: skip
    assert families - shown == aside


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r["alert"])
def test_every_alarm_has_words_and_a_place_in_the_docs(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("warning", "critical")
    summary = rule["annotations"]["summary"]
    assert summary.endswith((".", "list.", "fewer feeds."))
    kept = {label.strip() for part in re.findall(r"\bby \(([^)]*)\)", rule["expr"]) for label in part.split(",")}
    assert set(re.findall(r"\$labels\.(\w+)", summary)) <= kept, "what is not kept would be told as nothing"
    assert f"`{rule['alert']}`" in (ROOT / "docs/operations.md").read_text("utf-8")


def test_a_panel_is_told_by_labels_that_its_queries_keep() -> None:
    for target in (t for panel in PANELS for t in panel["targets"]):
        kept = {label.strip() for part in re.findall(r"\bby \(([^)]*)\)", target["expr"]) for label in part.split(",")}
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= kept, target


def test_the_dashboard_is_what_the_table_says_and_comes_with_the_overlay() -> None:
    assert Path(dashboard.TARGET).read_text("utf-8") == dashboard.text(), "run `make docs`"
    sent = of_kind("gpu", "ConfigMap", "dashboard")
    assert json.loads(sent["data"]["strefer.json"]) == dashboard.dashboard()
    assert sent["metadata"]["labels"]["grafana_dashboard"] == "1"
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in PANELS]
    assert len(set(places)) == len(places)
    assert len({p["id"] for p in dashboard.dashboard()["panels"]}) == len(dashboard.dashboard()["panels"])
