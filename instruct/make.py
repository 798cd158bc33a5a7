"""A clip -> its pairs: every family's plans, chosen among by the mix, written, confirmed by the checker, numbered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from random import Random

from msgspec.structs import replace

from instruct.clip import Window, clip_of
from instruct.compose import Composer, Gates
from instruct.facts import Facts
from instruct.families import FAMILIES
from instruct.pair import Group, Pair, Unit
from instruct.plan import Plan, near
from instruct.select import STREFER_MIX, distinct, sampled
from instruct.verify import fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How pairs are drawn. per_minute: most pairs of a minute of video; cap: most of a family in one group and clip."""

    seed: int = 0
    mix: Mapping[Group, float] | None = field(default_factory=lambda: STREFER_MIX)
    per_minute: int = 600
    cap: int = 40
    gates: Gates = field(default_factory=Gates)


@dataclass(slots=True)
class Tally:
    """What came of it all: pairs kept by group, family, form and answer; candidates rejected by reason."""

    kept: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    drawn: int = 0
    clips: int = 0
    video_us: int = 0
    feeds: set[str] = field(default_factory=set)

    def take(self, pair: Pair) -> None:
        self.kept[pair.group, pair.family, pair.form] += 1
        if pair.form == "yesno":
            self.said[pair.answer.partition(",")[0]] += 1

    @property
    def pairs(self) -> int:
        return self.kept.total()


def pairs_of(window: Window, options: Options, tally: Tally) -> list[Unit]:
    """The clip's pairs, the same for the same events, options and seed."""
    if 0 in window.size:  # its feed.started was damaged, or the state that held it is of another version
        tally.rejected["clip of a feed whose picture's size is not known"] += 1
        return []
    clip = clip_of(window)
    facts = Facts(window.events, window.start_us, window.end_us, window.size[1])
    tally.clips += 1
    tally.video_us += window.end_us - window.start_us
    tally.feeds.add(window.feed)

    composer = Composer(clip, Random(), options.gates, tally.rejected)
    rngs = {family: _rng(options.seed, window, family) for family in FAMILIES}  # a new family changes no other's draws

    def planned() -> Iterator[Plan]:
        for family, plans in FAMILIES.items():
            composer.rng = rngs[family]
            for plan in plans(composer):
                tally.drawn += plan.pairs
                yield plan

    twins: set[object] = set()

    def written(plan: Plan) -> Unit:
        composer.rng = rngs[plan.family]
        unit = plan.write()
        for twin in unit[1:]:  # what it denies was drawn just now
            key = _key(twin)
            if key in twins:
                tally.rejected["near-duplicate"] += len(unit)
                return ()
            twins.add(key)
        for pair in unit:
            try:
                wrong = fault(facts, pair)
            except ValueError:  # runs that do not fill their mask
                wrong = "a damaged mask"
            if wrong:
                tally.rejected[f"not confirmed: {wrong}"] += len(unit)
                return ()
        return unit

    minutes = (window.end_us - window.start_us) / 60e6
    budget = max(20, round(options.per_minute * minutes))
    units = sampled(
        distinct(planned(), tally.rejected), _rng(options.seed, window, "select"), tally.rejected, cap=options.cap,
        budget=budget, mix=options.mix, written=written,
    )  # fmt: skip
    return _numbered(window, units)


def _key(p: Pair) -> object:
    """The same for twins that ask nearly the same."""
    claims = [(c.kind, c.holds, c.entity, c.other, c.text, c.n, near(c.start_us), near(c.end_us)) for c in p.claims]
    return p.family, p.group, tuple(claims)


def _numbered(window: Window, units: list[Unit]) -> list[Unit]:
    place, numbers = f"{window.feed}/{window.start_us}/", count()
    return [tuple([replace(p, id=f"{place}{next(numbers)}") for p in unit]) for unit in units]


def _rng(seed: int, window: Window, what: str) -> Random:
    return Random(f"{seed}/{window.feed}/{window.start_us}/{what}")
