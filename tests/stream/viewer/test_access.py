"""Another site's page, a missing token and --read-only, over HTTP and WebSocket."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from stream.log import QUERIES
from stream.log.sqlite import SqliteLog
from stream.viewer.gate import Door
from tests.stream.viewer.asking import ORIGIN, client_of, heard, ready

TOKEN = "a-token-of-the-users"


def test_read_only_asks_nothing(log: SqliteLog) -> None:
    with client_of(log, read_only=True) as client:
        ready(client)
        assert client.post("/api/feeds/door/queries", json={"text": "the dog"}).status_code == 403
        assert client.delete("/api/feeds/door/queries/x").status_code == 403
    assert not log.table(QUERIES)


def test_another_sites_page_gets_nothing(client: TestClient) -> None:
    assert client.get("/", headers={"host": "evil.example:8008"}).status_code == 403
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9999", "http://["):
        answer = client.get("/api/feeds/door/chunks/0/masks", headers={"origin": origin})
        assert (answer.status_code, answer.text) == (403, "another site's page may not ask this viewer\n")
        assert client.post("/api/feeds/door/queries", json={"text": "x"}, headers={"origin": origin}).status_code == 403
        with pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)):
            client.websocket_connect("/ws", headers={"origin": origin}).__enter__()
    with pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)):
        client.websocket_connect("/ws").__enter__()
    assert client.get("/", headers=ORIGIN).status_code == 200


def test_a_token_is_wanted_for_all_but_the_page(log: SqliteLog) -> None:
    with client_of(log, Door(token=TOKEN)) as client:
        good = {"authorization": f"Bearer {TOKEN}"}
        ready(client, headers=good)
        assert client.get("/").status_code == 200
        for path in ("/api/feeds/door/chunks/0/masks", "/api/feeds/door/chunks/0/frames", "/api/nothing"):
            for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Bearer "}):
                answer = client.get(path, headers=headers)
                assert (answer.status_code, answer.text.count("\n")) == (401, 1)
                assert "content-security-policy" in answer.headers
        assert client.post("/api/feeds/door/queries", json={"text": "the dog"}).status_code == 401
        for protocols in ([], ["strefer"], ["strefer", "token.wrong"]):
            with pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)):
                client.websocket_connect("/ws", protocols, headers=dict(ORIGIN)).__enter__()
        with client.websocket_connect("/ws", ["strefer", f"token.{TOKEN}"], headers=dict(ORIGIN)) as socket:
            assert socket.accepted_subprotocol == "strefer", "the token is not sent back"
            assert heard(socket, "wall")
