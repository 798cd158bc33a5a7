"""What all families share: how an entity is referred to, which moments are asked about, how a pair is put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

from instruct.clip import Act, Clip, Track
from instruct.pair import REGION, Claim, Form, Group, Name, Pair, Region, Spans, Unit
from instruct.say import Times, upper


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


@dataclass(frozen=True, slots=True)
class Ref:
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
        self.tracks = [t for t in clip.tracks if self._worth(t)]
        for t in self.tracks:
            if t.ambiguous:
                rejected[t.ambiguous] += 1
        self._by_id = {t.entity: t for t in clip.tracks}
        self._whom = {a.text: a.other for t in clip.tracks for a in t.acts if a.other is not None}

    def _worth(self, t: Track) -> bool:
        if t.seen_us < self.gates.least_seen_us:
            self._rejected["entity seen too briefly"] += 1
            return False
        return True

    def acts(self, t: Track) -> list[Act]:
        """An entity's actions that can be put into words: whom they name is called so here, and nobody else is."""
        return [a for a in t.acts if a.other is None or self._names(a)]

    def _names(self, act: Act) -> bool:
        whom = self._by_id.get(act.other or 0)
        return whom is not None and not whom.ambiguous and act.text.endswith(f" {whom.expression}")

    def times(self) -> Times:
        return Times(self.clip.window.start_us, self.rng)

    def refs(self, t: Track) -> list[Ref]:
        """The ways to refer to an entity that are clear here: by mask, by expression, both or none."""
        return [r for r in (self.masked(t), self.named(t)) if r is not None]

    def masked(self, t: Track) -> Ref | None:
        fit = self._fit.get(t.entity)
        if fit is None:
            fit = self._fit[t.entity] = self._fit_frames(t)
        if not fit:
            return None
        f = t.frames[self.rng.choice(fit)]
        region = Region(t.entity, f.pts_us, f.rle, f.bbox)
        asked = self.rng.choice((f"the {t.category} {REGION}", f"the {t.category} in {REGION}", REGION))
        return Ref(t, region, asked, f"the {t.category}")

    def _fit_frames(self, t: Track) -> list[int]:
        g = self.gates
        size = self.clip.window.size
        middle = sorted(f.area for f in t.frames)[len(t.frames) // 2]
        least = max(g.least_area * size[0] * size[1], g.least_visible * middle)
        fit: list[int] = []
        for i, f in enumerate(t.frames):
            if f.score < g.least_score:
                self._rejected["mask of a low score"] += 1
            elif f.area < least:
                self._rejected["mask too small or mostly hidden"] += 1
            else:
                fit.append(i)
        return fit

    def named(self, t: Track) -> Ref | None:
        return None if t.ambiguous else Ref(t, None, t.expression, t.expression)

    def instants(self, spans: Iterable[tuple[int, int]], n: int, margin_us: int | None = None) -> list[int]:
        """Up to `n` moments well inside the spans, on full seconds or tenths of the clip, in a drawn order."""
        margin = self.gates.margin_us if margin_us is None else margin_us
        origin = self.clip.window.start_us
        inner = [(s + margin, e - margin) for s, e in spans if e - s > 2 * margin]
        inner = [s for s in inner if not any(g[0] <= s[1] and s[0] <= g[1] for g in self.clip.gaps)]
        out: list[int] = []
        for _ in range(n if inner else 0):
            start, end = self.rng.choice(inner)
            unit = self.rng.choice((1_000_000, 100_000))
            low, high = -((origin - start) // unit), (end - origin) // unit
            if low > high:
                unit = 100_000
                low, high = -((origin - start) // unit), (end - origin) // unit
            if low <= high:
                at = origin + unit * self.rng.randint(low, high)
                if at not in out:
                    out.append(at)
        return out

    def away(self, t: Track) -> Spans:
        """When an entity is surely out of sight: between its stretches, by a margin that a lost mask does not fill."""
        w = self.clip.window
        ends = [w.start_us - 500_000, *(e for _, e in t.spans)]
        starts = [*(s for s, _ in t.spans), w.end_us + 500_000]
        return [(e + 500_000, s - 500_000) for e, s in zip(ends, starts, strict=True) if s - e > 1_500_000]

    def evidence(self, claims: Sequence[Claim]) -> list[str]:
        """Ids of the events that show the claims."""
        ids: dict[str, None] = {}
        by_id = {t.entity: t for t in self.clip.tracks}
        for c in claims:
            for entity in (c.entity, c.other):
                t = by_id.get(entity)
                if t is None:
                    continue
                if c.kind in ("does", "acts", "part"):
                    for a in t.acts:
                        if c.kind != "does" or (a.start_us <= c.end_us and c.start_us <= a.end_us):
                            ids[a.id] = None
                elif c.kind == "called":
                    ids[t.described] = None
                elif c.kind in ("stays", "lasts", "returns", "together", "before", "next"):
                    ids.update(dict.fromkeys(t.ids[t.at(s)] for span in t.spans for s in span))
                    ids.update(dict.fromkeys(i for _, i in (*t.exits, *t.returns)))
                if c.kind not in ("acts", "part", "called"):
                    ids[t.ids[t.at(c.start_us)]] = None
            if c.kind == "scenes":
                ids.update(dict.fromkeys(i for _, _, i in self.clip.segments))
            if c.kind == "count":
                ids.update((t.ids[t.at(c.start_us)], None) for t in self.clip.tracks if t.category == c.text)
        return list(ids)

    def pair(
        self, family: str, form: Form, question: str, answer: str, claims: list[Claim], refs: Sequence[Ref] = (), *,
        timed: bool, options: list[str] | None = None, spoken: Sequence[Track] = (),
    ) -> Pair:  # fmt: skip
        """A pair of any form. refs: in the order their regions stand in the text; spoken: entities that are called by
        their expressions in the text without being asked about; timed: whether the question tells a time."""
        w = self.clip.window
        regions = [r.region for r in refs if r.region is not None]
        by_name = [r.track for r in refs if r.region is None] + list(spoken)
        acted = [self._whom[c.text] for c in claims if c.kind in ("does", "acts", "part") and c.text in self._whom]
        by_name += [self._by_id[i] for i in acted if i is not None]
        names = {t.entity: Name(t.entity, t.expression) for t in by_name}
        masked = REGION in question
        group: Group = ("mask+time" if timed else "mask") if masked else "time" if timed else "plain"
        evidence = dict.fromkeys(self.evidence(claims))
        for r in regions:
            t = next(t for t in self.tracks if t.entity == r.entity)
            evidence[t.ids[t.at(r.pts_us)]] = None
        for t in by_name:
            evidence[t.described] = None
        return Pair(
            feed=w.feed, video=w.video, start_us=w.start_us, end_us=w.end_us, width=w.size[1], height=w.size[0],
            rate=w.rate, group=group, family=family, form=form, question=upper(question), answer=answer,
            options=options or [],
            regions=regions, names=list(names.values()), claims=claims, evidence=list(evidence),
        )  # fmt: skip

    def choice(
        self, family: str, question: str, right: tuple[str, Claim], wrong: Sequence[tuple[str, Claim]],
        refs: Sequence[Ref], *, timed: bool, spoken: Sequence[Track] = (), extra: Sequence[Claim] = (),
    ) -> Unit:  # fmt: skip
        """A multiple-choice pair of up to four options; none where there is no wrong one."""
        by_text: dict[str, tuple[str, Claim]] = {}
        for option in wrong:
            if option[0] != right[0]:
                by_text.setdefault(option[0], option)
        others = list(by_text.values())
        if not others:
            return ()
        mixed = [right, *self.rng.sample(others, min(3, len(others)))]
        self.rng.shuffle(mixed)
        options = [text for text, _ in mixed]
        letters = [f"({'ABCD'[i]}) {upper(text)}" for i, text in enumerate(options)]
        right_at = options.index(right[0])
        claims = [c for _, c in mixed] + list(extra)
        text = f"{question}\n" + "\n".join(letters)
        pair = self.pair(
            family, "choice", text, letters[right_at], claims, refs, timed=timed, options=options, spoken=spoken
        )
        return (pair,)
