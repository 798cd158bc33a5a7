"""`strefer annotate` with models behind endpoints: a local server that speaks the protocol, well and not at all."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engines.chat import Chat, Endpoint
from stream.ask import Models
from stream.cli import main
from stream.decode.pyav import PyAVDecoder
from stream.events import (
    Body,
    EntityDescribed,
    Error,
    FeedStarted,
    QueryAmbiguous,
    QueryBound,
    decode_line,
)
from stream.log.sqlite import SqliteLog
from stream.pipeline import Pipeline
from stream.runtime import settle
from stream.worker import Worker
from tests.chat_server import Reply, completion, serving
from tests.running import events_of, messages_of, model_folder, networks, post_queries, send_all

SCENE = "synthetic:two-people?seconds=5&size=320x180&fps=15"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREFER_MODELS", str(model_folder()))


def annotate(out: Path, query: str, *options: str) -> list[Body]:
    arguments = ["annotate", SCENE, "--out", str(out), "--max-chunk", "1.0", "--query", query, "--quiet", *options]
    assert main(arguments) == 0
    return [decode_line(line).body for line in (out / "annotations.jsonl").read_bytes().splitlines()]


def queries(events: Sequence[Body]) -> list[Body]:
    return [e for e in events if isinstance(e, QueryBound | QueryAmbiguous)]


def model(asked: dict[str, Any]) -> Reply:
    """It sees that number 2 is the girl, and knows what a zorp is: a person, the first from the left."""
    match asked["response_format"]["json_schema"]["name"]:
        case "Meanings":
            return completion({"meant": [{"expression": 1, "fits": [{"number": 2, "fit": 0.95}]}]})
        case "Answer":
            called = {"noun": "girl", "attributes": ["long hair"], "expression": "the girl with long hair"}
            return completion({"things": [{"number": 2, **called}]})
    noun = asked["messages"][1]["content"].split()[-1]
    said = {"noun": noun, "category": "person", "plural": False, "count": 0, "all": False, "other": False}
    return completion(
        {
            **said,
            "order": {"n": 1, "by": "left"} if noun == "zorp" else None,
            "attributes": [],
            "relations": [],
            "unknown": [],
        }
    )


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> list[Body]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREFER_MODELS", str(model_folder()))
        return annotate(tmp_path_factory.mktemp("without"), "the girl")


def test_the_vision_model_tells_whom_nothing_measured_tells(
    without: list[Body], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {type(e) for e in queries(without)} == {QueryAmbiguous}, "nobody can measure who is a girl"
    monkeypatch.setenv("STREFER_VLM_KEY", "secret")
    with serving(model) as served:
        events = annotate(tmp_path, "the girl", "--vlm", served.url, "--vlm-model", "eye")
    (started,) = (e for e in events if isinstance(e, FeedStarted))
    used = started.engines[-1]
    assert (used.name, used.role, used.backend, used.sha256) == ("eye", "refer", served.url, "")
    bound = queries(events)[-1]
    assert isinstance(bound, QueryBound)
    assert bound.entities == [2]
    assert "vlm: 0.95" in bound.cues
    (told,) = (e for e in events if isinstance(e, EntityDescribed) and e.source == "vlm")
    assert (told.entity, told.expression, told.category) == (2, "the girl with long hair", "person")
    after = events[events.index(told) :]
    assert not [e for e in after if isinstance(e, EntityDescribed) and (e.entity, e.source) == (2, "measured")]
    assert [e for e in events if isinstance(e, Error)] == []
    assert {h["authorization"] for h in served.headers} == {"Bearer secret"}
    assert len(served.asked) == 2, "one question of each kind: an answer stands"


def test_a_dead_endpoint_changes_nothing_but_one_error(without: list[Body], tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        options = ("--vlm", url, "--vlm-model", "eye", "--llm", url, "--llm-model", "ear", "--vlm-deadline", "0.5")
        events = annotate(tmp_path, "the girl", *options)
    errors = [(e.stage, e.code) for e in events if isinstance(e, Error)]
    assert errors == [("read", "llm"), ("refer", "vlm")], "each endpoint once"
    assert queries(events) == queries(without)
    described = [e for e in events if isinstance(e, EntityDescribed)]
    assert described == [e for e in without if isinstance(e, EntityDescribed)]


def test_words_that_only_the_language_model_knows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "zorp zorp"
    refused = ["annotate", SCENE, "--out", str(tmp_path / "refused"), "--query", text]
    assert main(refused) == 2
    assert "is understood" in capsys.readouterr().err
    with serving(model) as served:
        events = annotate(tmp_path / "read", text, "--llm", served.url, "--llm-model", "ear")
    bound = queries(events)[-1]
    assert isinstance(bound, QueryBound)
    assert (bound.text, len(bound.entities)) == (text, 1)
    assert [cue.partition(":")[0] for cue in bound.cues] == ["category person", "order 1 left", "noun zorp"]
    assert len(served.asked) == 1, "read once, not at every chunk"


def test_killed_and_restarted_it_asks_nothing_twice(tmp_path: Path) -> None:
    """A worker a message: each one knows only what the state holds."""
    settle()
    with serving(model) as served, closing(SqliteLog(tmp_path)) as log:
        post_queries(log, "feed", ["the girl"])
        messages = messages_of(SCENE)
        send_all(log, messages)
        for _ in messages:
            both = Chat(Endpoint(served.url, "eye")), Chat(Endpoint(served.url, "ear"))
            pipeline = Pipeline(networks(), models=Models(*both))
            with closing(Worker(log, pipeline, PyAVDecoder())) as worker:
                assert worker.step(timeout_s=10) is not None
        events = [e.body for e in events_of(log, "feed")]
    assert isinstance(queries(events)[-1], QueryBound)
    assert [e for e in events if isinstance(e, Error)] == []
    names = [a["response_format"]["json_schema"]["name"] for a in served.asked]
    assert sorted(names) == ["Answer", "Meanings", "Said"]
