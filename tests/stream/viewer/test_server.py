"""The viewer over HTTP and WebSocket, on a log as a worker would have left it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from kernels import rle
from stream.log import QUERIES
from stream.log.sqlite import SqliteLog
from stream.viewer import feeds, server
from tests.stream.viewer.asking import ORIGIN, comes_to_be, heard, parts
from tests.stream.viewer.told_log import headers, send_chunk

JSON = {"content-type": "application/json"}


def test_the_page_and_its_bounds(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "<script>" not in page.text
    assert "style=" not in page.text
    assert "onclick" not in page.text
    for name in ("viewer.js", "draw.js", "viewer.css", "icon.svg"):
        got = client.get(f"/static/{name}")
        assert got.status_code == 200
        assert got.headers["content-security-policy"] == policy
    assert client.get("/static/viewer.js").headers["content-type"].startswith("text/javascript")


def test_no_script_writes_html() -> None:
    folder = Path(server.__file__).parent / "static"
    for path in folder.glob("*.js"):
        text = path.read_text()
        assert not [w for w in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(") if w in text]
        assert len(text.splitlines()) <= 300


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py", "/static/..%2fserver.py", "/static/%2e%2e/server.py", "/static//etc/passwd",
        "/static/..%5cserver.py", "/static/%00", "/static/", "/etc/passwd", "/../../etc/passwd", "/docs",
        "/openapi.json",
        "/api/feeds/..%2f..%2flog.sqlite/chunks/0/frames", "/static/viewer.js/..",
    ],
)  # fmt: skip
def test_no_other_file_is_reachable(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "root:" not in answer.text
    assert "import" not in answer.text


def test_frames_carry_their_times(client: TestClient) -> None:
    header = headers()[1]
    answer = client.get("/api/feeds/door/chunks/1/frames?side=320")
    shown = parts(answer.content)
    assert len(shown) == header.frames
    assert shown[0][0] == header.start_us
    assert {picture.shape for _, picture in shown} == {(180, 320, 3)}
    first = parts(client.get("/api/feeds/door/chunks/1/frames?side=320&first=true").content)
    assert [pts for pts, _ in first] == [header.start_us]
    assert np.abs(first[0][1].astype(int) - shown[0][1].astype(int)).mean() < 1
    assert parts(client.get("/api/feeds/door/chunks/1/frames?side=640").content)[0][1].shape == (180, 320, 3)


def test_masks_are_those_of_the_chunks_frames_and_mended(client: TestClient) -> None:
    told = client.get("/api/feeds/door/chunks/0/masks").json()
    by_entity = {m["entity"]: m["frames"] for m in told["masks"]}
    assert sorted(by_entity) == [1, 2, 3], "3 was told by the next chunk, looking back"
    header = headers()[0]
    assert [f["pts_us"] for f in by_entity[1]] == [
        header.start_us + i * header.duration_us // header.frames for i in range(header.frames)
    ]
    assert len(by_entity[3]) == 2
    mask = rle.decode(by_entity[1][0]["rle"]["counts"], tuple(by_entity[1][0]["rle"]["size"]))
    assert mask[60:100, 20:60].all()
    assert mask.sum() == 1600


def test_an_entity_is_cut_out(client: TestClient) -> None:
    answer = client.get("/api/feeds/door/entities/1/picture")
    assert answer.headers["content-type"] == "image/png"
    assert cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED).shape[2] == 4


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/api/feeds/nobody/chunks/0/masks", 404, "no worker has followed a feed 'nobody'"),
        ("/api/feeds/nobody/chunks/0/frames", 404, "no worker has followed a feed 'nobody'"),
        ("/api/feeds/door/chunks/99/frames", 404, "chunk 99 of door is not among those that can be gone back to"),
        ("/api/feeds/door/chunks/-1/frames", 400, "seq: Input should be greater than or equal to 0"),
        ("/api/feeds/door/chunks/x/frames", 400, "seq: Input should be a valid integer"),
        ("/api/feeds/door/chunks/99999999999999999999/masks", 400, "seq: Input should be less than"),
        ("/api/feeds/door/chunks/0/frames?side=5000", 400, "side is 5000, wanted one of 320, 640, 960"),
        ("/api/feeds/door/entities/77/picture", 404, "feed door has no picture of entity 77"),
    ],
)
def test_bad_input_is_one_clear_line(client: TestClient, path: str, status: int, says: str) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.text.startswith(says)
    assert answer.text.count("\n") == 1


def test_the_socket_tells_the_wall_then_the_feed(client: TestClient, log: SqliteLog) -> None:
    with client.websocket_connect("/ws", headers=dict(ORIGIN)) as socket:
        wall = heard(socket, "wall", lambda m: len(m["feeds"]) == 2)
        assert [(f["feed"], f["seq"], f["ended"]) for f in wall["feeds"]] == [("door", 1, ""), ("gate", 1, "")]
        socket.send_json({"feed": "door", "version": 0})
        feed = heard(socket, "feed")
        assert feed["full"]
        assert [c[0] for c in feed["chunks"]] == [0, 1]
        assert "secret" not in str(feed)
        assert [e["expression"] for e in feed["entities"]][:1] == ["<b>the person</b> 2"]
        assert heard(socket, "asked")["asked"] == []
        send_chunk(log, "door", 2)
        news = heard(socket, "feed")
        assert not news["full"]
        assert [c[0] for c in news["chunks"]] == [2]
        assert [e["entity"] for e in news["entities"]] == [1]
    with client.websocket_connect("/ws", headers=dict(ORIGIN)) as socket:  # it comes back, and is told what it missed
        socket.send_json({"feed": "door", "version": feed["version"]})
        assert [c[0] for c in heard(socket, "feed")["chunks"]] == [2]
        socket.send_json({"feed": "nobody"})
        assert heard(socket, "unknown")["feed"] == "nobody"


@pytest.mark.parametrize(
    "said", ["{", "[]", '{"feed": 1}', '{"feed": "door", "more": 1}', '{"version": 0}', b"\x00\x01"]
)
def test_a_socket_that_says_what_it_may_not_is_closed(client: TestClient, said: str | bytes) -> None:
    with client.websocket_connect("/ws", headers=dict(ORIGIN)) as socket:
        if isinstance(said, bytes):
            socket.send_bytes(said)
        else:
            socket.send_text(said)
        with pytest.raises(WebSocketDisconnect) as closed:
            heard(socket, "nothing")
        assert closed.value.code == 1007


def test_viewers_are_counted(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_VIEWERS", 1)
    one, two = (client.websocket_connect("/ws", headers=dict(ORIGIN)) for _ in range(2))
    with one as first, two as second:
        first.receive_text()
        with pytest.raises(WebSocketDisconnect) as closed:
            second.receive_text()
        assert closed.value.code == 1013
    comes_to_be(lambda: _may_look(client))


def _may_look(client: TestClient) -> bool:
    with client.websocket_connect("/ws", headers=dict(ORIGIN)) as socket:
        try:
            socket.receive_text()
        except WebSocketDisconnect:
            return False
        return True


def test_a_query_is_posted_and_taken_back(client: TestClient, log: SqliteLog) -> None:
    with client.websocket_connect("/ws", headers=dict(ORIGIN)) as socket:
        socket.send_json({"feed": "door", "version": 0})
        answer = client.post("/api/feeds/door/queries", json={"text": " the person in red "})
        assert answer.json() == {"query": "the-person-in-red", "unknown": []}
        assert set(log.table(QUERIES)) == {"door/the-person-in-red"}
        asked = heard(socket, "asked", lambda m: bool(m["asked"]))["asked"]
        assert asked == [{"query": "the-person-in-red", "text": "the person in red", "all": False, "roi": []}]
        assert client.delete("/api/feeds/door/queries/the-person-in-red").status_code == 204
        assert heard(socket, "asked")["asked"] == []
    assert not log.table(QUERIES)


@pytest.mark.parametrize(
    ("feed", "body", "status", "says"),
    [
        ("door", b'{"text": ""}', 400, "text: String should have at least 1 character"),
        ("door", b'{"text": "' + b"x" * 301 + b'"}', 400, "text: String should have at most 300 characters"),
        ("door", b'{"text": 5}', 400, "text: Input should be a valid string"),
        ("door", b"{", 400, ""),
        ("door", b"{}", 400, "text: Field required"),
        ("door", b'{"text": "the zorilla"}', 400, ""),
        ("nobody", b'{"text": "the dog"}', 404, "no worker has followed"),
        ("door", b'{"text": "' + b"x" * 5000 + b'"}', 413, "the body may have 4096 bytes"),
    ],
)
def test_a_query_that_is_none(client: TestClient, feed: str, body: bytes, status: int, says: str) -> None:
    answer = client.post(f"/api/feeds/{feed}/queries", content=body, headers=JSON)
    assert answer.status_code == status
    assert answer.text.startswith(says)
    assert answer.text.count("\n") == 1


def test_a_query_wants_json_of_a_known_length(client: TestClient) -> None:
    plain = {"content-type": "text/plain"}
    assert client.post("/api/feeds/door/queries", content=b'{"text": "x"}', headers=plain).status_code == 415
    assert client.post("/api/feeds/door/queries", content=iter([b"{}"]), headers=JSON).status_code == 411
    gone = client.delete("/api/feeds/door/queries/none-such")
    assert (gone.status_code, gone.text) == (400, "there is no query 'none-such' of door; known: none\n")


def test_a_feed_is_asked_only_so_much(client: TestClient, log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MAX_QUERIES", 2)
    texts = ("the person", "the dog", "the person on the left")
    answers = [client.post("/api/feeds/door/queries", json={"text": text}) for text in texts]
    assert [a.status_code for a in answers] == [200, 200, 400]
    assert answers[2].text == "door is asked 2 queries already: take one back first\n"
    assert len(log.table(QUERIES)) == 2


@pytest.mark.slow
def test_a_log_that_is_away_is_told_and_come_back_to(
    client: TestClient, log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stream.log import LogAwayError

    def away(*_: object, **__: object) -> int:
        raise LogAwayError("the broker is away")

    with client.websocket_connect("/ws", headers=dict(ORIGIN)) as socket:
        with monkeypatch.context() as patched:
            patched.setattr(log, "end", away)
            assert heard(socket, "wall", lambda m: bool(m["trouble"]))["trouble"] == "the broker is away"
        assert heard(socket, "wall", lambda m: not m["trouble"])
