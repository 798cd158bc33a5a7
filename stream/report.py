"""report.html: one file that opens from disk without a network. The page's frame is report.template.html; frames and
timeline are drawn in the browser, by the live viewer's code (`stream.viewer.inline`) from data that lies in the file.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable
from importlib import resources
from string import Template

import msgspec

from stream.events import TOO_LATE, Action, MaskletFrame
from stream.overlay import PALETTE, Pictures, Still
from stream.story import EntityStory, Segment, Story, clock
from stream.viewer.inline import fingerprint, script


class Mask(msgspec.Struct, frozen=True):
    entity: int
    frame: MaskletFrame


class Row(msgspec.Struct, frozen=True):
    """An entity of the timeline. presences: (start_us, end_us, why it left). actions: (start_us, end_us, text)."""

    entity: int
    name: str
    presences: list[tuple[int, int, str]]
    actions: list[tuple[int, int, str]]


class Data(msgspec.Struct, frozen=True):
    """What report.js draws: see `Telling` in timeline.js. stills: each one's masks."""

    from_us: int
    to_us: int
    segments: list[Segment]
    gaps: list[tuple[int, int, str]]
    rows: list[Row]
    stills: list[list[Mask]]


def page(story: Story, pictures: Pictures, *, has_overlay: bool) -> str:
    """The report's HTML."""
    template = Template(resources.files("stream").joinpath("report.template.html").read_text("utf-8"))
    started = story.started
    facts = ""
    if started is not None:
        engines = ", ".join(e.name for e in started.engines) or "motion alone"
        size = f"{started.width} × {started.height} {started.codec}"
        end_us = story.ended.at_us if story.ended else story.last_us
        facts = f"{size}, {clock(end_us)} long, {story.frames} frames · {engines}"
    code = script()
    return template.substitute(
        script=code,
        script_hash=fingerprint(code),
        data=_data(story, pictures),
        title=_t(story.feed),
        facts=_t(facts),
        source=_t(started.source if started else ""),
        video=_video(pictures) if has_overlay else "",
        stills="".join(_still(still) for still in pictures.stills),
        queries=_queries(story),
        entities="".join(_card(story, e, pictures.cutouts.get(e.entity)) for e in _ordered(story)) or _nobody(),
        troubles=_troubles(story),
    )


def _ordered(story: Story) -> list[EntityStory]:
    return [story.entities[i] for i in sorted(story.entities)]


def _video(pictures: Pictures) -> str:
    poster = f' poster="{_uri("jpeg", pictures.stills[0].jpeg)}"' if pictures.stills else ""
    return f'<video src="overlay.mp4"{poster} preload="none" controls muted loop playsinline></video>'


def _still(still: Still) -> str:
    at = clock(still.pts_us)
    picture = f'<img alt="frame at {at}" src="{_uri("jpeg", still.jpeg)}">'
    return f"<figure>{picture}<figcaption>{at}</figcaption></figure>"


def _data(story: Story, pictures: Pictures) -> str:
    """As JSON that may stand in HTML: no `<` of a feed's words ends the element or begins another."""
    data = Data(
        from_us=0,
        to_us=max(1, story.last_us, *(s.end_us for s in story.segments)),
        segments=story.segments,
        gaps=[(g.start_us, g.end_us, g.reason) for g in story.gaps],
        rows=[
            Row(
                e.entity, _name(story, e),
                [(p.start_us, p.end_us, p.left) for p in e.presences],
                [(a.start_us, a.end_us, a.text) for a in _in_order(e.actions)],
            )
            for e in _ordered(story)
        ],
        stills=[[Mask(entity, frame) for entity, frame in still.masks] for still in pictures.stills],
    )  # fmt: skip
    return msgspec.json.encode(data).decode().replace("<", "\\u003c")


def _name(story: Story, e: EntityStory) -> str:
    """The query that found it, or what it is called."""
    found = [q.text for q in story.queries.values() if q.outcome == "bound" and e.entity in q.entities]
    return found[0] if found else e.expression or e.category


def _card(story: Story, e: EntityStory, picture: bytes | None) -> str:
    name = e.expression or f"the {e.category}"
    image = f'<img alt="{_t(name)}" src="{_uri("png", picture)}">' if picture else ""
    called = [q.text for q in story.queries.values() if q.outcome == "bound" and e.entity in q.entities]
    asked = "".join(f'<span class="chip">“{_t(text)}”</span>' for text in called)
    seen = f"{clock(e.first_us)} to {clock(e.last_us)}, {e.frames} masks"
    away = f", left {e.exits}×, came back {e.reentries}×" if e.exits else ""
    acts = "".join(f"<li>{clock(a.start_us)}–{clock(a.end_us)} {_t(a.text)}</li>" for a in _in_order(e.actions))
    return (
        f'<article class="card" style="--c:{_colour(e.entity)}"><div class="cut">{image}</div>'
        f'<h3><button type="button" data-entity="{e.entity}" aria-pressed="false">'
        f"<b>{e.entity}</b> {_t(name)}</button></h3>{asked}"
        f"<p>{_t(e.category)} · {seen}{away}</p><ul>{acts}</ul></article>"
    )


def _in_order(actions: Iterable[Action]) -> list[Action]:
    """As they began; events come as they end."""
    return sorted(actions, key=lambda a: (a.start_us, a.end_us, a.text))


def _queries(story: Story) -> str:
    if not story.queries:
        return ""
    rows = []
    for q in story.queries.values():
        who = ", ".join(f"<b>{i}</b> {_t(story.entities[i].expression)}" for i in q.entities if i in story.entities)
        verb = "are" if len(q.entities) > 1 else "is"
        said = {
            "bound": f"{verb} {who}",
            "ambiguous": f"could be {who}",
            "unbound": TOO_LATE if q.reason == TOO_LATE else "nobody fits",
        }[q.outcome]
        why = f"<small>score {q.score:.2f}: {_t(', '.join(q.cues))}</small>" if q.cues else ""
        rows.append(f'<li class="{q.outcome}">“{_t(q.text)}” {said} {why}</li>')
    return f'<section><h2>Queries</h2><ul class="queries">{"".join(rows)}</ul></section>'


def _troubles(story: Story) -> str:
    lines = [f"{clock(g.start_us)} to {clock(g.end_us)}: gap ({_t(g.reason)})" for g in story.gaps]
    lines += [f"message {e.seq}: {_t(e.message)}" for e in story.errors]
    if not lines:
        return ""
    return "<section><h2>Gaps and errors</h2><ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul></section>"


def _nobody() -> str:
    return "<p>Nobody and nothing that acts was found.</p>"


def _colour(entity: int) -> str:
    return PALETTE[(entity - 1) % len(PALETTE)]


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _t(text: str) -> str:
    return html.escape(text, quote=True)
