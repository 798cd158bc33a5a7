"""The log on Apache Kafka (in work)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.log import Log


def KafkaLog(servers: tuple[str, ...], *, prefix: str, claims: str, options: Mapping[str, object]) -> Log:  # noqa: N802
    raise NotImplementedError
