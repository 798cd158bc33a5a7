"""No emitted pair is false, on random streams; yes is as often right as no; one seed, one dataset."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instruct.clip import Window
from instruct.clipper import Clipper
from instruct.facts import Facts
from instruct.make import Options, Tally, pairs_of
from instruct.pair import Pair
from instruct.verify import fault
from tests.instruct.streams import STEP_US, Told, streams
from tests.instruct.truth import true_of

KEEP_ALL = Options(mix=None, per_minute=100_000, cap=10_000)


def clips(told: Told, least_us: int = 4_000_000) -> list[Window]:
    clipper = Clipper("feed", least_us)
    return [w for event in told.events for w in clipper.push(event)]


def made(told: Told, options: Options, tally: Tally | None = None) -> list[tuple[Window, Pair]]:
    tally = tally or Tally()
    return [(w, p) for w in clips(told) for unit in pairs_of(w, options, tally) for p in unit]


@pytest.mark.slow
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(streams(), st.integers(0, 3))
def test_no_emitted_pair_is_false(told: Told, seed: int) -> None:
    for w, pair in made(told, Options(seed=seed, mix=None, per_minute=100_000, cap=10_000)):
        for claim in pair.claims:
            assert true_of(told, claim, w.start_us // STEP_US, w.end_us // STEP_US), (pair, claim)


@pytest.mark.slow
@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(streams())
def test_yes_is_as_often_right_as_no(told: Told) -> None:
    for options in (Options(), KEEP_ALL):
        said = Counter[tuple[str, str, str]]()
        for _, p in made(told, options):
            if p.form == "yesno":
                said[p.family, p.group, p.answer.partition(",")[0]] += 1
        assert all(said[f, g, "Yes"] == said[f, g, "No"] for f, g, _ in said)


@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(streams(), st.integers(0, 9))
def test_no_two_pairs_of_a_clip_ask_nearly_the_same(told: Told, seed: int) -> None:
    for w in clips(told):
        asked: set[object] = set()
        for unit in pairs_of(w, replace(KEEP_ALL, seed=seed), Tally()):
            same = {_asked(p) for p in unit}
            assert not same & asked, unit
            asked |= same


def _asked(p: Pair) -> object:
    """Family, form, group and claims to half a second."""
    claims = [(c.kind, c.holds, c.entity, c.other, c.text, c.n, c.start_us // 500_000, c.end_us // 500_000,
               len(c.spans)) for c in p.claims]  # fmt: skip
    return p.family, p.form, p.group, frozenset(claims)


@settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(streams(), st.integers(0, 9))
def test_one_seed_makes_the_same_bytes(told: Told, seed: int) -> None:
    once, again = ([msgspec.json.encode(p) for _, p in made(told, Options(seed=seed))] for _ in range(2))
    assert once == again


@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(streams(), st.randoms(use_true_random=False))
def test_a_pair_that_was_tampered_with_is_refused(told: Told, rng: st.DataObject) -> None:
    for w in clips(told):
        facts = Facts(w.events, w.start_us, w.end_us, w.size[1])
        pairs = [p for unit in pairs_of(w, KEEP_ALL, Tally()) for p in unit]
        for p in pairs[:40]:
            assert not fault(facts, p)
            for bad in tampered(p):
                assert fault(facts, bad), bad


def tampered(p: Pair) -> list[Pair]:
    """False versions of a true pair."""
    change = msgspec.structs.replace
    out = [change(p, evidence=["feed/9/9"]), change(p, evidence=[])]
    first = p.claims[0]
    if p.form == "yesno":
        swap = {"Yes": "No", "No": "Yes"}
        head, _, rest = p.answer.partition(",")
        out.append(change(p, answer=f"{swap[head]},{rest}"))
        out.append(change(p, claims=[change(first, holds=not first.holds), *p.claims[1:]]))
    if p.form == "choice":
        right = [c.holds for c in p.claims[: len(p.options)]].index(True)
        other = (right + 1) % len(p.options)
        out.append(change(p, answer=f"({'ABCD'[other]}) {p.options[other]}"))
    if p.regions:
        moved = [change(r, pts_us=r.pts_us + 1) for r in p.regions]
        out.append(change(p, regions=moved))
        out.append(change(p, question=p.question.replace("<region>", "it")))
    if p.group in ("mask+time", "time"):
        wrong = {"mask+time": "mask", "time": "plain"}[p.group]
        out.append(change(p, group=wrong))
    for n in p.names:
        if first.kind != "called":
            swapped = p.question.replace(n.text, "the zebra"), p.answer.replace(n.text, "the zebra")
            out.append(change(p, question=swapped[0], answer=swapped[1].replace("The" + n.text[3:], "The zebra")))
            break
    return [b for b in out if b != p]


TRUE = "What is the dog doing at 00:02?"


@pytest.mark.parametrize(
    ("question", "answer", "why"),
    [
        (TRUE, "The dog is jumping at 00:02.", ""),
        ("What is the dog doing at 00:03?", "The dog is jumping at 00:02.", "time of the question"),
        (TRUE, "The dog is jumping at 00:07.", "time of the answer"),
        (TRUE, "The dog is sleeping at 00:02.", "answer"),
        ("What is the dog doing?", "The dog is jumping.", "time of the question"),
        ("What is the cat doing at 00:02?", "The cat is jumping at 00:02.", "name"),
    ],
)
def test_the_text_is_held_to_the_claim(question: str, answer: str, why: str) -> None:
    window, pair = a_jump()
    facts = Facts(window.events, window.start_us, window.end_us, window.size[1])
    assert fault(facts, msgspec.structs.replace(pair, question=question, answer=answer)) == why


def a_jump() -> tuple[Window, Pair]:
    """A dog that jumps for five seconds, and what is asked of it."""
    from instruct.pair import Claim, Name
    from tests.instruct.streams import Actor, _bodies

    box = (4, 4, 12, 12)
    told = Told(50, [Actor(1, "dog", "the dog", [box] * 50, ["jumps"] * 50)], [])
    from stream.events import Event

    told.events = [Event("feed", 0, n, body) for n, body in enumerate(_bodies(told, 10))]
    (window,) = clips(told)
    claim = Claim(kind="does", entity=1, text="jumps", start_us=2_000_000, end_us=2_000_000)
    evidence = [e.id for e in window.events if e.type == "action"]
    pair = Pair(
        feed="feed", video="made.mp4", start_us=0, end_us=5_000_000, width=48, height=24, rate="10/1", group="time",
        family="doing", form="open", question=TRUE, answer="", options=[], regions=[], names=[Name(1, "the dog")],
        claims=[claim], evidence=evidence,
    )  # fmt: skip
    return window, pair
