"""`strefer deadletter` from the outside; what workers make of a replayed message is in tests/e2e/test_bad_chunks.py."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from stream.chunk import EndHeader, encode_header
from stream.cli import main
from stream.deadletter import letter, read_letter, revive
from stream.log import CHUNKS, DEADLETTER, Log, Message, Record
from stream.log.sqlite import SqliteLog

HEADERS = encode_header(EndHeader(feed="door", seq=3, at_us=0, reason="end"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A log with a message of two feeds each, and their dead letters: the second is too large to be carried."""
    with closing(SqliteLog(tmp_path)) as log:
        with log.transaction() as tx:
            tx.send(Message(CHUNKS, "door", b"small", HEADERS))
            tx.send(Message(CHUNKS, "yard", b"x" * 100, {"ce_type": "?"}))
        with log.transaction() as tx:
            for record in log.read(CHUNKS):
                tx.send(letter(record, "no good", max_bytes=50))
    return tmp_path


def chunks(home: Path) -> list[Record]:
    with closing(SqliteLog(home)) as log:
        return list(log.read(CHUNKS))


def strefer(home: Path, *arguments: str) -> int:
    return main(["deadletter", *arguments, "--log", str(home)])


def test_list(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert strefer(home, "list") == 0
    head, door, yard = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["offset", "feed", "seq"]
    assert door.split()[:3] == ["0", "door", "3"]
    assert "5 B" in door
    assert yard.split()[:3] == ["1", "yard", "-"]
    assert yard.endswith("left out  no good")
    assert strefer(home, "list", "--feed", "yard") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert strefer(home, "list", "--feed", "hall") == 0
    assert "holds no dead letter of hall" in capsys.readouterr().out


def test_show(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert strefer(home, "show", "0") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["key"], shown["bytes"]) == ("door", 5)
    assert shown["headers"] == {
        **HEADERS, "strefer_dead_topic": CHUNKS, "strefer_dead_partition": shown["headers"]["strefer_dead_partition"],
        "strefer_dead_offset": "0", "strefer_dead_reason": "no good",
    }  # fmt: skip
    assert strefer(home, "show", "7") == 2
    assert "there is no dead letter 7" in capsys.readouterr().err


def test_replay_one(home: Path) -> None:
    assert strefer(home, "replay", "0") == 0
    *_, again = chunks(home)
    assert (again.key, again.value, again.headers) == ("door", b"small", {**HEADERS, "strefer_replayed": "0"})


def test_replay_of_a_letter_without_its_value_reads_the_original(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert strefer(home, "replay", "--all", "--feed", "yard") == 0
    *_, again = chunks(home)
    assert (again.key, again.value) == ("yard", b"x" * 100)
    assert again.headers == {"ce_type": "?", "strefer_replayed": "1"}
    with closing(SqliteLog(home)) as log:
        log.truncate(CHUNKS, keep_bytes=0, even_unread=True)
    assert strefer(home, "replay", "1") == 2
    assert "carries no value" in capsys.readouterr().err


def test_claim_checks_are_made_anew() -> None:
    """The log gives a record its value; its address in the store must not travel on beside it."""
    headers = {**HEADERS, "ce_dataref": "x?crc32=1"}
    record = Record(CHUNKS, 0, 7, "door", b"x" * 100, headers, 0)
    assert "ce_dataref" not in letter(record, "", max_bytes=50).headers
    lost = Record(CHUNKS, 0, 7, "door", b"", {**headers, "strefer_lost_claim": "gone"}, 0)
    for one, kept in ((record, False), (lost, True)):
        dead = letter(one, "", max_bytes=500)
        read = read_letter(Record(DEADLETTER, 0, 3, dead.key, dead.value, dead.headers, 0))
        again = revive(cast(Log, None), read)  # it carries its value: nothing is looked up
        assert ("ce_dataref" in again.headers, "strefer_lost_claim" in again.headers) == (kept, False)


def test_replay_all(home: Path) -> None:
    assert strefer(home, "replay", "--all") == 0
    assert [r.key for r in chunks(home)] == ["door", "yard", "door", "yard"]


@pytest.mark.parametrize("arguments", [[], ["0", "--all"], ["0", "--feed", "door"]])
def test_which_must_be_said(home: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert strefer(home, "replay", *arguments) == 2
    assert "replay wants" in capsys.readouterr().err


def test_strangers_in_the_topic_are_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(SqliteLog(home)) as log, log.transaction() as tx:
        tx.send(Message(DEADLETTER, "door", b"", {"a": "b"}))
    assert strefer(home, "list") == 0
    assert "does not say where it comes from" in capsys.readouterr().err
