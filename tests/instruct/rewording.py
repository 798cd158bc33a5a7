"""What the tests of rewriting share: a clip, a run with `--llm`, servers' answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from instruct.formats.jsonl import read
from stream.cli import main
from tests.chat_server import Reply, Served, completion

Told = dict[str, Any]
LIMIT = "60"


def rewritten(annotated: Path, out: Path, url: str, *options: str) -> int:
    return main([
        "instruct", str(annotated), "--out", str(out), "--limit", LIMIT, "--llm", url, "--llm-model", "m",
        "--llm-cache", str(out.parent / "cache"), *options,
    ])  # fmt: skip


def asked_pairs(asked: Told) -> list[Told]:
    return [json.loads(line) for line in asked["messages"][-1]["content"].splitlines()]


def polite(pair: Told) -> Told:
    """An honest paraphrase of any pair."""
    head = pair["question"].partition("\n")[0]
    return {**pair, "question": f"Looking at the video, {head[0].lower()}{head[1:]}"}


def answering(change: Callable[[Told], Told]) -> Callable[[Told], Reply]:
    return lambda asked: completion({"pairs": [change(p) for p in asked_pairs(asked)]}, tokens=100)


BEHAVES = answering(polite)


def texts(out: Path) -> list[tuple[str, str, str, str]]:
    return [(p.id, p.question, p.answer, p.source) for p in read(out / "jsonl")]


def told_twice(served: Served) -> list[str]:
    said = Counter(json.dumps(p | {"n": 0}) for asked in served.asked for p in asked_pairs(asked))
    return [text for text, n in said.items() if n > 1]
