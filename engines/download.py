"""Fetching a large file: goes on where it was broken off, shows progress, counts only with its sha256.

The only file that imports requests.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from engines import digest

TIMEOUT_S = 20
BLOCK_BYTES = 1 << 18


def fetch(url: str, target: Path, *, sha256: str, size_bytes: int, progress: bool = False) -> None:
    """The file of `url` as `target`, by way of a `.part` file beside it that the next call goes on with.

    A connection that breaks is taken up again as long as something came of it. Two processes that want the same wait
    for each other. Raises OSError where the address cannot be reached, ValueError where what it gives is another file,
    of which nothing is kept."""
    with part_of(target, sha256).open("ab") as part, _bar(target.name, size_bytes, progress) as show:
        fcntl.flock(part, fcntl.LOCK_EX)
        if target.is_file() and digest.sha256(target) == sha256:
            return  # another process had it meanwhile
        resumed = part.tell() > 0
        try:
            try:
                _all(url, part, sha256, size_bytes, show)
            except ValueError:
                if not resumed:
                    raise
                _empty(part)  # the beginning may have been of another file
                _all(url, part, sha256, size_bytes, show)
        except ValueError:
            Path(part.name).unlink()
            raise
        Path(part.name).replace(target)


def _all(url: str, part: BinaryIO, sha256: str, size_bytes: int, show: Callable[[int], None]) -> None:
    """Until the part is whole. Raises ValueError where it is not the file then."""
    import requests

    broken = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    while (done := part.tell()) < size_bytes:
        show(done)
        try:
            _rest(url, part, size_bytes, show)
        except broken:
            if part.tell() <= done:
                raise
    if part.tell() != size_bytes or digest.sha256(Path(part.name)) != sha256:
        raise ValueError("it is not the file the catalogue names (sha256)")


def part_of(target: Path, sha256: str) -> Path:
    """Where what has come of a file lies meanwhile; another version of the file has another."""
    return target.with_name(f".{target.name}.{sha256[:8]}.part")


def _rest(url: str, part: BinaryIO, size_bytes: int, show: Callable[[int], None]) -> None:
    """Appends what is missing; begins anew where the server knows no ranges. Raises ValueError where more comes than
    the file has, or the connection closes in good order too early."""
    import requests

    start = part.tell()
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
        if start and answer.status_code == 416:  # there is no such rest
            _empty(part)
            return
        answer.raise_for_status()
        if answer.status_code != 206 or not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            _empty(part)
        for block in answer.iter_content(BLOCK_BYTES):
            part.write(block)
            part.flush()
            show(part.tell())
            if part.tell() > size_bytes:
                raise ValueError(f"it is larger than the {size_bytes} bytes the catalogue names")
    if part.tell() < size_bytes:
        raise ValueError(f"it has {part.tell()} bytes, the catalogue names {size_bytes}")


def _empty(part: BinaryIO) -> None:
    part.truncate(0)
    part.seek(0)


@contextlib.contextmanager
def _bar(name: str, size_bytes: int, wanted: bool) -> Iterator[Callable[[int], None]]:
    """What takes the number of bytes that are there; on a terminal a bar on stderr."""
    if not wanted:
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=size_bytes)
        yield lambda done: bar.update(task, completed=done)
