"""When models are asked, against a scripted endpoint: once, within a budget, and not while they fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from engines.chat import Budget, Chat, Endpoint
from engines.crops import U8
from engines.errors import UserError
from stream import ask, refer
from stream.ask import Asker, Keyframes, Models
from stream.entity import Entity, Traits
from stream.events import Body, EntityDescribed, Error, QueryBound
from stream.parse import parse
from stream.state import FeedState, restore, snapshot
from tests.chat_server import Reply, Served, completion, failure, serving

S = 1_000_000
FRAME: U8 = np.full((90, 160, 3), 90, np.uint8)
GIRL = {"meant": [{"expression": 1, "fits": [{"number": 2, "fit": 0.9}]}]}
THINGS = {"things": [{"number": 2, "noun": "girl", "attributes": [], "expression": "the girl"}]}


def answers(asked: dict[str, Any]) -> Reply:
    return completion(GIRL if kind(asked) == "Meanings" else THINGS)


def kind(asked: dict[str, Any]) -> str:
    return str(asked["response_format"]["json_schema"]["name"])


def kinds(served: Served) -> list[str]:
    return [kind(a) for a in served.asked]


def feed(*texts: str, people: Sequence[int] = (1, 2), looks: int = 6) -> FeedState:
    """A feed that has seen these people and been asked these queries."""
    state = FeedState("door")
    for n, text in enumerate(texts):
        refer.add(state.refer, f"q{n}", text)
    look(state, people, looks)
    return state


def look(state: FeedState, people: Sequence[int], looks: int = 6) -> None:
    entities = {e.id: e for e in state.follow.entities}
    for i in people:
        e = entities.setdefault(i, Entity(i, "person", "visible", 0, 0, np.zeros(4, np.float32)))
        e.traits = Traits(x=0.1 * i, height=0.5, bottom=0.9, sights=e.traits.sights + looks)
    state.follow.entities = list(entities.values())
    for _ in range(looks):
        refer.look(state.refer, {i: ("person", entities[i].traits) for i in people}, set(entities))


def step(asker: Asker, state: FeedState, at_s: float) -> list[Body]:
    """The end of a chunk in which everybody was seen; the frame differs from chunk to chunk."""
    shown, known = Keyframes(), {e.id: e for e in state.follow.entities}
    frame = FRAME + np.uint8(at_s % 100)
    shown.offer(frame, {i: np.array([10 * i, 5, 10 * i + 8, 60], np.float32) for i in known}, round(at_s * S))
    return asker.step(state.ask, state.refer, known, shown, round(at_s * S))


def asker(served: Served, **options: Any) -> Asker:
    return Asker(Chat(Endpoint(served.url, "m"), **options), Chat(Endpoint(served.url, "m"), **options))


def test_an_answer_is_taken_up_at_once_and_asked_for_no_more() -> None:
    state = feed("the girl")
    with serving(answers) as served:
        events = step(asker(served), state, 1)
        assert [e.entities for e in events if isinstance(e, QueryBound)] == [[2]]
        assert [(e.entity, e.source) for e in events if isinstance(e, EntityDescribed)] == [(2, "vlm")]
        assert kinds(served) == ["Meanings", "Answer"]
        state = restore(snapshot(state))  # a worker that goes on
        assert [e for at_s in (2, 3, 5, 9) for e in step(asker(served), state, at_s)] == []
        assert kinds(served) == ["Meanings", "Answer"]


def test_once_more_after_a_while_and_never_again() -> None:
    state = feed("the girl")
    with serving(answers) as served:
        one = asker(served)
        for at_s in range(1, 120):
            step(one, state, at_s)
    assert kinds(served).count("Meanings") == 2
    assert kinds(served).count("Answer") == 4, "nothing was said of the first: every 30 s"


def test_who_comes_later_is_asked_about_beside_the_others() -> None:
    state = feed("the girl")
    with serving(answers) as served:
        one = asker(served)
        step(one, state, 1)
        look(state, (1, 2, 3))
        step(one, state, 4)
        asked = [a for a in served.asked if kind(a) == "Meanings"]
    assert "Numbers: 1, 2, 3." in asked[1]["messages"][1]["content"][0]["text"]
    assert state.refer.queries[0].opinions["vlm"] == {1: 0.05, 2: 0.9, 3: 0.05}
    assert {i: a.at_us for i, a in state.refer.queries[0].asked.items()} == {1: S, 2: S, 3: 4 * S}


def test_what_is_measured_or_seen_too_briefly_is_not_asked() -> None:
    with serving(answers) as served:
        one = asker(served)
        step(one, feed("the person on the left"), 1)
        step(one, feed("the dog"), 1)
        assert "Meanings" not in kinds(served)
        count = len(served.asked)
        step(one, feed("the girl", looks=2), 1)
        assert len(served.asked) == count


def test_what_was_answered_before_names_got_mixed_up_is_asked_anew() -> None:
    state = feed("the girl")
    with serving(answers) as served:
        one = asker(served)
        step(one, state, 1)
        refer.doubt(state.refer, {1, 2})
        ask.doubt(state.ask, {1, 2})
        assert state.refer.queries[0].opinions == {"vlm": {}}
        step(one, state, 4)
    assert kinds(served) == ["Meanings", "Answer"] * 2


def test_a_failing_endpoint_is_told_once_and_left_alone_for_longer_and_longer() -> None:
    state = feed("the girl")
    with serving(failure(400)) as served:
        one = asker(served)
        told = {at_s: events for at_s in range(1, 200) if (events := step(one, state, at_s))}
        assert list(told) == [1]
        (error,) = told[1]
        assert isinstance(error, Error)
        assert (error.stage, error.code, error.seq) == ("refer", "vlm", None)
        assert "400" in error.message
        # after 5, 10, 20, 40 and from then on 60 s
        assert len(served.asked) == 7
        state = restore(snapshot(state))
        assert step(one, state, 200) == []
        assert len(served.asked) == 7, "a worker that goes on keeps to the pause"
    with serving(answers) as served:
        assert any(isinstance(e, QueryBound) for e in step(asker(served), state, 400))
    assert state.ask.vlm.told == []


def test_a_silent_endpoint_costs_one_deadline_a_pause() -> None:
    state = feed("the girl")
    with serving(Reply(b"", wait_s=0.6)) as served:
        one = asker(served, deadline_s=0.3)
        (error,) = step(one, state, 1)
        assert isinstance(error, Error)
        assert "within 0.3 s" in error.message
        assert step(one, state, 4) == []
        assert len(served.asked) == 1


def test_a_spent_budget_is_told_once_and_nothing_more_is_sent() -> None:
    state = feed("the girl")
    with serving(answers) as served:
        one = asker(served, budget=Budget(1, 10**9))
        events = [e for at_s in range(1, 100) for e in step(one, state, at_s)]
        assert len(served.asked) == 1
    (error,) = (e for e in events if isinstance(e, Error))
    assert (error.stage, error.message) == ("recognise", "the budget of 1 questions is spent")


def test_reading_falls_back_and_is_left_alone_too() -> None:
    state = FeedState("door")
    with serving(failure(400)) as served:
        one = asker(served)
        reading, (error,) = one.read(state.ask, "the dog", S)
        assert reading is None
        assert isinstance(error, Error)
        assert (error.stage, error.code) == ("read", "llm")
        assert one.read(state.ask, "the cat", 2 * S) == (None, [])
        with pytest.raises(UserError, match="is understood"):
            one.read(state.ask, "zorp zorp", 3 * S)
        assert len(served.asked) == 1
        with pytest.raises(UserError, match=r"is understood.*400"):
            one.read(state.ask, "zorp zorp", 30 * S)
        with pytest.raises(UserError, match="is understood"):
            one.read(state.ask, "zorp zorp", 31 * S)
        assert len(served.asked) == 2


def test_a_reading_stays_with_its_query() -> None:
    state = FeedState("door")
    reading = parse("the dog next to the person in red")
    refer.add(state.refer, "a", "zorp zorp", reading=reading)
    (query,) = restore(snapshot(state)).refer.queries
    assert query.expression == reading


def test_the_frames_that_show_most_are_kept() -> None:
    shown, box = Keyframes(), np.zeros(4, np.float32)
    for n, count in enumerate((1, 0, 2, 1, 3, 2, 1)):
        shown.offer(np.full((4, 4, 3), n, np.uint8), dict.fromkeys(range(count), box), n)
    frames, boxes = shown.of({0, 1, 2})
    assert [int(f[0, 0, 0]) for f in frames] == [2, 3, 4, 5]
    assert [len(b) for b in boxes] == [2, 1, 3, 2]
    assert len(shown.of({2})[0]) == 1


def test_feed_started_tells_the_address_without_its_secrets() -> None:
    chat = Chat(Endpoint("https://me:secret@host:8000/v1", "m"))
    assert [(u.name, u.role, u.backend) for u in Models(chat, None).used()] == [("m", "refer", "https://host:8000/v1")]
