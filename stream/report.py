"""report.html: one file that opens from disk without a network. The page's frame is report.template.html."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable
from importlib import resources
from string import Template

from stream.events import Action
from stream.overlay import PALETTE, Pictures
from stream.story import EntityStory, Story, clock


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
    return template.substitute(
        title=_t(story.feed),
        facts=_t(facts),
        source=_t(started.source if started else ""),
        video=_video(pictures) if has_overlay else "",
        stills="".join(_still(at, data) for at, data in pictures.stills),
        queries=_queries(story),
        entities="".join(_card(story, e, pictures.cutouts.get(e.entity)) for e in _ordered(story)) or _nobody(),
        timeline=_timeline(story),
        troubles=_troubles(story),
    )


def _ordered(story: Story) -> list[EntityStory]:
    return [story.entities[i] for i in sorted(story.entities)]


def _video(pictures: Pictures) -> str:
    poster = f' poster="{_uri("jpeg", pictures.stills[0][1])}"' if pictures.stills else ""
    return f'<video src="overlay.mp4"{poster} preload="none" controls muted loop playsinline></video>'


def _still(at_us: int, data: bytes) -> str:
    at = clock(at_us)
    return f'<figure><img alt="frame at {at}" src="{_uri("jpeg", data)}"><figcaption>{at}</figcaption></figure>'


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
        f"<h3><b>{e.entity}</b> {_t(name)}</h3>{asked}<p>{_t(e.category)} · {seen}{away}</p><ul>{acts}</ul></article>"
    )


def _in_order(actions: Iterable[Action]) -> list[Action]:
    """As they began; events come as they end."""
    return sorted(actions, key=lambda a: (a.start_us, a.end_us, a.text))


def _timeline(story: Story) -> str:
    total = max(1, story.last_us, *(s.end_us for s in story.segments))
    segments = "".join(
        f'<i class="seg" style="{_span(s.start_us, s.end_us, total)}" '
        f'title="segment {s.segment}: {clock(s.start_us)} to {clock(s.end_us)}, opened by {s.opened}"></i>'
        for s in story.segments
    )
    rows = [f'<div class="row"><span>segments</span><div class="bar">{segments}</div></div>']
    for e in _ordered(story):
        bars = []
        for p in e.presences:
            left = f", then {p.left}" if p.left else ""
            style = f"{_span(p.start_us, p.end_us, total)};background:{_colour(e.entity)}"
            bars.append(f'<i style="{style}" title="{clock(p.start_us)} to {clock(p.end_us)}{_t(left)}"></i>')
            if p.left:
                bars.append(f'<em style="left:{100 * p.end_us / total:.2f}%">{_t(p.left)}</em>')
        name = e.expression or e.category
        rows.append(f'<div class="row"><span>{e.entity} {_t(name)}</span><div class="bar">{"".join(bars)}</div></div>')
    ticks = "".join(f'<em style="left:{i * 20}%">{clock(total * i // 5)}</em>' for i in range(6))
    rows.append(f'<div class="row ticks"><span></span><div class="bar">{ticks}</div></div>')
    return "".join(rows)


def _queries(story: Story) -> str:
    if not story.queries:
        return ""
    rows = []
    for q in story.queries.values():
        who = ", ".join(f"<b>{i}</b> {_t(story.entities[i].expression)}" for i in q.entities if i in story.entities)
        verb = "are" if len(q.entities) > 1 else "is"
        said = {"bound": f"{verb} {who}", "ambiguous": f"could be {who}", "unbound": "nobody fits"}[q.outcome]
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


def _span(start_us: int, end_us: int, total: int) -> str:
    return f"left:{100 * start_us / total:.2f}%;width:{max(0.3, 100 * (end_us - start_us) / total):.2f}%"


def _colour(entity: int) -> str:
    return PALETTE[(entity - 1) % len(PALETTE)]


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _t(text: str) -> str:
    return html.escape(text, quote=True)
