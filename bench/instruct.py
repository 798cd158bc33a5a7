"""Pairs a second on one core, and pairs a minute of video by group: `python -m bench.instruct ANNOTATIONS...`.

ANNOTATIONS is what `strefer annotate` wrote. Speed is that of making and confirming candidates (drawn pairs) and of
kept pairs, reading of the file included, writing not; the clips are gone through again until 5 s have passed.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from instruct.make import Options, Tally, pairs_of
from instruct.pair import GROUPS
from instruct.read import check, find, windows

LEAST_S = 5.0


def run(options: Options, paths: Sequence[Path]) -> tuple[Tally, Counter[str], float]:
    """What comes of all clips with seeds counted up from the options' one; pairs by group; CPU seconds."""
    tally, groups = Tally(), Counter[str]()
    started = time.process_time()
    while time.process_time() - started < LEAST_S:
        for window in windows(check(find(paths)), least_us=30_000_000):
            for unit in pairs_of(window, options, tally):
                for pair in unit:
                    tally.take(pair)
                    groups[pair.group] += 1
    return tally, groups, time.process_time() - started


def main(arguments: Sequence[str]) -> None:
    paths = [Path(a) for a in arguments]
    print("| mix | drawn/s/core | kept/s/core | " + " | ".join(f"{g}/min" for g in GROUPS) + " |")
    print("|---" * (3 + len(GROUPS)) + "|")
    for name, options in (("strefer", Options()), ("all", Options(mix=None, per_minute=1_000_000, cap=1_000_000))):
        tally, groups, seconds = run(options, paths)
        minutes = tally.video_us / 60e6
        cells = [f"{tally.drawn / seconds:,.0f}", f"{tally.pairs / seconds:,.0f}"]
        cells += [f"{groups[g] / minutes:,.0f}" for g in GROUPS]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(sys.argv[1:])
