"""How log lines look: for people, or JSON a line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import structlog


@contextmanager
def hushed() -> Iterator[None]:
    """No lines but warnings and errors, for as long as it lasts."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        yield
    finally:
        structlog.configure(**before)


def settle_logs(kind: Literal["text", "json"]) -> None:
    """Of the whole process; lines go to stdout. json: `event`, `level`, `timestamp` (UTC) and what belongs to it."""
    if kind == "json":
        structlog.configure(
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ]
        )
