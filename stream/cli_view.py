"""`strefer view`: a page that shows a log's feeds live."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import click

from engines.errors import UserError
from stream.cli_log import log_options
from stream.log.place import Place

_EPILOG = """\b
Examples:
  strefer view --log run                                   (http://127.0.0.1:8008)
  strefer view --kafka broker1:9092,broker2:9092 --port 9000
  strefer view --log run --host 0.0.0.0                    (from other machines; prints an address with a token)
  strefer view --log run --host 0.0.0.0 --name view.example.org --token-file token --read-only
"""
_SHORTEST_TOKEN = 16


@click.command(epilog=_EPILOG)
@log_options
@click.option("--port", type=click.IntRange(0, 65535), default=8008, show_default=True,
              help="Port to listen on; 0 takes a free one.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST",
              help="Address to listen on, 0.0.0.0 for all. Any but this machine's own wants a token.")  # fmt: skip
@click.option("--name", "names", multiple=True, metavar="NAME",
              help="A name by which browsers may call this viewer, a proxy's for example. Repeat it.")  # fmt: skip
@click.option("--token-file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Holds the token that viewers need.  [default: a new one where one is wanted]")  # fmt: skip
@click.option("--read-only", is_flag=True, help="Queries can be seen, not added or taken back.")
def view(
    place: Place, port: int, host: str, names: tuple[str, ...], token_file: Path | None, read_only: bool
) -> None:  # fmt: skip
    """Show a log's feeds on a web page, live: video with masks, entities, timeline, queries.

    Prints the page's address. Needs no worker here: it shows what lies in the log and follows it. What is on the page,
    its keys and its bounds: docs/viewer.md.
    """
    if missing := [name for name in ("fastapi", "uvicorn", "websockets") if find_spec(name) is None]:
        raise UserError(f"strefer view wants {', '.join(missing)}: pip install '.[view]'")
    from producers.cli import stop_on_signals
    from stream.viewer.feeds import Feeds
    from stream.viewer.gate import LOOPBACK, Door
    from stream.viewer.serve import listen, serve
    from stream.viewer.server import make_app

    token = _read_token(token_file) if token_file else ""
    local = _is_loopback(host)
    if not local and not token:
        token = secrets.token_urlsafe(24)
    hosts = (
        LOOPBACK | {host.lower(), *(n.lower() for n in names)} | (set() if local else {socket.gethostname().lower()})
    )
    place.must_exist()
    stop = stop_on_signals()
    with closing(listen(host, port)) as listening, closing(place.open()) as log:
        port = listening.getsockname()[1]
        called = names[0] if names else host if host not in ("0.0.0.0", "::") else socket.gethostname()
        address = f"http://{f'[{called}]' if ':' in called else called}:{port}/" + (f"#token={token}" if token else "")
        door = Door(frozenset(hosts), addresses=not local, token=token)
        app = make_app(Feeds(log), door, read_only=read_only)
        serve(app, listening, stop, lambda: click.echo(f"watch {place} at {address}"))
    click.echo("stopped")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read_token(path: Path) -> str:
    try:
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise UserError(f"{path} cannot be read: {e}") from None
    if len(token) < _SHORTEST_TOKEN or not all(c.isascii() and (c.isalnum() or c in "-_") for c in token):
        raise UserError(f"{path} wants a token of {_SHORTEST_TOKEN} or more letters, digits, '-' and '_'")
    return token
