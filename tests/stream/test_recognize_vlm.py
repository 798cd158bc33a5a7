"""The recogniser by a vision model, against a scripted endpoint."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engines.chat import Chat, ChatError, Endpoint
from engines.crops import F32, U8
from stream.recognize import Description
from stream.recognize_vlm import LONG_SIDE, ask, mark
from tests.chat_server import completion, serving


def frame(h: int = 120, w: int = 160) -> U8:
    return np.full((h, w, 3), 90, np.uint8)


def box(*xyxy: float) -> F32:
    return np.array(xyxy, np.float32)


def called(number: int, noun: str = "dog", expression: str = "the white dog", *attributes: str) -> dict[str, Any]:
    return {"number": number, "noun": noun, "expression": expression, "attributes": list(attributes)}


def test_entities_are_numbered_from_one_and_come_back_by_their_ids() -> None:
    things = [called(2, "Dog", " the white\n dog. ", "white", "running"), called(1, "girl", "the girl")]
    with serving(completion({"things": things})) as served:
        chat = Chat(Endpoint(served.url, "m"))
        boxes = [{70: box(1, 1, 50, 90)}, {70: box(2, 1, 50, 90), 900: box(60, 5, 90, 40)}]
        found = ask(chat, [frame(), frame()], boxes)
    girl, dog = Description("the girl", "girl", ()), Description("the white dog", "dog", ("white", "running"))
    assert list(found.items()) == [(70, girl), (900, dog)]
    text, *images = served.asked[0]["messages"][1]["content"]
    assert text["text"] == "Frames: 2. Numbers: 1, 2."
    assert len(images) == 2


def test_what_was_not_asked_or_says_nothing_is_left_out() -> None:
    things = [called(9), called(0), called(-1), called(1, "", "the dog"), called(1, "dog"), called(1, "cat")]
    with serving(completion({"things": things})) as served:
        found = ask(Chat(Endpoint(served.url, "m")), [frame()], [{5: box(1, 1, 9, 9), 6: box(3, 3, 8, 8)}])
    assert found == {5: Description("the white dog", "dog", ())}


def test_long_answers_are_cut() -> None:
    with serving(completion({"things": [called(1, "d" * 500, "e" * 5000, *["f" * 500] * 50)]})) as served:
        found = ask(Chat(Endpoint(served.url, "m")), [frame()], [{5: box(1, 1, 9, 9)}])
    assert (len(found[5].noun), len(found[5].expression)) == (40, 160)
    assert [len(a) for a in found[5].attributes] == [40] * 8


def test_nothing_to_ask_asks_nothing_and_too_much_is_refused() -> None:
    with serving(completion({"things": []})) as served:
        chat = Chat(Endpoint(served.url, "m"))
        assert ask(chat, [frame()], [{}]) == {}
        for frames, boxes in (([], []), ([frame()] * 5, [{1: box(0, 0, 1, 1)}] * 5), ([frame()], [])):
            with pytest.raises(ValueError, match="1 to 4 frames"):
                ask(chat, frames, boxes)
        with pytest.raises(ValueError, match="16 entities"):
            ask(chat, [frame()], [{i: box(0, 0, 1, 1) for i in range(17)}])
    assert served.asked == []


def test_an_answer_off_the_schema_is_one_error() -> None:
    with serving(completion({"things": [{"number": "one"}]})) as served, pytest.raises(ChatError, match="as asked"):
        ask(Chat(Endpoint(served.url, "m")), [frame()], [{5: box(1, 1, 9, 9)}])


@pytest.mark.parametrize("at", [(10, 10, 60, 60), (-50, -50, 500, 500), (159, 119, 159, 119), (np.nan, 0, np.inf, 9)])
def test_boxes_are_drawn_wherever_they_lie(at: tuple[float, ...]) -> None:
    before = frame()
    after = mark(before, {1: box(*at)})
    assert after.shape == before.shape
    assert (after != before).any()
    assert (before == 90).all()


def test_large_frames_are_shown_smaller() -> None:
    assert mark(frame(2160, 3840), {1: box(100, 100, 3000, 2000)}).shape == (576, LONG_SIDE, 3)
    assert mark(frame(1, 5000), {}).shape == (1, LONG_SIDE, 3)
