"""The chat client against an endpoint that behaves, and one that does not."""

from __future__ import annotations

import base64
import json
import socket
import sys
import time
from typing import Literal

import cv2
import msgspec
import numpy as np
import pytest

from engines.chat import Budget, BudgetError, Chat, ChatError, Endpoint
from engines.errors import UserError
from tests.chat_server import Reply, Served, completion, failure, serving


class Animals(msgspec.Struct, forbid_unknown_fields=True):
    kind: Literal["dog", "cat"]
    count: int


RIGHT = completion({"kind": "dog", "count": 2})


def chat(served: Served, *, deadline_s: float = 10.0, budget: Budget | None = None, cached: int = 256) -> Chat:
    return Chat(Endpoint(served.url, "m", "secret"), deadline_s=deadline_s, budget=budget, cached=cached)


def test_text_and_images_go_in_and_a_typed_answer_comes_out() -> None:
    red = np.zeros((8, 16, 3), np.uint8)
    red[..., 0] = 255
    with serving(RIGHT) as served:
        assert chat(served).ask("What?", Animals, system="Be brief.", images=[red]) == Animals("dog", 2)
    (asked,), (headers,) = served.asked, served.headers
    assert headers["authorization"] == "Bearer secret"
    assert "openai-organization" not in headers or not headers["openai-organization"]
    assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
    text, image = asked["messages"][1]["content"]
    assert text == {"type": "text", "text": "What?"}
    coded = base64.b64decode(image["image_url"]["url"].removeprefix("data:image/jpeg;base64,"))
    b, g, r = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_COLOR)[4, 8]
    assert (r > 240, g < 20, b < 20) == (True, True, True)
    schema = asked["response_format"]["json_schema"]
    assert (schema["name"], schema["strict"], schema["schema"]["type"]) == ("Animals", True, "object")
    assert schema["schema"]["required"] == ["kind", "count"]
    assert schema["schema"]["additionalProperties"] is False


@pytest.mark.slow
def test_a_request_that_is_sent_again_is_told() -> None:
    told: list[int] = []
    with serving(failure(503), failure(429), RIGHT) as served:
        Chat(Endpoint(served.url, "m"), deadline_s=10, again=lambda: told.append(len(served.asked))).ask("?", Animals)
    assert told == [1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("bad", [failure(429), failure(500), failure(503, retry_after="0.1"), Reply(b"{", cut=100)])
def test_what_may_pass_is_asked_again(bad: Reply) -> None:
    with serving(bad, RIGHT) as served:
        assert chat(served).ask("What?", Animals).count == 2
    assert len(served.asked) == 2


@pytest.mark.slow
def test_a_wait_that_is_told_is_kept() -> None:
    with serving(failure(429, retry_after="1"), RIGHT) as served:
        begin = time.monotonic()
        chat(served).ask("What?", Animals)
        assert time.monotonic() - begin >= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bad", "cause"),
    [
        (failure(429), "within 2 s (it says 429"),
        (failure(500), "within 2 s (it says 500"),
        (failure(503, retry_after="60"), "within 2 s (it says 503"),
        (Reply(RIGHT.body, wait_s=6), "within 2 s (it is silent"),
        (Reply(RIGHT.body, drip_s=0.5), "within 2 s (it is silent"),
        (Reply(RIGHT.body[:20], cut=500), "within 2 s (Connection error"),
    ],
)
def test_the_deadline_holds_over_all_retries(bad: Reply, cause: str) -> None:
    with serving(bad) as served:
        begin = time.monotonic()
        with pytest.raises(ChatError) as caught:
            chat(served, deadline_s=2).ask("What?", Animals)
        assert time.monotonic() - begin < 5  # on a machine with other work
    assert cause in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "cause"),
    [
        (failure(401), "it says 401"),
        (failure(404), "it says 404"),
        (failure(400), "failed with 400"),
        (completion("a dog"), "did not answer as asked"),
        (completion({"kind": "zebu", "count": 2}), "did not answer as asked"),
        (completion({"kind": "dog"}), "did not answer as asked"),
        (completion({"kind": "dog", "count": 2, "more": 1}), "did not answer as asked"),
        (completion(""), "gave no answer"),
        (completion('{"kind": "do', reason="length"), "cut off at 1024 tokens"),
        (Reply(b"<html>"), "does not speak the OpenAI protocol"),
        (Reply(b'{"choices": []}'), "gave no answer"),
        (Reply(b"\xff\xfe"), "does not speak the OpenAI protocol"),
        (Reply(b'{"x":' + b"[" * 200_000), "does not speak the OpenAI protocol"),
        (Reply(RIGHT.body.replace(b"dog", b"\xff\xfe")), "not"),
        (completion('{"kind":' + "[" * 200_000), "did not answer as asked"),
        (Reply(RIGHT.body + b" " * (3 << 20)), "sends more than 2 MB"),
        (Reply(RIGHT.body, headers={"content-type": "text/html"}), ""),
    ],
)
def test_what_will_not_pass_is_told_at_once(bad: Reply, cause: str) -> None:
    with serving(bad) as served:
        if not cause:
            assert chat(served).ask("What?", Animals).count == 2
            return
        with pytest.raises(ChatError) as caught:
            chat(served).ask("What?", Animals)
    assert cause in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 350
    assert len(served.asked) == 1


def test_the_key_is_in_no_error() -> None:
    """Servers quote it when they refuse it."""
    body = json.dumps({"error": {"message": "no such key: Bearer sk-secret", "type": "x"}}).encode()
    with serving(Reply(body, 401)) as served, pytest.raises(ChatError, match=r"no such key: Bearer \*\*\*"):
        Chat(Endpoint(served.url, "m", "sk-secret")).ask("What?", Animals)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://127.0.0.1:notaport/v1", ""),
        ("http://127.0.0.1:99999/v1", ""),
        ("http:///v1", ""),
        ("http://host/v1?api_key=secret", ""),
        ("http://host/v1#part", ""),
        ("http://host/v1", "ключ"),
        ("http://host/v1", "two\nlines"),
    ],
)
def test_an_address_or_key_that_cannot_be_is_told_before_anything_is_asked(url: str, key: str) -> None:
    with pytest.raises(UserError) as caught:
        Endpoint(url, "m", key)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.slow
def test_nobody_listens() -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{s.getsockname()[1]}/v1"
    with pytest.raises(ChatError, match="gave no answer within 1 s"):
        Chat(Endpoint(closed, "m"), deadline_s=1).ask("What?", Animals)


def test_the_budget_of_questions() -> None:
    with serving(RIGHT) as served:
        asked = chat(served, budget=Budget(questions=2, tokens=1000))
        asked.ask("one", Animals)
        asked.ask("two", Animals)
        asked.ask("one", Animals)  # known already
        with pytest.raises(BudgetError, match="2 questions"):
            asked.ask("three", Animals)
    assert len(served.asked) == 2


def test_the_budget_of_tokens_counts_wrong_answers_too() -> None:
    with serving(completion("no", tokens=60)) as served:
        budget = Budget(questions=10, tokens=100)
        asked = chat(served, budget=budget)
        for text in ("one", "two"):
            with pytest.raises(ChatError, match="did not answer"):
                asked.ask(text, Animals)
        with pytest.raises(BudgetError, match="120 were used"):
            asked.ask("three", Animals)
    assert budget == Budget(questions=10, tokens=100, asked=2, used=120)


def test_answers_are_kept_but_not_for_ever() -> None:
    with serving(RIGHT) as served:
        asked = chat(served, cached=2)
        for text in ("one", "two", "one", "three", "one", "two"):
            asked.ask(text, Animals)
    assert [a["messages"][0]["content"] for a in served.asked] == ["one", "two", "three", "two"]


def test_failures_are_not_kept() -> None:
    with serving(completion("no"), RIGHT) as served:
        asked = chat(served)
        with pytest.raises(ChatError):
            asked.ask("one", Animals)
        assert asked.ask("one", Animals).count == 2


def test_the_endpoint_comes_from_named_variables() -> None:
    environ = {"URL": "http://host/v1", "MODEL": "m", "KEY": "secret"}
    endpoint = Endpoint.of(environ, "URL", "MODEL", "KEY")
    assert (endpoint.base_url, endpoint.model, endpoint.key) == ("http://host/v1", "m", "secret")
    assert "secret" not in repr(endpoint)
    assert Endpoint.of(environ, "URL", "MODEL").key == ""
    with pytest.raises(UserError, match="TOKEN is not set"):
        Endpoint.of(environ, "URL", "MODEL", "TOKEN")
    with pytest.raises(UserError, match="no http or https address"):
        Endpoint("file:///etc", "m")


def test_a_missing_package_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(UserError, match=r"pip install '\.\[vlm\]'"):
        Chat(Endpoint("http://host/v1", "m"))
