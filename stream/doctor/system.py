"""Checks of the machine: Python, the log's folder and Java."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from engines.errors import UserError
from stream.doctor.rows import Row
from stream.log.sqlite import SqliteLog
from stream.log.sqlite.schema import FILE

PYTHONS = ((3, 11), (3, 13))
"""From the first, below the second."""
JAVA = 17
LOW_SPACE_BYTES = 2 << 30


def python() -> list[Row]:
    version = ".".join(map(str, sys.version_info[:3]))
    if PYTHONS[0] <= sys.version_info[:2] < PYTHONS[1]:
        return [Row("Python", "ok", version)]
    return [Row("Python", "missing", version, "use Python 3.11 or 3.12")]


def log_folder(folder: Path) -> list[Row]:
    """Whether a log can be kept in `folder` (which is not made here), and whether one that is there can be opened."""
    name = "log folder"
    home = folder
    while not home.exists() and home != home.parent:
        home = home.parent
    try:
        with tempfile.TemporaryFile(dir=home):
            pass
        if (folder / FILE).exists():
            SqliteLog(folder).close()
    except UserError as e:
        return [Row(name, "missing", str(e), "name another folder with --log")]
    except OSError as e:
        return [Row(name, "missing", f"{home} cannot be written: {e.strerror}", "name another folder with --log")]
    free = shutil.disk_usage(home).free
    detail = f"{folder}, {free / 2**30:.0f} GiB free"
    if free < LOW_SPACE_BYTES:
        return [Row(name, "warn", detail, "free some space, or name another folder with --log")]
    return [Row(name, "ok", detail)]


def java() -> list[Row]:
    mend = f"install Java {JAVA} or newer, or name a running broker in STREFER_KAFKA"
    program = shutil.which("java")
    if program is None:
        return [Row("Java", "warn", "not found; only a Kafka broker of your own needs it", mend)]
    result = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=False)
    said = (result.stderr or result.stdout).strip().split("\n")[0]
    number = re.search(r'version "(\d+)', said)
    if result.returncode or number is None or int(number.group(1)) < JAVA:
        return [Row("Java", "warn", said or f"exit code {result.returncode}", mend)]
    return [Row("Java", "ok", said)]
