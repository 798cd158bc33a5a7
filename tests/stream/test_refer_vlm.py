"""The referrer by a vision model, against a scripted endpoint."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engines.chat import Chat, ChatError, Endpoint
from engines.crops import F32, U8
from stream.refer_vlm import LEAST, MOST, ask
from tests.chat_server import completion, serving

FRAME: U8 = np.full((120, 160, 3), 90, np.uint8)
BOX: F32 = np.array([10, 10, 40, 90], np.float32)


def meant(expression: int, *fits: tuple[int, float]) -> dict[str, Any]:
    return {"expression": expression, "fits": [{"number": n, "fit": f} for n, f in fits]}


def test_several_queries_share_a_question_and_entities_come_back_by_their_ids() -> None:
    with serving(completion({"meant": [meant(2, (1, 0.7)), meant(1, (2, 0.9))]})) as served:
        chat = Chat(Endpoint(served.url, "m"))
        found = ask(chat, [FRAME, FRAME], [{70: BOX}, {70: BOX, 900: BOX}], ["the girl", "who\nruns"])
    assert found == [{70: LEAST, 900: 0.9}, {70: 0.7, 900: LEAST}]
    text, *images = served.asked[0]["messages"][1]["content"]
    assert text["text"] == 'Frames: 2. Numbers: 1, 2. Expressions:\n1: "the girl"\n2: "who runs"'
    assert len(images) == 2


def test_a_query_that_is_left_out_has_no_opinion_and_one_that_means_nobody_has() -> None:
    with serving(completion({"meant": [meant(2)]})) as served:
        found = ask(Chat(Endpoint(served.url, "m")), [FRAME], [{5: BOX}], ["the girl", "the dog"])
    assert found == [{}, {5: LEAST}]


def test_odd_answers_are_held_within_bounds() -> None:
    answer = completion({"meant": [meant(1, (1, 7.0), (1, 0.5), (2, -3.0), (99, 1.0), (0, 1.0)), meant(-4, (1, 1.0))]})
    with serving(answer) as served:
        found = ask(Chat(Endpoint(served.url, "m")), [FRAME], [{5: BOX, 6: BOX}], ["the girl"])
    assert found == [{5: MOST, 6: LEAST}], "of two answers the first counts"


@pytest.mark.parametrize(
    ("frames", "entities", "texts"), [(0, 1, 1), (5, 1, 1), (1, 17, 1), (1, 0, 1), (1, 1, 0), (1, 1, 9)]
)
def test_more_than_a_question_holds_is_refused(frames: int, entities: int, texts: int) -> None:
    boxes = [dict.fromkeys(range(entities), BOX)] * frames
    with serving(completion({"meant": []})) as served:
        chat = Chat(Endpoint(served.url, "m"))
        with pytest.raises(ValueError, match="a question has 1 to 4 frames"):
            ask(chat, [FRAME] * frames, boxes, ["the dog"] * texts)
    assert served.asked == []


@pytest.mark.parametrize("answer", [{"meant": [{"expression": 1}]}, {"meant": [], "more": 1}, "no idea"])
def test_an_answer_off_the_schema_is_one_error(answer: object) -> None:
    with serving(completion(answer)) as served, pytest.raises(ChatError, match="as asked"):
        ask(Chat(Endpoint(served.url, "m")), [FRAME], [{5: BOX}], ["the girl"])
