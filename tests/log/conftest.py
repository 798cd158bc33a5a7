"""Every implementation of the log runs the same contract tests: add a factory here to have another one join."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from members import open_spec

from stream.log import Log

OpenLog = Callable[[], Log]


@pytest.fixture(params=["sqlite", "kafka"])
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a fresh log lies, in words that `members.open_spec` understands in any process."""
    if request.param == "kafka":
        return f"kafka:{request.getfixturevalue('kafka')}/t{uuid.uuid4().hex[:8]}-"
    return f"sqlite:{tmp_path / 'log'}"


@pytest.fixture
def open_log(spec: str) -> Iterator[OpenLog]:
    """Opens handles on one log, closed at the end."""
    logs: list[Log] = []

    def open_() -> Log:
        logs.append(open_spec(spec))
        return logs[-1]

    yield open_
    for log in logs:
        log.close()


@pytest.fixture
def log(open_log: OpenLog) -> Log:
    return open_log()
