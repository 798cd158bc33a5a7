"""Decoding for viewers is bounded, shared and not at their pace."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from stream.chunk import Chunk
from stream.viewer import frames
from stream.viewer.chunks import LostChunkError
from stream.viewer.frames import DECODES, MAX_WAITING, BusyError, FrameStore, Shown, Wanted
from tests.stream.viewer.told_log import chunk_messages, headers
from tests.stream.viewer.told_log import frames as told_frames


def find(feed: str, seq: int) -> Chunk:
    if feed == "lost":
        raise LostChunkError("chunk is lost")
    return Chunk(headers()[seq % 4], chunk_messages()[seq % 4].value)


@pytest.fixture
def store() -> Iterator[FrameStore]:
    with closing(FrameStore(find)) as made:
        yield made


def done(shown: Shown) -> Shown:
    until = time.monotonic() + 20
    while not shown.done:
        assert time.monotonic() < until
        time.sleep(0.005)
    return shown


def test_decoded_once_for_all(store: FrameStore) -> None:
    shown = done(store.shown(Wanted("a", 0, 320)))
    assert store.shown(Wanted("a", 0, 320)) is shown
    assert len(shown.parts) == headers()[0].frames


def test_what_is_kept_is_bounded(store: FrameStore, monkeypatch: pytest.MonkeyPatch) -> None:
    one = done(store.shown(Wanted("a", 0, 320))).bytes
    monkeypatch.setattr(frames, "KEPT_BYTES", int(3.5 * one))
    for seq in range(1, 12):
        done(store.shown(Wanted("a", seq, 320)))
        assert store.held_bytes() <= 5 * one
    assert done(store.shown(Wanted("a", 0, 320))).parts


def test_a_chunk_too_large_is_cut_short(store: FrameStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_CHUNK_BYTES", 1)
    assert 0 < len(done(store.shown(Wanted("a", 0, 320))).parts) <= 4


def test_too_many_at_a_time_are_asked_to_come_again() -> None:
    go = threading.Event()

    def slow(feed: str, seq: int) -> Chunk:
        go.wait(20)
        return find(feed, seq)

    with closing(FrameStore(slow)) as store:
        try:
            waiting = [store.shown(Wanted("a", seq, 320)) for seq in range(DECODES + MAX_WAITING)]
            with pytest.raises(BusyError):
                store.shown(Wanted("a", 99, 320))
            assert store.shown(Wanted("a", 0, 320)) is waiting[0], "what is on its way may be waited for"
        finally:
            go.set()
        for shown in waiting:
            done(shown)
        assert done(store.shown(Wanted("a", 99, 320))).parts


def test_what_is_lost_is_said_and_tried_again(store: FrameStore) -> None:
    lost = done(store.shown(Wanted("lost", 0, 320)))
    assert (lost.parts, lost.trouble) == ([], "chunk is lost")
    assert store.shown(Wanted("lost", 0, 320)) is not lost


def test_a_cut_out_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_PICTURES", 2)
    asked: list[int] = []

    def counted(feed: str, seq: int) -> Chunk:
        asked.append(seq)
        return find(feed, seq)

    with closing(FrameStore(counted)) as store:
        shots = [told_frames(headers()[seq], 100)[0] for seq in range(3)]
        pictures = [store.picture("a", seq, shots[seq]) for seq in (0, 0, 1, 2, 0)]
    assert asked == [0, 1, 2, 0]
    assert pictures[0] == pictures[1] == pictures[4]
