"""The cache of built files: whole or not there, built once, also by two processes at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engines.cache import Cache, Key
from engines.errors import UserError

KEY = Key("net", ".plan", (("weights", "abc"), ("gpu", "H100")))


def writer(data: bytes, count: list[int]) -> object:
    def make(path: Path) -> None:
        count.append(1)
        path.write_bytes(data)

    return make


def test_built_once(tmp_path: Path) -> None:
    cache, made = Cache(tmp_path / "c"), []
    assert cache.get(KEY) is None
    first = cache.build(KEY, writer(b"plan", made))
    assert cache.build(KEY, writer(b"other", made)) == first == cache.get(KEY)
    assert (first.read_bytes(), len(made)) == (b"plan", 1)
    (entry,) = cache.entries()
    assert (entry.path, dict(entry.facts), entry.size_bytes) == (first, dict(KEY.facts), 4)


@pytest.mark.parametrize(
    "other",
    [
        Key("net2", ".plan", KEY.facts),
        Key("net", ".onnx", KEY.facts),
        Key("net", ".plan", (("weights", "abd"), ("gpu", "H100"))),
        Key("net", ".plan", (("weights", "abc"), ("gpu", "H200"))),
        Key("net", ".plan", (*KEY.facts, ("tensorrt", "11"))),
    ],
)
def test_any_other_fact_is_another_file(other: Key) -> None:
    assert other.digest != KEY.digest
    assert Key("net", ".plan", tuple(reversed(KEY.facts))).digest == KEY.digest


@pytest.mark.parametrize("harm", [b"plam", b"pla", b""])
def test_a_damaged_file_is_built_anew_with_one_line(tmp_path: Path, harm: bytes) -> None:
    said: list[str] = []
    cache, made = Cache(tmp_path, say=said.append), []
    path = cache.build(KEY, writer(b"plan", made))
    path.write_bytes(harm)
    assert cache.build(KEY, writer(b"plan", made)).read_bytes() == b"plan"
    assert (said, len(made)) == ([f"{path} is damaged: it is built anew"], 2)


def test_a_broken_off_build_leaves_nothing_that_counts(tmp_path: Path) -> None:
    cache, made = Cache(tmp_path), []

    def fails(path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        cache.build(KEY, fails)
    (tmp_path / KEY.filename).write_bytes(b"a file without its note")
    assert cache.get(KEY) is None
    assert cache.entries() == []
    assert cache.build(KEY, writer(b"plan", made)).read_bytes() == b"plan"
    assert not list(tmp_path.glob(".building-*"))


@pytest.mark.parametrize("note", ["", "[]", json.dumps({"facts": {}})])
def test_a_note_that_does_not_read(tmp_path: Path, note: str) -> None:
    cache, made = Cache(tmp_path), []
    path = cache.build(KEY, writer(b"plan", made))
    path.with_name(path.name + ".json").write_text(note)
    assert cache.get(KEY) is None
    cache.build(KEY, writer(b"plan", made))
    assert len(made) == 2


def test_two_processes_build_it_once(tmp_path: Path) -> None:
    say = f"""
import time
from pathlib import Path
from engines.cache import Cache, Key
def make(path):
    with Path({str(tmp_path / "built")!r}).open("a") as f:
        f.write("x")
    time.sleep(0.3)
    path.write_bytes(b"plan")
print(Cache(Path({str(tmp_path / "c")!r})).build(Key("net", ".plan", ()), make).read_bytes())
"""
    root = Path(__file__).parents[2]
    both = [subprocess.Popen([sys.executable, "-c", say], cwd=root, stdout=subprocess.PIPE) for _ in range(2)]
    assert [p.communicate(timeout=60)[0] for p in both] == [b"b'plan'\n"] * 2
    assert (tmp_path / "built").read_text() == "x"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write the engine cache .*; set STREFER_CACHE"):
        Cache(tmp_path / "file" / "c").build(KEY, writer(b"", []))


def test_a_small_file_is_replaced(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with cache.locked("timing"):
        cache.write("timing", b"one")
        assert cache.write("timing", b"two").read_bytes() == b"two"
    assert cache.entries() == []
