"""A feed made long is a feed: it is read like one, and every repetition has entities of its own."""

from __future__ import annotations

from pathlib import Path

from bench import long_feed
from instruct.clip import clip_of
from instruct.make import Options, Tally, pairs_of
from instruct.read import check, windows
from tests.instruct.test_formats import put, told


def test_repeated_and_beside_each_other(tmp_path: Path) -> None:
    source = put(tmp_path, told().events)
    made = tmp_path / "long.jsonl"
    assert long_feed.write(source, made, minutes=0.6, beside=2) == made.stat().st_size
    found = list(windows(check([made]), least_us=12_000_000))
    assert [(w.start_us, w.end_us) for w in found] == [(i * 12_000_000, (i + 1) * 12_000_000) for i in range(3)]
    tracks = [t for w in found for t in clip_of(w).tracks]
    assert len({t.entity for t in tracks}) == len({t.expression for t in tracks}) == 3 * 2 * 2
    tally = Tally()
    assert all(pairs_of(w, Options(), tally) for w in found)
    assert not [why for why in tally.rejected if why.startswith("not confirmed")]
