"""A log of two feeds, and a viewer of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from stream.log.sqlite import SqliteLog
from tests.stream.viewer.asking import client_of, ready
from tests.stream.viewer.told_log import send_chunk


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    with closing(SqliteLog(tmp_path)) as made:
        for feed in ("door", "gate"):
            for seq in range(2):
                send_chunk(made, feed, seq)
        yield made


@pytest.fixture
def client(log: SqliteLog) -> Iterator[TestClient]:
    with client_of(log) as made:
        ready(made)
        yield made
