"""One pair a line, with everything it has: `instruct.pair.Pair` as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO

import msgspec

from instruct.formats import shard
from instruct.pair import Pair


class JsonlWriter:
    def __init__(self, folder: Path, shard_pairs: int) -> None:
        self._folder, self._limit = folder, shard_pairs
        self._file: IO[bytes] | None = None
        self._shards = self._in_shard = 0

    def write(self, pairs: Sequence[Pair]) -> None:
        for pair in pairs:
            if self._file is None:
                self._file = shard(self._folder, self._shards, "jsonl").open("wb")
            self._file.write(msgspec.json.encode(pair) + b"\n")
            self._in_shard += 1
            if self._in_shard == self._limit:
                self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file, self._shards, self._in_shard = None, self._shards + 1, 0


def read(folder: Path) -> list[Pair]:
    """The pairs of all shards, in order."""
    lines = [line for path in sorted(folder.glob("train-*.jsonl")) for line in path.read_bytes().splitlines()]
    return [msgspec.json.decode(line, type=Pair) for line in lines]
