"""The transcriber by a vision model, against a scripted endpoint: behaviour in the third person, or none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engines.chat import Chat, ChatError, Endpoint
from engines.crops import F32, U8
from stream.ask import Asker, Keyframes
from stream.entity import Entity, Traits
from stream.events import Action, Body, Error
from stream.refer import ReferState
from stream.state import FeedState, restore, snapshot
from stream.transcribe_vlm import ask, third_person
from tests.chat_server import Reply, completion, failure, serving

FRAME: U8 = np.full((120, 160, 3), 90, np.uint8)
S = 1_000_000


def box(*xyxy: float) -> F32:
    return np.array(xyxy, np.float32)


def does(number: int, behaviour: str | None) -> dict[str, Any]:
    return {"number": number, "behaviour": behaviour}


def test_each_does_what_is_said_of_its_number_and_none_where_nothing_is() -> None:
    things = [does(2, "jumps on the bed"), does(1, None), does(9, "flies"), does(2, "sleeps")]
    with serving(completion({"things": things})) as served:
        found = ask(Chat(Endpoint(served.url, "m")), [FRAME], [{5: box(1, 1, 9, 9), 70: box(5, 5, 50, 90)}])
    assert found == {5: None, 70: "jumps on the bed"}


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("jumps on the bed", "jumps on the bed"),
        ("Hands the ball\n to the dog.", "hands the ball to the dog"),
        ("jumping", "is jumping"),
        ("jump", ""),
        ("", ""),
        ("the girl jumps", ""),
        ("stands in box 2", ""),
        ("passes\x00 by", "passes by"),
        ("123", ""),
        ("w" * 4000 + "s", ""),
    ],
)
def test_third_person(said: str, text: str) -> None:
    assert third_person(said) == text


def test_too_much_is_refused_and_an_odd_answer_is_one_error() -> None:
    with serving(completion({"things": [{"number": 1}]})) as served:
        chat = Chat(Endpoint(served.url, "m"))
        with pytest.raises(ValueError, match="1 to 4 frames"):
            ask(chat, [], [])
        with pytest.raises(ChatError, match="as asked"):
            ask(chat, [FRAME], [{5: box(1, 1, 9, 9)}])


def people() -> dict[int, Entity]:
    made = {i: Entity(i, "person", "visible", 0, 0, np.zeros(4, np.float32)) for i in (1, 2)}
    for e in made.values():
        e.traits = Traits(sights=9)
    return made


def chunk(asker: Asker, state: FeedState, at_s: float, boxes: tuple[dict[int, F32], ...]) -> list[Body]:
    shown = Keyframes()
    for n, some in enumerate(boxes):
        shown.offer(FRAME, some, round((at_s + n / 2) * S))
    # both were described, so that only actions are asked for
    return asker.step(state.ask, ReferState(), people(), shown, round((at_s + 1) * S), segment=3)


def model(asked: dict[str, Any]) -> Reply:
    if asked["response_format"]["json_schema"]["name"] == "Answer" and "behaviour" in str(asked):
        return completion({"things": [does(1, "waves"), does(2, "sits down")]})
    return completion({"things": []})


BOTH = {1: box(1, 1, 9, 9), 2: box(20, 1, 29, 9)}


def test_actions_span_the_frames_that_show_them_and_are_asked_for_now_and_then() -> None:
    state = FeedState("door")
    with serving(model) as served:
        asker = Asker(Chat(Endpoint(served.url, "m")), None, actions=True)
        told = chunk(asker, state, 10, (BOTH, {1: BOTH[1]}, BOTH))
        actions = [b for b in told if isinstance(b, Action)]
        assert [(a.entity, a.text, a.source, a.segment, a.start_us, a.end_us) for a in actions] == [
            (1, "waves", "vlm", 3, 10 * S, 11 * S), (2, "sits down", "vlm", 3, 10 * S, 11 * S),
        ]  # fmt: skip
        state = restore(snapshot(state))
        assert [b for b in chunk(asker, state, 12, (BOTH, BOTH)) if isinstance(b, Action)] == []
        assert len([b for b in chunk(asker, state, 16, (BOTH, BOTH)) if isinstance(b, Action)]) == 2


def test_one_frame_shows_no_action_and_without_the_option_nobody_asks() -> None:
    with serving(model) as served:
        asker = Asker(Chat(Endpoint(served.url, "m")), None, actions=True)
        assert [b for b in chunk(asker, FeedState("door"), 10, (BOTH,)) if isinstance(b, Action)] == []
        asker = Asker(Chat(Endpoint(served.url, "m")), None)
        assert [b for b in chunk(asker, FeedState("door"), 10, (BOTH, BOTH)) if isinstance(b, Action)] == []
    assert not [a for a in served.asked if "behaviour" in str(a)]


def test_a_failing_endpoint_is_told_once() -> None:
    state = FeedState("door")
    with serving(failure(400)) as served:
        asker = Asker(Chat(Endpoint(served.url, "m"), deadline_s=2), None, actions=True)
        errors = [b for s in (10, 11, 30) for b in chunk(asker, state, s, (BOTH, BOTH)) if isinstance(b, Error)]
    assert len(errors) == 1
    assert errors[0].code == "vlm"
