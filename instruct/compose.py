"""What all families share: how an entity is referred to, which moments are asked about, how a pair is put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

import msgspec

from instruct.clip import Act, Clip, Track
from instruct.evidence import evidence
from instruct.pair import REGION, Claim, Form, Name, Pair, Region, Spans, Unit
from instruct.plan import GROUP_OF, Plan
from instruct.say import Times, upper

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What is good enough to be asked about."""

    least_area: float = 0.002
    """Of the frame, of a mask that stands in a question."""
    least_score: float = 0.5
    """Of such a mask."""
    least_visible: float = 0.4
    """Area of such a mask against the entity's median in the clip: a mostly hidden one points at little."""
    least_seen_us: int = 1_000_000
    """An entity in sight for less is a glimpse."""
    margin_us: int = 500_000
    """Distance of what is asked from the borders of what is true: annotations are not exact to the frame."""


class Ref(msgspec.Struct, frozen=True, gc=False):
    """An entity as a text names it: by a mask (`region`), or by its expression."""

    track: Track
    region: Region | None
    asked: str
    """In a question: `the person <region>`, `the dog`."""
    said: str
    """In an answer: `the person`, `the brown dog`."""

    @property
    def said_first(self) -> str:
        return upper(self.said)

    @property
    def it(self) -> str:
        """What stands for it when it is spoken of again."""
        return "the person" if self.track.category == "person" else "it"


class Composer:
    """One clip's means of making pairs, with a generator of its own; `rejected` counts what the gates held back."""

    def __init__(self, clip: Clip, rng: Random, gates: Gates, rejected: Counter[str]) -> None:
        self.clip, self.rng, self.gates = clip, rng, gates
        self._rejected = rejected
        self._fit: dict[int, list[int]] = {}
        self._acts: dict[int, list[Act]] = {}
        self.tracks = [t for t in clip.tracks if self._worth(t)]
        for t in self.tracks:
            if t.ambiguous:
                rejected[t.ambiguous] += 1
        self._by_id = {t.entity: t for t in clip.tracks}
        self._whom = {a.text: a.other for t in clip.tracks for a in t.acts if a.other is not None and self._names(a)}

    def _worth(self, t: Track) -> bool:
        if t.seen_us < self.gates.least_seen_us:
            self._rejected["entity seen too briefly"] += 1
            return False
        return True

    def pick(self, choices: Sequence[T]) -> T:
        """One of them. `Random.choice` asks for exact evenness, at four times the cost."""
        return choices[int(self.rng.random() * len(choices))]

    def shuffled(self, choices: Iterable[T]) -> list[T]:
        """All of them in a drawn order."""
        return sorted(choices, key=lambda _: self.rng.random())

    def acts(self, t: Track) -> list[Act]:
        """An entity's actions that can be put into words: whom they name is called so here, and nobody else is."""
        if t.entity not in self._acts:
            self._acts[t.entity] = [a for a in t.acts if a.other is None or self._names(a)]
        return self._acts[t.entity]

    def _names(self, act: Act) -> bool:
        whom = self._by_id.get(act.other or 0)
        return whom is not None and not whom.ambiguous and act.text.endswith(f" {whom.expression}")

    def times(self) -> Times:
        return Times(self.clip.window.start_us, int(self.rng.random() * 3))

    def ways(self, *tracks: Track) -> list[bool]:
        """The ways to refer to all of these that are clear here: by masks (true), by expressions (false)."""
        masked = called = True
        for t in tracks:
            masked = masked and bool(self._fitting(t))
            called = called and not t.ambiguous
        return [way for way, clear in ((True, masked), (False, called)) if clear]

    def ref(self, t: Track, masked: bool) -> Ref:
        """An entity referred to in one of its ways."""
        if not masked:
            return Ref(t, None, t.expression, t.expression)
        f = t.frames[self.pick(self._fitting(t))]
        region = Region(t.entity, f.pts_us, f.rle, f.bbox)
        said = f"the {t.category}"
        return Ref(t, region, self.pick((f"{said} {REGION}", f"{said} in {REGION}", REGION)), said)

    def _fitting(self, t: Track) -> list[int]:
        """The places of the frames whose masks are clear enough to be shown."""
        fit = self._fit.get(t.entity)
        if fit is None:
            fit = self._fit[t.entity] = self._fit_frames(t)
        return fit

    def _fit_frames(self, t: Track) -> list[int]:
        g = self.gates
        size = self.clip.window.size
        middle = sorted([f.area for f in t.frames])[len(t.frames) // 2]
        least = max(g.least_area * size[0] * size[1], g.least_visible * middle)
        sure = [i for i, f in enumerate(t.frames) if f.score >= g.least_score]
        if len(sure) < len(t.frames):
            self._rejected["mask of a low score"] += len(t.frames) - len(sure)
        fit = [i for i in sure if t.frames[i].area >= least]
        if len(fit) < len(sure):
            self._rejected["mask too small or mostly hidden"] += len(sure) - len(fit)
        return fit

    def instants(self, spans: Iterable[tuple[int, int]], n: int, margin_us: int | None = None) -> list[int]:
        """Up to `n` moments well inside the spans, on full seconds or tenths of the clip, in a drawn order."""
        margin = self.gates.margin_us if margin_us is None else margin_us
        gaps, origin, random = self.clip.gaps, self.clip.window.start_us, self.rng.random
        inner: list[tuple[int, int]] = []
        for s, e in spans:
            if e - s > 2 * margin and not (gaps and any(g[0] <= e - margin and s + margin <= g[1] for g in gaps)):
                inner.append((s + margin - origin, e - margin - origin))
        out: list[int] = []
        for _ in range(n if inner else 0):
            start, end = inner[int(random() * len(inner))]
            unit = 1_000_000 if random() < 0.5 else 100_000
            low, high = -(-start // unit), end // unit
            if low > high:
                unit = 100_000
                low, high = -(-start // unit), end // unit
            if low <= high:
                at = origin + unit * (low + int(random() * (high - low + 1)))
                if at not in out:
                    out.append(at)
        return out

    def away(self, t: Track) -> Spans:
        """When an entity is surely out of sight: between its stretches, by a margin that a lost mask does not fill."""
        w = self.clip.window
        ends = [w.start_us - 500_000, *(e for _, e in t.spans)]
        starts = [*(s for s, _ in t.spans), w.end_us + 500_000]
        return [(e + 500_000, s - 500_000) for e, s in zip(ends, starts, strict=True) if s - e > 1_500_000]

    def plan(
        self,
        family: str,
        form: Form,
        about: tuple[object, ...],
        write: Callable[[], Unit],
        *,
        masked: bool,
        timed: bool,
    ) -> Plan:
        """A unit that may be written later. masked, timed: whether the question shows a region, tells a time."""
        return Plan(family, GROUP_OF[masked, timed], form, about, write, 2 if form == "yesno" else 1)

    def pair(
        self, family: str, form: Form, question: str, answer: str, claims: list[Claim], refs: Sequence[Ref] = (), *,
        timed: bool, options: list[str] | None = None, spoken: Sequence[Track] = (),
    ) -> Pair:  # fmt: skip
        """A pair of any form. refs: in the order their regions stand in the text; spoken: entities that are called by
        their expressions in the text without being asked about; timed: whether the question tells a time."""
        w = self.clip.window
        regions: list[Region] = []
        by_name: dict[int, Track] = {}
        for r in refs:
            if r.region is None:
                by_name[r.track.entity] = r.track
            else:
                regions.append(r.region)
        for t in spoken:
            by_name[t.entity] = t
        for c in claims if self._whom else ():
            whom = self._whom.get(c.text)
            if whom is not None:
                by_name[whom] = self._by_id[whom]
        return Pair(
            feed=w.feed, video=w.video, start_us=w.start_us, end_us=w.end_us, width=w.size[1], height=w.size[0],
            rate=w.rate, group=GROUP_OF[REGION in question, timed], family=family, form=form,
            question=upper(question), answer=answer, options=options or [], regions=regions,
            names=[Name(t.entity, t.expression) for t in by_name.values()], claims=claims,
            evidence=evidence(self.clip, self._by_id, claims, regions, by_name.values()),
        )  # fmt: skip

    def choice(
        self, family: str, question: str, right: tuple[str, Claim], wrong: Sequence[tuple[str, Claim]],
        refs: Sequence[Ref], *, timed: bool, spoken: Sequence[Track] = (), extra: Sequence[Claim] = (),
    ) -> Unit:  # fmt: skip
        """A multiple-choice pair of up to four options; none where there is no wrong one."""
        by_text = {text: claim for text, claim in reversed(wrong) if text != right[0]}
        if not by_text:
            return ()
        mixed = self.shuffled([right, *self.shuffled(by_text.items())[:3]])
        options = [text for text, _ in mixed]
        letters = [f"({'ABCD'[i]}) {upper(text)}" for i, text in enumerate(options)]
        right_at = options.index(right[0])
        claims = [c for _, c in mixed] + list(extra)
        text = f"{question}\n" + "\n".join(letters)
        pair = self.pair(
            family, "choice", text, letters[right_at], claims, refs, timed=timed, options=options, spoken=spoken
        )
        return (pair,)


def does(t: Track, text: str, at_us: int, *, holds: bool = True) -> Claim:
    """That an entity does something at a moment."""
    return Claim(kind="does", holds=holds, entity=t.entity, text=text, start_us=at_us, end_us=at_us)
