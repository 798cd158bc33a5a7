"""Fetching a large file: goes on where it was broken off, shows progress, counts only with its sha256.

The only file that imports requests.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from engines import digest

TIMEOUT_S = 20
BLOCK_BYTES = 1 << 18
Show = Callable[[int, int | None], None]


def fetch(url: str, target: Path, *, sha256: str, size_bytes: int | None, progress: bool = False) -> None:
    """The file of `url` as `target`, by way of a `.part` file beside it that the next call goes on with. A size that is
    None is the one the server tells.

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


def _all(url: str, part: BinaryIO, sha256: str, size_bytes: int | None, show: Show) -> None:
    """Until the part is whole. Raises ValueError where it is not the file then."""
    import requests

    broken = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    size = size_bytes
    while size is None or part.tell() < size:
        done = part.tell()
        show(done, size)
        try:
            size = _rest(url, part, size, show)
        except broken:
            if part.tell() <= done:
                raise
    if part.tell() != size or digest.sha256(Path(part.name)) != sha256:
        raise ValueError("it is not the file the catalogue names (sha256)")


def part_of(target: Path, sha256: str) -> Path:
    """Where what has come of a file lies meanwhile; another version of the file has another."""
    return target.with_name(f".{target.name}.{sha256[:8]}.part")


def _rest(url: str, part: BinaryIO, size_bytes: int | None, show: Show) -> int | None:
    """Appends what is missing; begins anew where the server knows no ranges. Returns the file's size, told or known;
    None where there is no such rest. Raises ValueError where more comes than the file has, the connection closes in
    good order too early, or nobody tells the size."""
    import requests

    start = part.tell()
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
        if start and answer.status_code == 416:  # the part is as long as the file, or longer
            if size_bytes is None and answer.headers.get("Content-Range") == f"bytes */{start}":
                return start
            _empty(part)
            return size_bytes
        answer.raise_for_status()
        if answer.status_code != 206 or not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            _empty(part)
        size = part.tell() + _length(answer) if size_bytes is None else size_bytes
        whose = "server tells" if size_bytes is None else "catalogue names"
        for block in answer.iter_content(BLOCK_BYTES):
            part.write(block)
            part.flush()
            show(part.tell(), size)
            if part.tell() > size:
                raise ValueError(f"it is larger than the {size} bytes the {whose}")
    if part.tell() < size:
        raise ValueError(f"it has {part.tell()} bytes, the {whose} {size}")
    return size


def _length(answer: Any) -> int:
    """Bytes of this answer. Raises ValueError where it does not tell: who downloads wants an end in sight."""
    told = answer.headers.get("Content-Length", "")
    if not told.isdecimal():
        raise ValueError("the server does not tell how large it is, and neither does the catalogue")
    return int(told)


def _empty(part: BinaryIO) -> None:
    part.truncate(0)
    part.seek(0)


@contextlib.contextmanager
def _bar(name: str, size_bytes: int | None, wanted: bool) -> Iterator[Show]:
    """What takes the number of bytes that are there, and of all where it is known; on a terminal a bar on stderr."""
    if not wanted:
        yield lambda done, size: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=size_bytes)
        yield lambda done, size: bar.update(task, completed=done, total=size)
