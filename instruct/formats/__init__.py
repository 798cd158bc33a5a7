"""Writers of pairs, one file a format. Each writes shards into a folder of its own and holds one open at most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Protocol

from instruct.clip import Window
from instruct.pair import Pair

LLAVA = ("llava", "llava-32", "llava-tokens", "llava-32-tokens")
"""By how frames are told (the feed's numbers, or 32 samples of the clip) and times (as they are, or 32 tokens)."""
NAMES = ("jsonl", "parquet", *LLAVA)


class Writer(Protocol):
    """Takes pairs as they come. A finished shard is never written to again."""

    left_out: Counter[str]
    """Pairs that the format cannot tell, by reason."""

    def write(self, pairs: Sequence[Pair], window: Window) -> None:
        """Write pairs of one clip, a yes/no question before its twin."""
        ...

    def close(self) -> None: ...

    @property
    def shards(self) -> int:
        """The number of the next shard, where the last one is closed."""
        ...


def writer(name: str, folder: Path, shard_pairs: int, first: int = 0) -> Writer:
    """The writer of a format of NAMES. first: the number of its first shard. Raises UserError where a package it needs
    is missing."""
    if name == "jsonl":
        from instruct.formats.jsonl import JsonlWriter

        return JsonlWriter(folder / "jsonl", shard_pairs, first)
    if name == "parquet":
        from instruct.formats.parquet import ParquetWriter

        return ParquetWriter(folder / "parquet", shard_pairs, first)
    if name in LLAVA:
        from instruct.formats.llava import LlavaWriter

        return LlavaWriter(folder / name, shard_pairs, first, sampled="-32" in name, tokens=name.endswith("-tokens"))
    raise ValueError(f"format is {name!r}, wanted one of {NAMES}")


class TextShards:
    """Shards of records that are each a few bytes of text: `begin`, the records with `between`, `end`."""

    def __init__(
        self, folder: Path, shard_pairs: int, ending: str, encode: Callable[[Pair], bytes], *,
        begin: bytes = b"", between: bytes, end: bytes, first: int = 0,
    ) -> None:  # fmt: skip
        self._folder, self._limit, self._ending, self._encode = folder, shard_pairs, ending, encode
        self._begin, self._between, self._end = begin, between, end
        self._file: IO[bytes] | None = None
        self.shards, self._in_shard = first, 0
        self.left_out = Counter[str]()

    def write(self, pairs: Sequence[Pair], window: Window) -> None:
        for pair in pairs:
            if self._file is None:
                self._file = shard(self._folder, self.shards, self._ending).open("wb")
            self._file.write((self._between if self._in_shard else self._begin) + self._encode(pair))
            self._in_shard += 1
            if self._in_shard == self._limit:
                self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.write(self._end)
            self._file.close()
            self._file, self.shards, self._in_shard = None, self.shards + 1, 0


def shard(folder: Path, number: int, ending: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"train-{number:05d}.{ending}"
