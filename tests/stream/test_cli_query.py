"""`strefer query` from the outside."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from stream.cli import main
from stream.events import TOO_LATE
from stream.log import QUERIES, STATE, Message
from stream.log.sqlite import SqliteLog
from stream.queries import QueryRequest, decode_request
from stream.refer import Query
from stream.region import parse_region
from stream.state import FeedState, snapshot


@pytest.fixture
def home(tmp_path: Path) -> Path:
    SqliteLog(tmp_path / "run").close()
    return tmp_path / "run"


def table(home: Path) -> dict[str, QueryRequest]:
    with closing(SqliteLog(home)) as log:
        return {key: decode_request(value) for key, value in log.table(QUERIES).items()}


def strefer(home: Path, *arguments: str) -> int:
    return main(["query", *arguments, "--log", str(home)])


def test_add_names_it_and_does_not_double(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert strefer(home, "add", "--feed", "door", "the man in red") == 0
    assert capsys.readouterr().out.startswith("the-man-in-red: added, feed door")
    assert strefer(home, "add", "--feed", "door", " the man in red ") == 0
    assert "the-man-in-red: feed door is asked that already" in capsys.readouterr().out
    assert strefer(home, "add", "--feed", "door", "the man in red!") == 0
    assert strefer(home, "add", "--all-feeds", "the dog", "--id", "rex") == 0
    assert strefer(home, "add", "--feed", "*", "the dog") == 0
    assert "rex: every feed is asked that already" in capsys.readouterr().out
    assert table(home) == {
        "door/the-man-in-red": QueryRequest("the man in red"),
        "door/the-man-in-red-2": QueryRequest("the man in red!"),
        "*/rex": QueryRequest("the dog"),
    }


def test_an_id_is_asked_anew(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert strefer(home, "add", "--feed", "door", "--id", "a", "the dog") == 0
    assert strefer(home, "add", "--feed", "door", "--id", "a", "the cat") == 0
    assert "a: changed" in capsys.readouterr().out
    assert table(home) == {"door/a": QueryRequest("the cat")}


def test_regions(home: Path) -> None:
    assert strefer(home, "add", "--feed", "door", "the dog", "--roi", "0,0,0.5,1") == 0
    assert strefer(home, "add", "--feed", "door", "--roi", "0,0 1,0 0.5,1") == 0
    assert table(home) == {
        "door/the-dog": QueryRequest("the dog", parse_region("0,0,0.5,1")),
        "door/region": QueryRequest(roi=parse_region("0,0 1,0 0.5,1")),
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["the dog"], "--feed ID or --all-feeds"),
        (["the dog", "--feed", "a", "--all-feeds"], "--feed ID or --all-feeds"),
        (["--feed", "a"], "an expression"),
        (["xyzzy", "--feed", "a"], "nothing in the query 'xyzzy' is understood"),
        (["the dog", "--feed", "a/b"], "is no name for a feed"),
        (["the dog", "--feed", ".."], "is no name for a feed"),
        (["the dog", "--feed", "日" * 67], "200 bytes at most"),
        (["the dog", "--feed", "a", "--id", "b c"], "is no name for a query"),
        (["the dog", "--feed", "a", "--id", "*"], "is no name for a query"),
        (["the dog", "--feed", "a", "--roi", "0,0,2,2"], "leaves the frame"),
        (["--feed", "a", "--roi", ""], "encloses nothing"),
    ],
)
def test_mistakes_are_one_line(home: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert strefer(home, "add", *arguments) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert table(home) == {}


def test_words_without_effect_are_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert strefer(home, "add", "--feed", "door", "the dog with a frobnitz") == 0
    assert "without effect: frobnitz" in capsys.readouterr().err


def test_no_log_is_no_place_for_a_query(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert strefer(tmp_path / "none", "add", "--feed", "a", "the dog") == 2
    assert "holds no log" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_list_tells_what_each_is_bound_to(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert strefer(home, "list") == 0
    assert "holds no query" in capsys.readouterr().out
    state = FeedState("door", started=True)
    state.refer.queries = [
        Query("rex", "the dog", said=[3], said_kind="bound"),
        Query("two", "the cat", said=[1, 4], said_kind="ambiguous"),
    ]
    with closing(SqliteLog(home)) as log, log.transaction() as tx:
        tx.send(Message(STATE, "door", snapshot(state)))
        tx.send(Message(STATE, "producer/door", b"{}"))
        tx.send(Message(STATE, "writer/producer/door", b"token"))
        for key, value in (("*/rex", b'{"text":"the dog"}'), ("door/two", b'{"text":"the cat"}'),
                           ("yard/old", b'{"text":"the bird"}'), ("yard/bad", b"{")):  # fmt: skip
            tx.send(Message(QUERIES, key, value))
    assert strefer(home, "add", "--feed", "door", "--roi", "0,0,0.5,1") == 0
    capsys.readouterr()
    assert strefer(home, "list") == 0
    rows = [line.split(None, 2) for line in capsys.readouterr().out.splitlines()[1:]]
    assert [(row[0], row[1]) for row in rows] == [
        ("rex", "*"), ("region", "door"), ("two", "door"), ("bad", "yard"), ("old", "yard")
    ]  # fmt: skip
    assert rows[0][2].endswith("entity 3")
    assert rows[1][2].split(None, 1) == ["0,0,0.5,1", "mask of the feed"]
    assert rows[2][2].endswith("ambiguous: 1, 4")
    assert rows[3][2].endswith("it does not read")
    assert rows[4][2].endswith("nobody yet")
    assert strefer(home, "list", "--feed", "yard") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["rex", "bad", "old"]


@pytest.mark.parametrize(
    ("started", "looked", "says"),
    [(True, True, "nobody yet"), (False, True, "nobody: the feed has ended"), (False, False, TOO_LATE)],
)
def test_list_says_whether_anybody_may_yet_be_found(
    home: Path, started: bool, looked: bool, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    state = FeedState("door", started=started)
    state.refer.queries = [Query("rex", "the dog", looked=looked)]
    with closing(SqliteLog(home)) as log, log.transaction() as tx:
        tx.send(Message(STATE, "door", snapshot(state)))
        tx.send(Message(QUERIES, "door/rex", b'{"text":"the dog"}'))
        tx.send(Message(QUERIES, "door/new", b'{"text":"the cat"}'))
    assert strefer(home, "list") == 0
    new, rex = capsys.readouterr().out.splitlines()[1:]
    assert rex.endswith(says)
    assert new.endswith("nobody yet" if started else "nobody yet: the feed has ended"), "no worker has read it"


def test_remove(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for feed in ("door", "yard"):
        assert strefer(home, "add", "--feed", feed, "the dog") == 0
    capsys.readouterr()
    assert strefer(home, "remove", "the-cat") == 2
    assert "there is no query 'the-cat'; known: the-dog" in capsys.readouterr().err
    assert strefer(home, "remove", "the-dog") == 2
    assert "asked of door, yard: name one by --feed" in capsys.readouterr().err
    assert strefer(home, "remove", "the-dog", "--feed", "yard") == 0
    assert "the-dog: removed" in capsys.readouterr().out
    assert list(table(home)) == ["door/the-dog"]
    assert strefer(home, "remove", "the-dog") == 0
    assert table(home) == {}


def test_what_only_a_model_may_read_is_posted_as_it_is(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert strefer(home, "add", "--feed", "door", "zorp zorp") == 2
    assert "is understood" in capsys.readouterr().err
    assert strefer(home, "add", "--feed", "door", "zorp zorp", "--as-it-is") == 0
    assert [r.text for r in table(home).values()] == ["zorp zorp"]
    capsys.readouterr()
    assert strefer(home, "list") == 0
    assert "only workers with --llm may read it" in capsys.readouterr().out
