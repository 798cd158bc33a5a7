"""An OpenAI-compatible endpoint on loopback that answers by a script, well or badly."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """status and body of one response. cut: bytes that are promised and not sent. wait_s: before the body."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    wait_s: float = 0.0
    drip_s: float = 0.0


def completion(answer: object, *, tokens: int = 10, reason: str = "stop") -> Reply:
    """A well-formed completion whose text is `answer`, as JSON where it is no text already."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    message = {"role": "assistant", "content": text}
    body = {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": 0, "completion_tokens": tokens, "total_tokens": tokens},
    }
    return Reply(json.dumps(body).encode())


def failure(status: int, **headers: str) -> Reply:
    body = json.dumps({"error": {"message": f"failed with {status}", "type": "x", "param": None, "code": None}})
    return Reply(body.encode(), status, {k.replace("_", "-"): v for k, v in headers.items()})


@dataclass
class Served:
    """The endpoint's address, and what it was asked: bodies and headers of the requests."""

    url: str
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def serving(*replies: Reply | Callable[[dict[str, Any]], Reply]) -> Iterator[Served]:
    """Answers request n by reply n, and by the last one from then on."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            served.asked.append(asked)
            served.headers.append({k.lower(): v for k, v in self.headers.items()})
            reply = replies[min(len(served.asked), len(replies)) - 1]
            reply = reply if isinstance(reply, Reply) else reply(asked)
            time.sleep(reply.wait_s)
            try:
                self.send_response(reply.status)
                for name, value in {"content-type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(reply.body) + reply.cut))
                self.end_headers()
                for i in range(0, len(reply.body), 16 if reply.drip_s else 1 << 20):
                    self.wfile.write(reply.body[i : i + (16 if reply.drip_s else 1 << 20)])
                    time.sleep(reply.drip_s)
            except OSError:
                pass  # who asked has gone
            self.close_connection = True

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Served(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
