"""The same viewer over a log on a real broker."""

from __future__ import annotations

import uuid
from contextlib import closing

from starlette.testclient import TestClient

from stream.log.place import Place
from stream.viewer.feeds import Feeds
from stream.viewer.gate import Door
from stream.viewer.server import make_app
from tests.stream.viewer.asking import HERE, ORIGIN, comes_to_be, heard, parts
from tests.stream.viewer.told_log import headers, send_chunk


def test_frames_masks_news_and_queries(kafka: str) -> None:
    place = Place(servers=(kafka,), prefix=f"v{uuid.uuid4().hex[:8]}-")
    with closing(place.open()) as log, TestClient(make_app(Feeds(log), Door()), base_url=HERE) as client:
        for seq in range(3):
            send_chunk(log, "door", seq)
        masks = "/api/feeds/door/chunks/2/masks"
        comes_to_be(lambda: client.get(masks).status_code == 200, 60)
        assert [m["entity"] for m in client.get("/api/feeds/door/chunks/0/masks").json()["masks"]] == [1, 2, 3]
        for seq in (2, 0, 1):
            frames = parts(client.get(f"/api/feeds/door/chunks/{seq}/frames?side=320").content)
            assert (len(frames), frames[0][0]) == (headers()[seq].frames, headers()[seq].start_us)
        with client.websocket_connect("/ws", headers=dict(ORIGIN)) as socket:
            socket.send_json({"feed": "door", "version": 0})
            assert [c[0] for c in heard(socket, "feed")["chunks"]] == [0, 1, 2]
            send_chunk(log, "door", 3)
            assert [c[0] for c in heard(socket, "feed", lambda m: bool(m["chunks"]))["chunks"]] == [3]
            client.post("/api/feeds/door/queries", json={"text": "the person"}).raise_for_status()
            assert heard(socket, "asked", lambda m: bool(m["asked"]))["asked"][0]["query"] == "the-person"
