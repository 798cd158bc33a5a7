"""Claim check: a message too large to travel inline is kept in a file store, the log carries its address.

Pattern of Hohpe and Woolf, Enterprise Integration Patterns (2003), "Claim Check"; the header is CloudEvents' `dataref`
extension. Objects lie under BASE/TOPIC/YYYY-MM-DD-HH/, so that old ones are cleaned away by the hour.
"""

from __future__ import annotations

import datetime
import hashlib
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from engines.errors import UserError
from stream.log import CLAIM, LogAwayError, Message

INLINE_BYTES = 900_000
"""Messages up to this travel inline where claims are kept: within the limits that brokers and clients come with."""
_HOUR = "%Y-%m-%d-%H"


@dataclass
class Claims:
    """The store at `base`, an fsspec address of a folder (file:///mnt/share/claims, s3://bucket/claims)."""

    base: str

    @cached_property
    def _fs(self) -> Any:
        try:
            import fsspec

            return fsspec.core.url_to_fs(self.base)[0]
        except (ImportError, ValueError) as e:
            raise UserError(f"--claims {self.base}: {e}") from None

    @cached_property
    def _root(self) -> str:
        import fsspec

        return str(fsspec.core.url_to_fs(self.base)[1]).rstrip("/")

    def check(self) -> None:
        """Raises UserError where nothing can be kept there."""
        try:
            self._fs.makedirs(self._root, exist_ok=True)
        except OSError as e:
            raise UserError(f"--claims {self.base} cannot be written: {e}") from None

    def check_in(self, message: Message, now: datetime.datetime | None = None) -> Message:
        """The message with its value kept in the store and its address in a header, if it is large."""
        if len(message.value) <= INLINE_BYTES:
            return message
        hour = (now or datetime.datetime.now(datetime.UTC)).strftime(_HOUR)
        name = hashlib.sha256(message.value).hexdigest()[:32]  # sent again it is the same object
        path = f"{self._root}/{message.topic}/{hour}/{name}"
        try:
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._fs.pipe_file(path, message.value)
        except OSError as e:
            raise LogAwayError(f"{path} cannot be written: {e}") from e
        reference = f"{path.removeprefix(self._root)[1:]}?crc32={zlib.crc32(message.value)}"
        return Message(message.topic, message.key, b"", {**message.headers, CLAIM: reference})

    def redeem(self, reference: str) -> bytes:
        """The value behind a reference. Raises ValueError for one that is gone, damaged or not ours to give."""
        path, _, crc = reference.partition("?crc32=")
        if path.startswith("/") or ".." in path.split("/") or "://" in path:
            raise ValueError(f"{CLAIM} is {reference!r}: it points outside the claims of {self.base}")
        try:
            value = bytes(self._fs.cat_file(f"{self._root}/{path}"))
        except FileNotFoundError:
            raise ValueError(f"{CLAIM} is {reference!r}: there is no such object at {self.base}") from None
        except OSError as e:
            raise LogAwayError(f"{self.base}/{path} cannot be read: {e}") from e
        if str(zlib.crc32(value)) != crc:
            raise ValueError(f"{CLAIM} is {reference!r}: the object's crc32 is {zlib.crc32(value)}")
        return value

    def clean(self, topic: str, older_than_s: float, now: datetime.datetime | None = None) -> int:
        """Delete a topic's objects of hours that ended more than `older_than_s` ago; returns how many hours."""
        limit = (now or datetime.datetime.now(datetime.UTC)) - datetime.timedelta(seconds=older_than_s, hours=1)
        try:
            folders = [str(p) for p in self._fs.ls(f"{self._root}/{topic}", detail=False)]
        except FileNotFoundError:
            return 0
        gone = 0
        for folder in folders:
            try:
                hour = datetime.datetime.strptime(folder.rstrip("/").rpartition("/")[2], _HOUR)
            except ValueError:
                continue  # not ours
            if hour.replace(tzinfo=datetime.UTC) < limit:
                self._fs.rm(folder, recursive=True)
                gone += 1
        return gone
