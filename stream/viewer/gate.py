"""Who may come in, before the app is asked: by the Host and Origin a browser names, and by a token; and the headers
that bind the page. Plain ASGI.

A page of another site can make a browser ask a server on its user's machine. It cannot choose Host (but for a name of
its own that it lets point here: DNS rebinding) nor Origin, so both are checked; a token of the user's it does not have.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 4096
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Door:
    """hosts: names and addresses, in lower case, that Host may be. addresses: any address (not name) may be it; only a
    name can be made to point here. token: what /api and /ws want, empty for nothing."""

    hosts: frozenset[str] = LOOPBACK
    addresses: bool = False
    token: str = ""

    def refuses_host(self, host: str) -> bool:
        name = _name_of(host)
        return name not in self.hosts and not (self.addresses and _is_address(name))

    def refuses_token(self, offered: str) -> bool:
        """Takes as long for one wrong token as for another."""
        return bool(self.token) and not hmac.compare_digest(self.token.encode(), offered.encode())


class Gate:
    """Stands before an app."""

    def __init__(self, app: App, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refused = self._refusal(scope)
        if refused is None:
            await self._app(scope, receive, _adding_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refused[1]})
        else:
            await _say(_adding_headers(send), *refused)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and one line, None for who may come in."""
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        host, origin = headers.get("host", ""), headers.get("origin")
        if self._door.refuses_host(host):
            return 403, f"this viewer does not answer to {_name_of(host)!r}: strefer view --name NAME lets it"
        if origin is not None and _netloc(origin) != host.lower():
            return 403, "another site's page may not ask this viewer"
        socket = scope["type"] == "websocket"
        if socket and origin is None:
            return 403, "a WebSocket wants an Origin"
        if (socket or scope["path"].startswith("/api/")) and self._door.refuses_token(_token(scope, headers)):
            return 401, "a token is wanted: open the address that strefer view printed"
        if not socket and scope["method"] not in ("GET", "HEAD", "DELETE"):
            length = headers.get("content-length", "")
            if not length.isdecimal():
                return 411, "a Content-Length is wanted"
            if int(length) > MAX_BODY_BYTES:
                return 413, f"the body may have {MAX_BODY_BYTES} bytes"
            if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                return 415, "the body is wanted as application/json"
        return None


def _netloc(origin: str) -> str:
    """Host and port of an origin, "" where it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _token(scope: Scope, headers: dict[str, str]) -> str:
    """What was offered: a WebSocket of a browser can name it only as a subprotocol."""
    if scope["type"] == "websocket":
        offered = [p for p in scope.get("subprotocols", ()) if p.startswith("token.")]
        return offered[0].removeprefix("token.") if offered else ""
    return headers.get("authorization", "").removeprefix("Bearer ")


def _adding_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            ours = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", ()), *ours]}
        await send(message)

    return sending


async def _say(send: Send, status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})


def _name_of(host: str) -> str:
    """A Host header without its port, in lower case; an IPv6 address without its brackets."""
    host = host.lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() and ":" in host else host


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
