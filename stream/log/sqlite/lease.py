"""A group member's heartbeat: a thread with a connection of its own."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from stream.log.sqlite import group as groups
from stream.log.sqlite.schema import Synchronous, connect, write

BEATS_PER_SESSION = 4
MAX_INTERVAL_S = 3.0


class Lease:
    """Keeps a member alive however long its owner works on one record, and evicts others that went silent.

    The thread dies with its process (and stands still with a stopped one), so a lease says "this process runs", not
    "this worker makes progress". `lost` is set once the lease ran out; it never comes back.
    """

    def __init__(self, file: Path, synchronous: Synchronous, group: str, member: str, session_s: float) -> None:
        self.group, self.member = group, member
        self.lost = threading.Event()
        self._stop = threading.Event()
        self._interval_s = min(session_s / BEATS_PER_SESSION, MAX_INTERVAL_S)
        self._conn = connect(file, synchronous)
        self._thread = threading.Thread(target=self._beat, name=f"lease-{member}", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._stop.wait(self._interval_s):
            try:
                with write(self._conn):
                    renewed = groups.renew(self._conn, self.group, self.member)
            except sqlite3.Error:
                continue  # a full disk or a lock held for very long: try again, and lose the lease if it lasts
            if not renewed:
                self.lost.set()
                return

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._conn.close()
