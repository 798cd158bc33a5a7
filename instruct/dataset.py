"""Annotation files -> a dataset in a folder, which appears when it is complete."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from engines.errors import UserError
from instruct import formats
from instruct.card import page
from instruct.make import Options, Tally, pairs_of
from instruct.pair import Pair, Unit
from instruct.read import Annotations, Tell, windows

if TYPE_CHECKING:
    from instruct.rewrite import Rewriter

_MARK = ".strefer-instruct"


@dataclass(frozen=True, slots=True)
class Written:
    out: Path
    tally: Tally
    examples: dict[str, Pair] = field(default_factory=dict)
    """The first pair of each group."""


def write(
    files: Sequence[Annotations], out: Path, options: Options, *, names: Sequence[str] = ("jsonl",),
    limit: int | None = None, least_clip_us: int = 30_000_000, shard_pairs: int = 10_000, fresh: bool = False,
    tell: Tell = lambda _: None, rewrite: Rewriter | None = None,
) -> Written:  # fmt: skip
    """Write the dataset of checked files. names: of formats; limit: most pairs in all; rewrite: words the kept pairs.

    Memory holds a clip of each feed and a row group. Raises UserError where the folder cannot be written or holds
    something else (a former dataset of ours is replaced with `fresh`).
    """
    _check_place(out, fresh=fresh)
    part = out.with_name(out.name + ".part")
    done = Written(out, Tally())
    try:
        _make_part(part)
        with ExitStack() as stack:
            writers = [formats.writer(name, part, shard_pairs) for name in names]
            for w in writers:
                stack.callback(w.close)
            for window in windows(files, least_us=least_clip_us, tell=tell):
                units = pairs_of(window, options, done.tally)
                kept: list[Unit] = []
                for unit in units:
                    if limit is not None and done.tally.pairs + len(unit) > limit:
                        done.tally.rejected["over --limit"] += len(unit)
                        continue
                    for pair in unit:
                        done.tally.take(pair)
                    kept.append(unit)
                pairs = [p for unit in (rewrite(window, kept) if rewrite else kept) for p in unit]
                for pair in pairs:
                    done.examples.setdefault(pair.group, pair)
                for w in writers:
                    w.write(pairs)
                if limit is not None and done.tally.pairs >= limit - 1:
                    break
        if not done.tally.pairs:
            raise UserError(
                "no pair came of these annotations: nobody is in sight for long enough, or no segment is closed"
            )
        (part / "README.md").write_text(
            page(done.tally, options, done.examples, names, rewrite.section() if rewrite else ""), "utf-8"
        )
        if out.exists():
            shutil.rmtree(out)
        part.replace(out)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return done


def _check_place(out: Path, *, fresh: bool) -> None:
    if not out.exists():
        return
    ours = (out / _MARK).is_file()
    if out.is_dir() and (not any(out.iterdir()) or (ours and fresh)):
        return
    mend = "--fresh replaces it, or choose another --out" if ours else "choose another --out"
    raise UserError(f"{out} is there already: {mend}")


def _make_part(part: Path) -> None:
    try:
        if part.exists():  # of a run that was killed
            if not (part / _MARK).is_file():
                raise UserError(f"{part} is in the way and not ours: move it, or choose another --out")
            shutil.rmtree(part)
        part.mkdir(parents=True)
        (part / _MARK).touch()
    except OSError as e:
        raise UserError(f"cannot write to {part}: {e.strerror}; choose another --out") from None
