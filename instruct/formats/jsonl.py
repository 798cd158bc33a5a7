"""One pair a line, with everything it has: `instruct.pair.Pair` as JSON."""

from __future__ import annotations

from pathlib import Path

import msgspec

from instruct.formats import TextShards
from instruct.pair import Pair


class JsonlWriter(TextShards):
    def __init__(self, folder: Path, shard_pairs: int, first: int = 0) -> None:
        super().__init__(folder, shard_pairs, "jsonl", msgspec.json.encode, between=b"\n", end=b"\n", first=first)


def read(folder: Path) -> list[Pair]:
    """The pairs of all shards, in order."""
    lines = [line for path in sorted(folder.glob("train-*.jsonl")) for line in path.read_bytes().splitlines()]
    return [msgspec.json.decode(line, type=Pair) for line in lines]
