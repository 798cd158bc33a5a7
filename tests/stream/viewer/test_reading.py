"""Readers that never end hold nothing for ever."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from stream.viewer.frames import BusyError, Shown
from stream.viewer.reading import Readings, parts
from stream.viewer.server import _Paced

SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": [], "asgi": {"spec_version": "2.4"}}


async def never() -> MutableMapping[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError


def test_only_so_many_and_each_within_a_time() -> None:
    async def read() -> None:
        readings = Readings(most=3, within_s=0.3)
        shown = Shown([b"a", b"b"], 2, done=True)

        async def stuck(_: MutableMapping[str, Any]) -> None:
            await asyncio.Event().wait()

        slow = [asyncio.create_task(_Paced(shown, readings)(SCOPE, never, stuck)) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert readings.now == 3
        with pytest.raises(BusyError, match="3 chunks are being read"):
            await _Paced(shown, readings)(SCOPE, never, stuck)
        await asyncio.wait_for(asyncio.gather(*slow), 5)
        assert readings.now == 0

    asyncio.run(read())


def test_parts_come_as_they_are_made() -> None:
    async def read() -> list[bytes]:
        shown, found = Shown([b"a"], 1), []
        async for part in parts(shown):
            found.append(part)
            if part == b"a":
                shown.parts.append(b"b")
                shown.done = True
        return found

    assert asyncio.run(read()) == [b"a", b"b"]
