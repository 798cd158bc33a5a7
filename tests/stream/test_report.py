"""The report: whatever a feed says is text in it, and it loads nothing from anywhere."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

from stream import events as ev
from stream.overlay import PALETTE, Pictures, Still
from stream.report import page
from stream.viewer.inline import fingerprint, script
from tests.told import LEFT_AND_BACK, appeared, masks, story


class Links(HTMLParser):
    """Every address a page would load, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.scripts: list[tuple[str, str]] = []
        """Type and text of each."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs).get("type") or "", ""))
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "data", "action", "poster")]

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "script":
            kind, text = self.scripts.pop()
            self.scripts.append((kind, text + data))


def test_report_escapes_and_loads_nothing() -> None:
    evil = '<script>alert("1")</script>'
    bound = ev.QueryBound(query="q", text=evil, entities=[1], score=0.5, margin=0.1, cues=[evil])
    trouble = ev.Error(stage="decode", code="corrupt_chunk", message=evil, seq=1)
    described = ev.EntityDescribed(
        entity=1, expression=evil, noun=evil, category=evil, attributes=[], source="measured"
    )
    gap = ev.FeedGap(start_us=0, end_us=1, reason=evil)
    told = story(*LEFT_AND_BACK, appeared(2, 0, evil), masks(2, 0, 3), described, bound, trouble, gap)
    mask = masks(1, 0, 1).frames[0]
    text = page(told, Pictures({1: b"png"}, [Still(0, b"jpeg", [(1, mask)])]), has_overlay=True)
    seen = Links()
    seen.feed(text)
    (kind, data), (_, code) = seen.scripts
    assert (kind, code) == ("application/json", script())
    assert f"script-src '{fingerprint(code)}'" in text, "no other script runs"
    assert evil not in text
    assert "&lt;script&gt;" in text
    told_data = json.loads(data)
    assert [row["name"] for row in told_data["rows"]] == [evil, evil]
    assert told_data["stills"][0][0]["frame"]["rle"]["counts"] == mask.rle.counts
    assert {a.split(":")[0] for a in seen.addresses} == {"overlay.mp4", "data"}
    assert not re.search(r"https?://|@import|url\(", text)
    assert text.count("<article") == 2


def test_report_of_nothing() -> None:
    assert "Nobody and nothing that acts was found" in page(story(), Pictures(), has_overlay=False)
    assert "<video" not in page(story(), Pictures(), has_overlay=False)


def test_the_script_is_whole_and_ends_no_element() -> None:
    code = script()
    assert not re.search(r"^(import|export) ", code, re.MULTILINE)
    assert "</script" not in code
    assert "<!--" not in code


def test_the_browser_has_the_colours_of_the_overlay() -> None:
    (listed,) = re.findall(r"PALETTE = \[(.*?)\]", script(), re.DOTALL)
    assert tuple(re.findall(r'"(#[0-9a-f]{6})"', listed)) == PALETTE
