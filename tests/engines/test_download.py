"""Large files from a server that breaks off, knows no ranges, or has another file."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from engines.download import fetch, part_of

DATA = bytes(range(256)) * 4000
SHA = hashlib.sha256(DATA).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """data: what it has. ranges: whether it knows them. breaks: bytes after which each connection breaks, 0 for never.
    tells: whether it says how long an answer is. asked: the Range of every request."""

    data, ranges, breaks, tells = DATA, True, 0, True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/net.pt"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
        if start >= len(server.data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.data)}")
            self.end_headers()
            return
        body = server.data[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.data) - 1}/{len(server.data)}")
        if server.tells:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.breaks] if server.breaks else body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.02,))  # a shutdown waits for its next look
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def pull(server: Server, target: Path, **options: bool) -> None:
    fetch(server.url, target, sha256=SHA, size_bytes=len(DATA), **options)


def test_whole(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pull(server, tmp_path / "net.pt", progress=True)
    assert (tmp_path / "net.pt").read_bytes() == DATA
    assert [p.name for p in tmp_path.iterdir()] == ["net.pt"]
    assert capsys.readouterr().out == "", "progress is for stderr"


@pytest.mark.parametrize("ranges", [True, False])
def test_goes_on_where_it_was(server: Server, tmp_path: Path, ranges: bool) -> None:
    server.ranges = ranges
    target = tmp_path / "net.pt"
    part_of(target, SHA).write_bytes(DATA[:300_000])
    pull(server, target)
    assert target.read_bytes() == DATA
    assert server.asked == ["bytes=300000-"]


def test_a_connection_that_breaks_is_taken_up_again(server: Server, tmp_path: Path) -> None:
    server.breaks = 400_000
    pull(server, tmp_path / "net.pt")
    assert (tmp_path / "net.pt").read_bytes() == DATA
    assert len(server.asked) > 2
    assert server.asked[0] is None
    assert all(r and r.startswith("bytes=") for r in server.asked[1:])


def test_out_of_reach_keeps_what_came(tmp_path: Path) -> None:
    target = tmp_path / "net.pt"
    part_of(target, SHA).write_bytes(DATA[:100])
    with pytest.raises(requests.ConnectionError):
        fetch("http://127.0.0.1:1/net.pt", target, sha256=SHA, size_bytes=len(DATA))
    assert part_of(target, SHA).read_bytes() == DATA[:100]


@pytest.mark.parametrize("beginning", [b"of another file" * 9, DATA + b"more", b"x" * len(DATA)])
def test_a_beginning_of_another_file_is_thrown_away(server: Server, tmp_path: Path, beginning: bytes) -> None:
    target = tmp_path / "net.pt"
    part_of(target, SHA).write_bytes(beginning)
    pull(server, target)
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"1", DATA[:-1] + b"1", b"an error page"])
def test_another_file_is_refused_and_nothing_kept(server: Server, tmp_path: Path, data: bytes) -> None:
    server.data = data
    with pytest.raises(ValueError, match="the catalogue names"):
        pull(server, tmp_path / "net.pt")
    assert not list(tmp_path.iterdir())


def pull_unsized(server: Server, target: Path) -> None:
    fetch(server.url, target, sha256=SHA, size_bytes=None, progress=True)


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("there", [0, 300_000, len(DATA)])
def test_a_size_that_only_the_server_knows(server: Server, tmp_path: Path, ranges: bool, there: int) -> None:
    server.ranges = ranges
    target = tmp_path / "net.pt"
    part_of(target, SHA).write_bytes(DATA[:there])
    pull_unsized(server, target)
    assert target.read_bytes() == DATA
    assert len(server.asked) == 1


def test_a_size_that_only_the_server_knows_over_broken_connections(server: Server, tmp_path: Path) -> None:
    server.breaks = 400_000
    pull_unsized(server, tmp_path / "net.pt")
    assert (tmp_path / "net.pt").read_bytes() == DATA
    assert len(server.asked) > 2
    assert all(r and r.startswith("bytes=") for r in server.asked[1:])


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"1", b"an error page"])
def test_another_file_is_refused_whatever_its_size(server: Server, tmp_path: Path, data: bytes) -> None:
    server.data = data
    with pytest.raises(ValueError, match="the catalogue names"):
        pull_unsized(server, tmp_path / "net.pt")
    assert not list(tmp_path.iterdir())


def test_a_beginning_that_is_longer_than_the_file(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "net.pt"
    part_of(target, SHA).write_bytes(DATA + b"more")
    pull_unsized(server, target)
    assert target.read_bytes() == DATA


def test_a_size_that_nobody_knows(server: Server, tmp_path: Path) -> None:
    server.tells = False
    with pytest.raises(ValueError, match="does not tell how large it is"):
        pull_unsized(server, tmp_path / "net.pt")
