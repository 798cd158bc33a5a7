"""The same fields as JSONL in Apache Parquet; the one file that needs pyarrow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engines.errors import UserError
from instruct.clip import Window
from instruct.formats import shard
from instruct.pair import Pair

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    raise UserError("the format parquet needs pyarrow: pip install '.[dataset]'") from None

_TEXTS = pa.list_(pa.string())
_SPAN = pa.list_(pa.int64())
_REGION = pa.struct([
    ("entity", pa.int64()), ("pts_us", pa.int64()),
    ("rle", pa.struct([("size", pa.list_(pa.int64())), ("counts", pa.string())])), ("bbox", pa.list_(pa.float64())),
])  # fmt: skip
_CLAIM = pa.struct([
    ("kind", pa.string()), ("holds", pa.bool_()), ("entity", pa.int64()), ("other", pa.int64()), ("text", pa.string()),
    ("start_us", pa.int64()), ("end_us", pa.int64()), ("n", pa.int64()), ("spans", pa.list_(_SPAN)),
])  # fmt: skip
_NAME = pa.struct([("entity", pa.int64()), ("text", pa.string())])
_NUMBERS = {"start_us", "end_us", "width", "height"}
_LISTS = {
    "options": _TEXTS, "regions": pa.list_(_REGION), "names": pa.list_(_NAME), "claims": pa.list_(_CLAIM),
    "evidence": _TEXTS,
}  # fmt: skip
SCHEMA = pa.schema([
    (name, _LISTS.get(name, pa.int64() if name in _NUMBERS else pa.string())) for name in Pair.__struct_fields__
])  # fmt: skip
_ROWS = 1000
"""Of a row group."""


class ParquetWriter:
    def __init__(self, folder: Path, shard_pairs: int, first: int = 0) -> None:
        self._folder, self._limit = folder, shard_pairs
        self._rows: list[Pair] = []
        self._open: pq.ParquetWriter | None = None
        self.shards, self._in_shard = first, 0
        self.left_out = Counter[str]()

    def write(self, pairs: Sequence[Pair], window: Window) -> None:
        for pair in pairs:
            self._rows.append(pair)
            self._in_shard += 1
            if self._in_shard == self._limit:
                self.close()
            elif len(self._rows) == _ROWS:
                self._flush()

    def _flush(self) -> None:
        if self._open is None:
            self._open = pq.ParquetWriter(shard(self._folder, self.shards, "parquet"), SCHEMA, compression="zstd")
        rows = [msgspec.to_builtins(pair) for pair in self._rows]
        self._open.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
        self._rows = []

    def close(self) -> None:
        if self._rows:
            self._flush()
        if self._open is not None:
            self._open.close()
            self._open, self.shards, self._in_shard = None, self.shards + 1, 0
