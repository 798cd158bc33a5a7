"""The report: whatever a feed says is text in it, and it loads nothing from anywhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from stream import events as ev
from stream.overlay import Pictures
from stream.report import page
from tests.told import LEFT_AND_BACK, appeared, masks, story


class Links(HTMLParser):
    """Every address a page would load, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "data", "action", "poster")]


def test_report_escapes_and_loads_nothing() -> None:
    evil = '<script>alert("1")</script>'
    bound = ev.QueryBound(query="q", text=evil, entities=[1], score=0.5, margin=0.1, cues=[evil])
    trouble = ev.Error(stage="decode", code="corrupt_chunk", message=evil, seq=1)
    described = ev.EntityDescribed(
        entity=1, expression=evil, noun=evil, category=evil, attributes=[], source="measured"
    )
    gap = ev.FeedGap(start_us=0, end_us=1, reason=evil)
    told = story(*LEFT_AND_BACK, appeared(2, 0, evil), masks(2, 0, 3), described, bound, trouble, gap)
    text = page(told, Pictures({1: b"png"}, [(0, b"jpeg")]), has_overlay=True)
    seen = Links()
    seen.feed(text)
    assert "script" not in seen.tags
    assert evil not in text
    assert "&lt;script&gt;" in text
    assert {a.split(":")[0] for a in seen.addresses} == {"overlay.mp4", "data"}
    assert not re.search(r"https?://|@import|url\(", text)
    assert text.count("<article") == 2


def test_report_of_nothing() -> None:
    assert "Nobody and nothing that acts was found" in page(story(), Pictures(), has_overlay=False)
    assert "<video" not in page(story(), Pictures(), has_overlay=False)
