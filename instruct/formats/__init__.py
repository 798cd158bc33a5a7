"""Writers of pairs, one file a format. Each writes shards into a folder of its own and holds one open at most."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from instruct.pair import Pair

NAMES = ("jsonl", "parquet", "llava")


class Writer(Protocol):
    """Takes pairs as they come. A finished shard is never written to again."""

    def write(self, pairs: Sequence[Pair]) -> None: ...

    def close(self) -> None: ...


def writer(name: str, folder: Path, shard_pairs: int) -> Writer:
    """The writer of a format of NAMES. Raises UserError where a package it needs is missing."""
    if name == "jsonl":
        from instruct.formats.jsonl import JsonlWriter

        return JsonlWriter(folder / "jsonl", shard_pairs)
    if name == "parquet":
        from instruct.formats.parquet import ParquetWriter

        return ParquetWriter(folder / "parquet", shard_pairs)
    if name == "llava":
        from instruct.formats.llava import LlavaWriter

        return LlavaWriter(folder / "llava", shard_pairs)
    raise ValueError(f"format is {name!r}, wanted one of {NAMES}")


def shard(folder: Path, number: int, ending: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"train-{number:05d}.{ending}"
