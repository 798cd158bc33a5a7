"""Pairs a second on one core, and pairs a minute of video by group: `python -m bench.instruct ANNOTATIONS...`.

ANNOTATIONS is what `strefer annotate` wrote. `candidates` are what was drawn, `pairs` what was kept, every one
confirmed; *from events* counts all but reading (the clips are in memory), *from the file* counts both readings too, *to
shards* also writing JSON lines. Each is gone through again, with the next seed, until 5 s of CPU have passed.

`--parts` tells where the time of a pair goes. `--scale` measures the first of ANNOTATIONS made longer and fuller.
`--memory MINUTES` makes a feed of that length of it and tells the most memory held until 10, 50, 100 % of it are read.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from bench import long_feed
from instruct import dataset, make
from instruct.clip import Window
from instruct.make import Options, Tally, pairs_of
from instruct.pair import GROUPS
from instruct.read import check, find, windows

LEAST_S = 5.0
LEAST_CLIP_US = 30_000_000
MIXES = {"strefer": Options(), "all": Options(mix=None, per_minute=1_000_000, cap=1_000_000)}


def from_events(clips: Iterable[Window], options: Options, tally: Tally) -> None:
    for window in clips:
        for unit in pairs_of(window, options, tally):
            for pair in unit:
                tally.take(pair)


def from_file(paths: Sequence[Path], options: Options, tally: Tally) -> None:
    from_events(windows(check(paths), least_us=LEAST_CLIP_US), options, tally)


def to_shards(paths: Sequence[Path], options: Options, tally: Tally) -> None:
    with tempfile.TemporaryDirectory() as folder:
        done = dataset.write(check(paths), Path(folder) / "out", options, least_clip_us=LEAST_CLIP_US)
    tally.kept += done.tally.kept
    tally.drawn += done.tally.drawn


def clips_of(paths: Sequence[Path]) -> list[Window]:
    """The clips in memory. They are gone through once untimed: what measures masks takes half a second to load, once a
    process."""
    clips = list(windows(check(paths), least_us=LEAST_CLIP_US))
    from_events(clips, Options(), Tally())
    return clips


def rate(once: Callable[[Options, Tally], None], options: Options) -> tuple[Tally, float]:
    """What came of it, gone through again and again; CPU seconds."""
    tally = Tally()
    started = time.process_time()
    while (seconds := time.process_time() - started) < LEAST_S:
        once(options, tally)
        options = replace(options, seed=options.seed + 1)
    return tally, seconds


def speed(paths: Sequence[Path]) -> None:
    clips = clips_of(paths)
    print("| mix | candidates, from events | pairs, from events | pairs, from the file | pairs, to shards |")
    print("|---" * 5 + "|")
    groups: dict[str, list[str]] = {}
    for name, options in MIXES.items():
        events, events_s = rate(lambda o, t: from_events(clips, o, t), options)
        file, file_s = rate(lambda o, t: from_file(paths, o, t), options)
        shards, shards_s = rate(lambda o, t: to_shards(paths, o, t), options)
        figures = (events.drawn / events_s, events.pairs / events_s, file.pairs / file_s, shards.pairs / shards_s)
        print(f"| {name} | {' | '.join(f'{n:,.0f}' for n in figures)} |", flush=True)
        kept = Counter[str]()
        for (group, _, _), n in events.kept.items():
            kept[group] += n
        groups[name] = [f"{kept[g] / (events.video_us / 60e6):,.0f}" for g in GROUPS]
    print("\n| mix | " + " | ".join(f"{g}/min" for g in GROUPS) + " |\n" + "|---" * (1 + len(GROUPS)) + "|")
    for name, cells in groups.items():
        print(f"| {name} | {' | '.join(cells)} |")


def parts(paths: Sequence[Path]) -> None:
    """Microseconds of a kept pair by part. CPU time; the watches themselves take one or two of them in each part."""
    spent = Counter[str]()

    def watch(owner: object, name: str, part: str) -> None:
        called = getattr(owner, name)

        def timed(*args: object, **named: object) -> object:
            began = time.process_time()
            out = called(*args, **named)
            spent[part] += time.process_time() - began  # type: ignore[assignment]
            return out

        setattr(owner, name, timed)

    from instruct import facts, verify

    clips = clips_of(paths)
    watch(facts, "measured", "measuring masks")
    watch(verify, "truth", "judging claims")
    watch(make, "fault", "checking")
    watch(make, "clip_of", "the two views of the clip")
    watch(make, "Facts", "the two views of the clip")
    watch(make, "distinct", "planning")
    watch(make, "sampled", "choosing, writing, checking")
    for name, options in MIXES.items():
        spent.clear()
        tally, _ = rate(lambda o, t: from_events(clips, o, t), options)
        read = time.process_time()
        passes = tally.clips // len(clips)
        list(windows(check(paths), least_us=LEAST_CLIP_US))
        spent["reading the file twice"] = (time.process_time() - read) * passes  # type: ignore[assignment]
        us = {part: n * 1e6 / tally.pairs for part, n in spent.items()}
        us["writing"] = us.pop("choosing, writing, checking") - us["checking"]
        us["checking: the text"] = us.pop("checking") - us["judging claims"]
        us["checking: claims"] = us.pop("judging claims") - us["measuring masks"]
        us["checking: measuring masks"] = us.pop("measuring masks")
        print(name, *(f"{part} {n:.1f}" for part, n in sorted(us.items(), key=lambda x: -x[1])), sep="; ")


def scale(path: Path) -> None:
    print("| feed | clips | pairs | mix | pairs/s, from events | from the file |\n" + "|---" * 6 + "|")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "annotations.jsonl"
        for minutes, beside in ((0.1, 1), (2, 1), (10, 1), (2, 2), (2, 4)):
            size = long_feed.write(path, made, minutes=minutes, beside=beside)
            clips = clips_of([made])
            for name, options in MIXES.items():
                events, events_s = rate(lambda o, t, clips=clips: from_events(clips, o, t), options)  # type: ignore[misc]
                file, file_s = rate(lambda o, t: from_file([made], o, t), options)
                pairs = events.pairs * len(clips) // events.clips
                feed = f"{minutes:g} min, entities x {beside}, {size / 1e6:,.0f} MB"
                rates = f"{events.pairs / events_s:,.0f} | {file.pairs / file_s:,.0f}"
                print(f"| {feed} | {len(clips)} | {pairs:,} | {name} | {rates} |", flush=True)


def memory(path: Path, minutes: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "annotations.jsonl"
        size = long_feed.write(path, made, minutes=minutes)
        before = _peak_mb()
        files = check([made])
        print(f"{size / 1e6:,.0f} MB of annotations, {minutes:g} minutes; {before:.0f} MB held at first, "
              f"{_peak_mb():.0f} MB once they are checked", flush=True)  # fmt: skip
        marks = [(share, size * share // 100) for share in (10, 50, 100)]
        done = 0

        def tell(n: int) -> None:
            nonlocal done
            done += n
            while marks and done >= marks[0][1]:
                print(f"{marks.pop(0)[0]} %: {_peak_mb():.0f} MB at most", flush=True)

        began = time.process_time()
        out = dataset.write(files, Path(folder) / "out", Options(), least_clip_us=LEAST_CLIP_US, tell=tell)
        seconds = time.process_time() - began
        print(f"{out.tally.pairs:,} pairs of {out.tally.clips} clips in {seconds:.0f} s; {_peak_mb():.0f} MB at most")


def _peak_mb() -> float:
    """The most memory this process ever held (Linux tells kilobytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.instruct")
    parser.add_argument("annotations", nargs="+", type=Path)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--parts", action="store_true")
    what.add_argument("--scale", action="store_true")
    what.add_argument("--memory", type=float, metavar="MINUTES")
    given = parser.parse_args(arguments)
    paths = find(given.annotations)
    if given.parts:
        parts(paths)
    elif given.scale:
        scale(paths[0])
    elif given.memory:
        memory(paths[0], given.memory)
    else:
        speed(paths)


if __name__ == "__main__":
    main(sys.argv[1:])
