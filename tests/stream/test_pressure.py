"""Back-pressure: which chunks are skipped, which level a feed is on."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.chunk import ChunkHeader, Policy, decode_header, encode_header
from stream.pressure import CALM, LIMIT, Pressure, meet

QUEUES = st.lists(st.integers(0, 12), max_size=40)


def levels(waiting: Sequence[int], pressure: Pressure | None = None) -> list[int]:
    pressure = pressure or Pressure()
    found = []
    for n in waiting:
        meet(pressure, "degrade", n)
        found.append(pressure.level)
    return found


def skips(policy: Policy, waiting: Sequence[int]) -> list[bool]:
    pressure = Pressure()
    return [meet(pressure, policy, n) for n in waiting]


@given(QUEUES)
def test_block_never_skips(waiting: list[int]) -> None:
    assert not any(skips("block", waiting))


def test_latest_skips_to_the_newest() -> None:
    assert skips("latest", [0, 1, LIMIT, LIMIT + 1, 2, 1, 0, 1, 2]) == [False] * 3 + [True] * 3 + [False] * 3


@given(QUEUES)
def test_latest_never_skips_the_newest(waiting: list[int]) -> None:
    assert not any(skip for skip, n in zip(skips("latest", waiting), waiting, strict=True) if n == 0)


def test_degrade_goes_up_while_the_queue_does_not_shrink() -> None:
    assert levels([0, 3, 4, 3, 2, 3]) == [0, 1, 2, 2, 2, 3]


def test_degrade_comes_down_after_a_calm() -> None:
    up = Pressure(level=2)
    assert levels([0] * (2 * CALM), up) == [2] * (CALM - 1) + [1] * CALM + [0]
    assert levels([0, 0, 1] * CALM, Pressure(level=1)) == [1] * 3 * CALM, "a queue now and then is no calm"


def test_degrade_skips_at_level_three_only() -> None:
    pressure = Pressure()
    assert [meet(pressure, "degrade", n) for n in (5, 5, 5, 4, 1, 0)] == [False, False, True, True, True, False]
    assert pressure.level == 3, "the newest is followed with as little work as may be"


@given(QUEUES)
def test_levels_stay_in_range(waiting: list[int]) -> None:
    assert set(levels(waiting)) <= {0, 1, 2, 3}


def test_another_policy_begins_at_level_zero() -> None:
    pressure = Pressure(level=3, skipping=True)
    assert not meet(pressure, "block", 9)
    assert pressure.level == 0


def test_headers_carry_the_policy_and_may_lack_it() -> None:
    header = ChunkHeader(
        feed="f", seq=0, start_us=0, duration_us=1, codec="h264", width=2, height=2, frames=1, crc32=0, policy="degrade"
    )
    headers = encode_header(header)
    assert decode_header(headers) == header
    headers["strefer_header"] = headers["strefer_header"].replace(',"policy":"degrade"', "")
    read = decode_header(headers)
    assert isinstance(read, ChunkHeader)
    assert read.policy == "block"
    headers["strefer_header"] = headers["strefer_header"].replace('"crc32":0', '"crc32":0,"policy":"drop"')
    with pytest.raises(ValueError, match="policy"):
        decode_header(headers)
