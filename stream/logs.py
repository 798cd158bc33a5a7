"""How log lines look: for people, or JSON a line."""

from __future__ import annotations

from typing import Literal

import structlog


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
