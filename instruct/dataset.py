"""Annotations -> a dataset in a folder, which appears when it is complete; or what is new of them added to one.

The mark in the folder remembers how far each feed is in it and how many shards there are. What is added is written
beside the dataset and moved into it, the mark last: a run that is killed before leaves shards that the next one
replaces by the same. A shard that the mark counts is never written to again.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import msgspec

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
    """What a dataset holds. added: pairs of this run."""

    out: Path
    tally: Tally
    examples: dict[str, Pair] = field(default_factory=dict)
    """The first pair of each group."""
    done_us: dict[str, int] = field(default_factory=dict)
    """By feed: the end of the last clip."""
    shards: dict[str, int] = field(default_factory=dict)
    added: int = 0


def write(
    files: Sequence[Annotations], out: Path, options: Options, *, names: Sequence[str] = ("jsonl",),
    limit: int | None = None, least_clip_us: int = 30_000_000, shard_pairs: int = 10_000, fresh: bool = False,
    add: bool = False, tell: Tell = lambda _: None, rewrite: Rewriter | None = None,
) -> Written:  # fmt: skip
    """Write the dataset of checked files. names: of formats; limit: most pairs, drawn from all clips; rewrite: words
    the kept pairs. add: to the dataset that is there, of each feed what it does not hold yet.

    Memory holds a clip of each feed and a row group. Raises UserError where the folder cannot be written or holds
    something else (a former dataset of ours is replaced with `fresh`).
    """
    out = out.resolve()
    part = out.with_name(out.name + ".part")
    lock = _make_part(part)
    try:
        before = _before(out, names) if add else None
        if before is None:
            _check_place(out, fresh=fresh)
        done = before or Written(out, Tally())
        had, done_us = done.tally.pairs, dict(done.done_us)
        drawn = None if limit is None else _draw(files, options, limit, least_clip_us, done_us)
        with ExitStack() as stack:
            writers = {n: formats.writer(n, part, shard_pairs, done.shards.get(n, 0)) for n in names}
            for w in writers.values():
                stack.callback(w.close)
            for window in windows(files, least_us=least_clip_us, tell=tell, done_us=done_us):
                units = pairs_of(window, options, done.tally)
                kept: list[Unit] = []
                for unit in units:
                    if drawn is not None and unit[0].id not in drawn:
                        done.tally.rejected["over --limit"] += len(unit)
                        continue
                    for pair in unit:
                        done.tally.take(pair)
                    kept.append(unit)
                pairs = [p for unit in (rewrite(window, kept) if rewrite else kept) for p in unit]
                for pair in pairs:
                    done.examples.setdefault(pair.group, pair)
                for w in writers.values():
                    w.write(pairs, window)
                done.done_us[window.feed] = window.end_us
        if not done.tally.pairs:
            raise UserError(
                "no pair came of these annotations: nobody is in sight for long enough, or no segment is closed"
            )
        for w in writers.values():
            done.tally.rejected.update(w.left_out)
        shards = {n: w.shards for n, w in writers.items()}
        done = replace(done, shards=shards, added=done.tally.pairs - had)
        section = rewrite.section() if rewrite else ""
        (part / "README.md").write_text(page(done.tally, options, done.examples, names, section), "utf-8")
        (part / _MARK).write_bytes(_encode(done))
        _move(part, out, into=before is not None)
    except OSError as e:  # no space left; of another run's doing
        shutil.rmtree(part, ignore_errors=True)
        raise UserError(f"cannot write {out}: {e.strerror or e}; make room, or choose another --out") from None
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    finally:
        os.close(lock)
    return done


def _draw(
    files: Sequence[Annotations], options: Options, limit: int, least_clip_us: int, done_us: dict[str, int]
) -> set[str]:
    """Ids of the first pairs of as many units as are kept of all clips: a first pass that writes nothing."""
    rng = Random(f"{options.seed}/limit")
    kept: list[tuple[float, str, int]] = []
    pairs = 0
    for window in windows(files, least_us=least_clip_us, done_us=done_us):
        for unit in pairs_of(window, options, Tally()):
            heapq.heappush(kept, (rng.random(), unit[0].id, len(unit)))
            pairs += len(unit)
            while pairs > limit:
                pairs -= heapq.heappop(kept)[2]
    return {name for _, name, _ in kept}


def _move(part: Path, out: Path, *, into: bool) -> None:
    """A finished part takes its place, or goes into the dataset that is there: shards, the card, and the mark last."""
    if not into:
        if out.exists():
            shutil.rmtree(out)
        part.replace(out)
        return
    for shard in sorted(part.glob("*/*")):
        (out / shard.parent.name).mkdir(exist_ok=True)
        shard.replace(out / shard.parent.name / shard.name)
    for name in ("README.md", _MARK):
        (part / name).replace(out / name)
    shutil.rmtree(part)


class _Mark(msgspec.Struct):
    """The mark: counts so far (of a dataset of an older version: nothing)."""

    version: int
    kept: list[tuple[str, str, str, int]]
    said: dict[str, int]
    rejected: dict[str, int]
    drawn: int
    clips: int
    video_us: int
    done_us: dict[str, int]
    shards: dict[str, int]
    examples: dict[str, Pair]


def _encode(done: Written) -> bytes:
    t = done.tally
    kept = [(*key, n) for key, n in sorted(t.kept.items())]
    return msgspec.json.encode(
        _Mark(
            1, kept, dict(t.said), dict(t.rejected), t.drawn, t.clips, t.video_us, done.done_us, done.shards,
            done.examples,
        )
    )  # fmt: skip


def _before(out: Path, names: Sequence[str]) -> Written | None:
    """The dataset that is there, None where there is none. Raises UserError where it cannot be added to."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    try:
        mark = msgspec.json.decode((out / _MARK).read_bytes(), type=_Mark)
    except (OSError, msgspec.MsgspecError):
        raise UserError(
            f"{out} is no dataset that --add can add to: choose another --out, or replace one of ours with --fresh"
        ) from None
    if set(mark.shards) != set(names):
        raise UserError(f"{out} holds {','.join(sorted(mark.shards))}: --add wants the same --formats")
    tally = Tally(drawn=mark.drawn, clips=mark.clips, video_us=mark.video_us, feeds=set(mark.done_us))
    tally.kept.update({(group, family, form): n for group, family, form, n in mark.kept})
    tally.said.update(mark.said)
    tally.rejected.update(mark.rejected)
    return Written(out, tally, mark.examples, mark.done_us, mark.shards)


def _check_place(out: Path, *, fresh: bool) -> None:
    if not out.exists():
        return
    ours = (out / _MARK).is_file()
    if out.is_dir() and (not any(out.iterdir()) or (ours and fresh)):
        return
    mend = "--add goes on with it, --fresh replaces it, or choose another --out" if ours else "choose another --out"
    raise UserError(f"{out} is there already: {mend}")


def _make_part(part: Path) -> int:
    """An empty part, and what locks it against other runs while it is open."""
    try:
        if part.exists():
            old = os.open(part, os.O_RDONLY)
            try:
                fcntl.flock(old, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Of a run that was killed; at either end of its work only folders are left.
                if not (part / _MARK).is_file() and any(p.is_file() for p in part.rglob("*")):
                    raise UserError(f"{part} is in the way and not ours: move it, or choose another --out")
                shutil.rmtree(part)
            finally:
                os.close(old)
        part.mkdir(parents=True)
        lock = os.open(part, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (part / _MARK).touch()
    except (BlockingIOError, FileExistsError):
        raise UserError(f"another run writes to {part}: wait for it, or choose another --out") from None
    except OSError as e:
        raise UserError(f"cannot write to {part}: {e.strerror}; choose another --out") from None
    return lock
