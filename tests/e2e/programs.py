"""Whole programs of ours, started, killed and read in tests."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from stream.log import ANNOTATIONS
from stream.log.sqlite import SqliteLog
from tests.running import environment

ROOT = Path(__file__).parents[2]
SESSION_S = 2.0
"""Session of the workers that are killed, so that they are soon replaced."""


def start(*arguments: str, out: Path | None = None) -> subprocess.Popen[bytes]:
    """`strefer ARGUMENTS` in a process of its own, what it prints in `out` or thrown away."""
    command = [sys.executable, "-m", "stream.cli", *arguments]
    with (out or Path(os.devnull)).open("wb") as file:
        return subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=file, stderr=file)


def finish(process: subprocess.Popen[bytes], within_s: float = 120.0) -> None:
    """Wait for a program that must end well."""
    try:
        assert process.wait(within_s) == 0
    finally:
        process.kill()
        process.wait()


def commits(home: Path) -> int:
    """Annotation events in a log's folder so far."""
    if not (home / "log.sqlite").exists():
        return 0
    with closing(SqliteLog(home)) as log:
        return sum(1 for _ in log.read(ANNOTATIONS))


def kill_somewhere(processes: Sequence[subprocess.Popen[bytes]], home: Path, dice: random.Random) -> bool:
    """Kill -9 at a random moment: while starting up, or up to a second after new events were committed. False where
    all had ended before."""
    at_once, delay_s = dice.random() < 0.25, dice.uniform(0, 1.0)
    before = commits(home)
    until = time.monotonic() + 30
    while not at_once and time.monotonic() < until and commits(home) == before:
        if all(p.poll() is not None for p in processes):
            return False
        time.sleep(0.03)
    time.sleep(delay_s)
    running = [p for p in processes if p.poll() is None]
    for p in processes:
        p.kill()
        p.wait()
    return bool(running)


def events(lines: bytes) -> list[bytes]:
    """The lines of annotations.jsonl but `chunk.done`, which alone holds wall-clock times."""
    return [line for line in lines.splitlines() if b'"type":"chunk.done"' not in line]
