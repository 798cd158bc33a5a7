"""Readings become actions: held, told when they lasted, changes told by their own words."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.timeline import TURNS, Reading, Span, Timeline, close, read

STEP = 160_000


def play(looks: Iterable[list[Reading]], segment: int = 1) -> list[Span]:
    timeline: Timeline = {}
    out: list[Span] = []
    for i, readings in enumerate(looks):
        out += read(timeline, readings, i * STEP, segment)
    return out + [s for channel in list(timeline) for s in close(timeline, channel)]


def words(channel: str, *rows: tuple[str, int]) -> list[list[Reading]]:
    """key, times: the text is `KEYs`, none of keys in brackets; no reading for ''."""
    return [[Reading(channel, k.strip("()"), "" if k[0] == "(" else f"{k}s")] if k else [] for k, n in rows
            for _ in range(n)]  # fmt: skip


def told(spans: list[Span]) -> list[tuple[str, float, float]]:
    return [(s.text, s.start_us / STEP, s.end_us / STEP) for s in spans]


def test_a_word_holds_until_another_has_lasted() -> None:
    assert told(play(words("way", ("left", 10), ("up", 10)))) == [("lefts", 0, 9), ("ups", 10, 19)]


def test_one_odd_look_changes_nothing() -> None:
    assert told(play(words("way", ("left", 10), ("up", 1), ("left", 5)))) == [("lefts", 0, 15)]


def test_what_is_too_short_is_not_told() -> None:
    assert told(play(words("way", ("left", 3)))) == []
    assert told(play(words("way", ("left", 5)))) == [("lefts", 0, 4)]


def test_a_channel_that_falls_silent_is_over() -> None:
    assert told(play(words("touch", ("a", 6), ("", 8), ("a", 6)))) == [("as", 0, 5), ("as", 14, 19)]
    assert told(play(words("touch", ("a", 6), ("", 3), ("a", 6)))) == [("as", 0, 14)]
    assert told(play(words("way", ("left", 6), ("", 3), ("left", 6)))) == [("lefts", 0, 5), ("lefts", 9, 14)]


def test_words_that_go_without_saying_are_not_told() -> None:
    assert told(play(words("posture", ("(standing)", 9), ("sitting", 9)))) == [
        ("sits down", 8, 9), ("sittings", 9, 17),
    ]  # fmt: skip


@pytest.mark.parametrize("change", sorted(TURNS))
def test_changes(change: tuple[str, str, str]) -> None:
    channel, before, after = change
    spans = play(words(channel, (f"({before})", 9), (f"({after})", 9)))
    assert [s.text for s in spans] == [TURNS[change]]
    assert spans[0].start_us < spans[0].end_us <= 10 * STEP


def test_a_change_from_what_has_not_settled_is_none() -> None:
    spans = play(words("facing", ("(camera)", 1), ("(left)", 12)))
    assert spans == []


def test_a_new_segment_ends_what_is_open() -> None:
    timeline: Timeline = {}
    out: list[Span] = []
    for i in range(20):
        out += read(timeline, [Reading("way", "still", "stays")], i * STEP, 1 + (i >= 10))
    out += close(timeline, "way")
    assert [(s.segment, s.start_us, s.end_us) for s in out] == [(1, 0, 9 * STEP), (2, 10 * STEP, 19 * STEP)]


def test_the_text_is_the_one_read_most() -> None:
    looks = [[Reading("way", "left", "walks" if i % 3 else "runs")] for i in range(12)]
    assert [s.text for s in play(looks)] == ["walks"]


def test_a_reading_may_know_when_it_began_and_ended() -> None:
    looks: list[list[Reading]] = [[] for _ in range(5)]
    looks += [[Reading("jump", "jumps", "jumps", since_us=2 * STEP, until_us=4 * STEP)]]
    assert told(play(looks)) == [("jumps", 2, 4)]


KEYS = st.sampled_from(["a", "b", "(c)", ""])


@given(st.lists(KEYS, max_size=60), st.sampled_from(["way", "left leg", "jump", "posture"]))
def test_a_channel_never_does_two_things_at_once(keys: list[str], channel: str) -> None:
    spans = sorted(play(words(channel, *((k, 1) for k in keys))), key=lambda s: s.start_us)
    for a, b in pairwise(spans):
        assert a.end_us <= b.start_us
    assert all(0 <= s.start_us < s.end_us <= len(keys) * STEP for s in spans)
