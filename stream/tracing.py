"""Traces by OpenTelemetry: one from a chunk's capture to its events, carried by the messages' `traceparent` headers."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

from engines.errors import UserError

Attributes = Mapping[str, str | int | float]


class Spans(Protocol):
    """Where spans go."""

    @contextmanager
    def span(
        self, name: str, attributes: Attributes, *, parent: Mapping[str, str] | None = None, begun_ns: int | None = None
    ) -> Iterator[dict[str, str]]:
        """A span round the block, from `begun_ns` (Unix time; now) on, that belongs to the one in the headers `parent`.
        Gives the headers by which others belong to it."""
        ...

    def close(self) -> None: ...


class Untraced:
    """No spans, and no headers."""

    @contextmanager
    def span(
        self, name: str, attributes: Attributes, *, parent: Mapping[str, str] | None = None, begun_ns: int | None = None
    ) -> Iterator[dict[str, str]]:
        yield {}

    def close(self) -> None:
        pass


class Otlp:
    """Spans sent to a collector at `address` by OTLP over HTTP, in the background. One that cannot be reached costs
    spans, and holds nothing up. Raises UserError where OpenTelemetry is not installed, or the address is none."""

    def __init__(self, address: str, *, service: str) -> None:
        if not _is_address(address):
            raise UserError(f"--traces {address}: wanted an address such as http://127.0.0.1:4318")
        try:
            from opentelemetry import trace
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError:
            raise UserError("OpenTelemetry is not installed: pip install '.[tracing]'") from None
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # a collector that is away is no news
        self._trace: Any = trace
        self._carrier = TraceContextTextMapPropagator()
        self._provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"{address.rstrip('/')}/v1/traces", timeout=5)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("strefer")

    @contextmanager
    def span(
        self, name: str, attributes: Attributes, *, parent: Mapping[str, str] | None = None, begun_ns: int | None = None
    ) -> Iterator[dict[str, str]]:
        context = self._carrier.extract(dict(parent or {}))
        begun_ns = time.time_ns() if begun_ns is None else begun_ns
        span = self._tracer.start_span(name, context, attributes=dict(attributes), start_time=begun_ns)
        headers: dict[str, str] = {}
        self._carrier.inject(headers, self._trace.set_span_in_context(span))
        try:
            with self._trace.use_span(span):  # what the block raises is noted
                yield headers
        finally:
            span.end()

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        self._provider.shutdown()


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # brackets that do not match
        return False


def spans(address: str | None, *, service: str) -> Spans:
    """Where spans go that `--traces` names; nowhere without."""
    return Untraced() if address is None else Otlp(address, service=service)
