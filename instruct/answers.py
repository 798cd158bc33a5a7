"""What a language model answered, kept in a file: a run that was killed and begins anew asks nothing twice."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from engines.errors import UserError


class Answer(NamedTuple):
    """The rewritten text of one pair, both empty where the model left it out. asked: the question it was part of, and
    the tokens of that question."""

    question: str
    answer: str
    asked: str
    tokens: int


class Answers:
    """Answers by key in `folder`/rewrites.sqlite. Threads and processes may share it. It only grows: remove the file to
    be rid of it. Raises UserError, in one line, where it cannot be read or written."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "rewrites.sqlite"
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(self._path, timeout=30, check_same_thread=False, isolation_level=None)
        except (OSError, sqlite3.Error) as e:
            raise UserError(f"cannot keep answers in {folder} ({_cause(e)}): name another --llm-cache") from None
        try:
            self._do(
                "create table if not exists answers"
                " (key text primary key, question text, answer text, asked text, tokens integer) without rowid"
            )
        except BaseException:
            self._base.close()
            raise

    def get(self, key: str) -> Answer | None:
        """What was answered; None where it was not, or where the entry is damaged."""
        rows = self._do("select question, answer, asked, tokens from answers where key = ?", key)
        if not rows:
            return None
        match rows[0]:
            case (str(question), str(answer), str(asked), int(tokens)):
                return Answer(question, answer, asked, tokens)
        return None

    def put(self, found: Iterable[tuple[str, Answer]]) -> None:
        """Keep answers: they are on the disk when this returns, all or none."""
        rows = [(key, *a) for key, a in found]
        marks = ", ".join(["(?, ?, ?, ?, ?)"] * len(rows))
        if rows:
            self._do(f"insert or replace into answers values {marks}", *(v for row in rows for v in row))

    def close(self) -> None:
        self._base.close()

    def _do(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        try:
            with self._lock:
                return self._base.execute(statement, values).fetchall()
        except sqlite3.Error as e:
            raise UserError(
                f"the answers kept in {self._path} cannot be used ({_cause(e)}): remove that file, or name another "
                "--llm-cache"
            ) from None


def _cause(e: Exception) -> str:
    return (e.strerror or "") if isinstance(e, OSError) else str(e)[:100]
