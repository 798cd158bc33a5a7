"""Rewriting against a local server that behaves and misbehaves: what is kept is true, and nothing is asked twice."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from instruct.formats.jsonl import read
from instruct.pace import Pace
from instruct.pair import Pair
from stream.cli import main
from tests.chat_server import Reply, Served, completion, failure, serving
from tests.instruct.lies import lies
from tests.instruct.test_formats import put, told

Told = dict[str, Any]
LIMIT = "60"


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    put(folder, told().events)
    return folder


@pytest.fixture(scope="module")
def templates(annotated: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Pair]:
    """What comes out without a model."""
    out = tmp_path_factory.mktemp("plain") / "out"
    assert main(["instruct", str(annotated), "--out", str(out), "--limit", LIMIT, "--quiet"]) == 0
    return read(out / "jsonl")


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


def test_pairs_are_reworded_and_the_second_run_asks_nothing(
    annotated: Path, templates: list[Pair], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(BEHAVES) as served:
        assert rewritten(annotated, tmp_path / "a", served.url, "--formats", "jsonl,parquet,llava") == 0
        questions, n = len(served.asked), len(templates)
        assert f"{n} of {n} pairs rewritten by m: {questions} questions asked, {100 * questions} tokens" in (
            capsys.readouterr().out
        )
        assert rewritten(annotated, tmp_path / "b", served.url, "--formats", "jsonl,parquet,llava") == 0
        assert len(served.asked) == questions
        assert "0 questions asked, 0 tokens" in capsys.readouterr().out
    made = read(tmp_path / "a" / "jsonl")
    assert {p.source for p in made} == {"llm"}
    assert [p.id for p in made] == [p.id for p in templates]
    assert all(p.question == polite({"question": t.question})["question"] + _options(t)
               for p, t in zip(made, templates, strict=True))  # fmt: skip
    assert questions <= len({(t.question, t.answer) for t in templates}) // 8 + 2
    once, again = ({str(p.relative_to(tmp_path / d)): p.read_bytes() for p in (tmp_path / d).rglob("*") if p.is_file()}
                   for d in "ab")  # fmt: skip
    assert once == again
    card = (tmp_path / "a" / "README.md").read_text()
    assert f"## Rewritten by a language model\n\n{n} of {n} pairs (`source` is `llm`) are worded by m." in card
    assert f"took {questions} questions and {100 * questions} tokens" in card


def _options(p: Pair) -> str:
    _, newline, options = p.question.partition("\n")
    return newline + options


WRONG = {
    "wrong schema": completion({"texts": ["a"]}),
    "wrong types": completion({"pairs": [{"n": "1", "question": 1, "answer": None}]}),
    "garbage": Reply(b"\x00\xff<html>"),
    "no json": completion("Sure! Here you go."),
    "empty": completion(""),
    "cut off": completion({"pairs": []}, reason="length"),
    "no pairs": completion({"pairs": []}),
    "other numbers": completion({"pairs": [{"n": 99, "question": "q", "answer": "a"}] * 3}),
    "huge": completion("x" * 3_000_000),
    "always 500": failure(500),
    "forbidden": failure(401),
    "closes": Reply(b"{", cut=100),
    "slow": Reply(b"{}", wait_s=0.7),
    "drips": Reply(b" " * 640, drip_s=0.05),
    "429 for long": failure(429, retry_after="30"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_server_that_fails_costs_no_pair(
    name: str, annotated: Path, templates: list[Pair], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(WRONG[name]) as served:
        assert rewritten(annotated, tmp_path / "o", served.url, "--llm-deadline", "0.5") == 0
        assert len(served.asked) <= 20
    assert read(tmp_path / "o" / "jsonl") == templates
    said = capsys.readouterr()
    assert f"0 of {len(templates)} pairs rewritten" in said.out
    if name not in ("no pairs", "other numbers"):
        (line,) = said.err.splitlines()
        assert line.startswith(f"note: {len(templates)} pairs keep their template's text, not asked or not answered: ")
    assert "Rewritten by a language model" in (tmp_path / "o" / "README.md").read_text()


def test_an_endpoint_that_is_not_there_costs_no_pair(
    annotated: Path, templates: list[Pair], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rewritten(annotated, tmp_path / "o", "http://127.0.0.1:9/v1", "--llm-deadline", "0.3") == 0
    assert read(tmp_path / "o" / "jsonl") == templates
    assert capsys.readouterr().err.count("\n") == 1


def test_what_passes_is_waited_for(annotated: Path, tmp_path: Path) -> None:
    with serving(failure(429, retry_after="0.2"), failure(503), BEHAVES) as served:
        assert rewritten(annotated, tmp_path / "o", served.url, "--quiet") == 0
    assert all(source == "llm" for *_, source in texts(tmp_path / "o"))


def test_a_server_that_dies_midway_leaves_the_rest(
    annotated: Path, templates: list[Pair], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(BEHAVES, BEHAVES, failure(401)) as served:
        assert rewritten(annotated, tmp_path / "o", served.url, "--llm-deadline", "1") == 0
    made = read(tmp_path / "o" / "jsonl")
    new = [p.source == "llm" for p in made]
    assert 0 < sum(new) < len(new)
    assert [p for p, n in zip(made, new, strict=True) if not n] == [
        t for t, n in zip(templates, new, strict=True) if not n
    ]
    assert "it says 401" in capsys.readouterr().err


@pytest.mark.parametrize("seed", range(4))
def test_lies_are_refused_and_counted(seed: int, annotated: Path, templates: list[Pair], tmp_path: Path) -> None:
    by_text = {(t.question, t.answer): t for t in templates}
    rng = Random(seed)

    def lie(pair: Told) -> Told:
        question, answer = rng.choice(list(lies(by_text[pair["question"], pair["answer"]], rng)))
        return {"n": pair["n"], "question": question, "answer": answer}

    with serving(answering(lie)) as served:
        assert rewritten(annotated, tmp_path / "o", served.url, "--quiet") == 0
    assert read(tmp_path / "o" / "jsonl") == templates
    card = (tmp_path / "o" / "README.md").read_text()
    rows = card.partition("kept as the template says it, because")[2].partition("##")[0]
    counts = [int(line.rpartition("| ")[2].rstrip(" |").strip() or line.split("|")[2])
              for line in rows.splitlines()[2:] if line]  # fmt: skip
    assert sum(counts) == len(templates)


def test_options_that_were_changed_and_other_letters_are_refused(
    annotated: Path, templates: list[Pair], tmp_path: Path
) -> None:
    def swap(pair: Told) -> Told:
        lines = pair["question"].split("\n")
        return {**polite(pair), "question": "\n".join((polite(pair)["question"], *reversed(lines[1:])))}

    with serving(answering(swap)) as served:
        assert rewritten(annotated, tmp_path / "o", served.url, "--quiet") == 0
    for p, t in zip(read(tmp_path / "o" / "jsonl"), templates, strict=True):
        assert (p == t) is (t.form == "choice")


def test_twins_are_reworded_together(annotated: Path, templates: list[Pair], tmp_path: Path) -> None:
    with serving(answering(lambda p: p if p["answer"].startswith("No, ") else polite(p))) as served:
        assert rewritten(annotated, tmp_path / "o", served.url, "--quiet") == 0
    made = read(tmp_path / "o" / "jsonl")
    assert {p.source for p in made if p.form == "yesno"} == {"template"}
    assert {p.source for p in made if p.form == "open"} == {"llm"}


@pytest.mark.parametrize(
    ("options", "most", "why"),
    [
        (["--llm-budget", "2"], 2, "the budget of 2 questions is spent"),
        (["--llm-tokens", "1"], 8, "the budget of 1 tokens is spent"),
    ],
)
def test_a_budget_ends_the_questions_and_the_rest_stays(
    options: list[str], most: int, why: str, annotated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(BEHAVES) as served:
        assert rewritten(annotated, tmp_path / "a", served.url, *options) == 0
        first = texts(tmp_path / "a")
        assert len(served.asked) <= most
        if most == 2:
            assert 0 < sum(source == "llm" for *_, source in first) <= 16
            assert why in capsys.readouterr().err
            assert rewritten(annotated, tmp_path / "b", served.url) == 0
            assert {source for *_, source in texts(tmp_path / "b")} == {"llm"}
            assert not told_twice(served)


def test_what_comes_out_does_not_depend_on_who_answers_first(annotated: Path, tmp_path: Path) -> None:
    def late(asked: Told) -> Reply:
        reply = BEHAVES(asked)
        reply.wait_s = Random(len(asked["messages"][-1]["content"])).random() / 5
        return reply

    for name in "ab":
        with serving(late if name == "a" else BEHAVES) as served:
            (tmp_path / name).mkdir()
            assert rewritten(annotated, tmp_path / name / "o", served.url, "--llm-budget", "4", "--quiet") == 0
    assert texts(tmp_path / "a" / "o") == texts(tmp_path / "b" / "o")


def test_a_run_that_was_killed_asks_nothing_twice(annotated: Path, tmp_path: Path) -> None:
    hang, lock, seen = threading.Event(), threading.Lock(), [0]

    def some(asked: Told) -> Reply:
        with lock:
            seen[0] += 1
            late = seen[0] > 3
        if late and not hang.is_set():
            hang.wait(20)
            return failure(500)
        return BEHAVES(asked)

    with serving(some) as served:
        command = [sys.executable, "-c", "import sys; from stream.cli import main; sys.exit(main(sys.argv[1:]))"]
        arguments = ["instruct", annotated, "--out", tmp_path / "o", "--limit", LIMIT, "--llm", served.url,
                     "--llm-model", "m", "--llm-cache", tmp_path / "cache"]  # fmt: skip
        run = subprocess.Popen([*command, *map(str, arguments)], env=os.environ | {"PYTHONPATH": os.getcwd()})
        deadline = time.monotonic() + 30
        while _kept(tmp_path / "cache") < 24 and time.monotonic() < deadline:
            time.sleep(0.05)
        run.send_signal(signal.SIGKILL)
        run.wait()
        answered = [p for asked in served.asked[:3] for p in asked_pairs(asked)]
        assert not (tmp_path / "o").exists()
        hang.set()
        first = len(served.asked)
        assert rewritten(annotated, tmp_path / "o", served.url, "--quiet") == 0
        again = {p["question"] + p["answer"] for asked in served.asked[first:] for p in asked_pairs(asked)}
    assert not again & {p["question"] + p["answer"] for p in answered}
    assert {source for *_, source in texts(tmp_path / "o")} == {"llm"}


def _kept(cache: Path) -> int:
    try:
        with sqlite3.connect(cache / "rewrites.sqlite") as base:
            n = int(base.execute("select count(*) from answers").fetchone()[0])
        base.close()
    except sqlite3.Error:
        return 0
    return n


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + b"\xff" * 5000], ids=["text", "damaged"])
def test_a_damaged_cache_is_one_line(
    content: bytes, annotated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "rewrites.sqlite").write_bytes(content)
    with serving(BEHAVES) as served:
        assert rewritten(annotated, tmp_path / "o", served.url) == 2
        assert not served.asked
    (line,) = capsys.readouterr().err.splitlines()
    assert "remove that file, or name another --llm-cache" in line
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("keep", [4096, 9000, -1], ids=["first page", "half a page", "nearly all"])
def test_a_cache_that_was_cut_off_is_one_line_or_goes_on(
    keep: int, annotated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(BEHAVES) as served:
        assert rewritten(annotated, tmp_path / "a", served.url, "--quiet") == 0
        path = tmp_path / "cache" / "rewrites.sqlite"
        path.write_bytes(path.read_bytes()[:keep])
        capsys.readouterr()
        code = rewritten(annotated, tmp_path / "b", served.url, "--quiet")
    err = capsys.readouterr().err
    assert (code, err.count("\n")) in ((2, 1), (0, 0))
    assert code or texts(tmp_path / "a") == texts(tmp_path / "b")


def test_a_damaged_entry_is_asked_again(annotated: Path, tmp_path: Path) -> None:
    with serving(BEHAVES) as served:
        assert rewritten(annotated, tmp_path / "a", served.url, "--quiet") == 0
        first = len(served.asked)
        with sqlite3.connect(tmp_path / "cache" / "rewrites.sqlite") as base:
            base.execute("update answers set question = null where key = (select min(key) from answers)")
        base.close()
        assert rewritten(annotated, tmp_path / "b", served.url, "--quiet") == 0
    assert [len(asked_pairs(a)) for a in served.asked[first:]] == [1]
    assert texts(tmp_path / "a") == texts(tmp_path / "b")


def test_a_cache_that_cannot_be_written_is_one_line(
    annotated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache").touch()
    assert rewritten(annotated, tmp_path / "o", "http://127.0.0.1:9/v1") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot keep answers in" in line


class Clock:
    """Moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_no_minute_holds_more_requests_than_the_rate() -> None:
    clock = Clock()
    pace = Pace(6, clock, clock.sleep)
    begun = []
    for i in range(40):
        clock.now_s += Random(i).random() * 5
        pace.wait()
        begun.append(clock.now_s)
        if i % 7 == 3:
            pace.count()  # one that was sent again
            begun.append(clock.now_s)
    assert all(b - a >= 60 - 1e-9 for a, b in zip(begun, begun[7:], strict=False))
    assert begun[-1] < 48 / 6 * 60 + 60


def test_without_a_rate_nobody_waits() -> None:
    clock = Clock()
    pace = Pace(0, clock, clock.sleep)
    for _ in range(1000):
        pace.wait()
        pace.count()
    assert clock.now_s == 0


def test_the_rate_is_kept_by_what_is_asked(annotated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("instruct.cli_rewrite.Pace", lambda n: Pace(n, clock, clock.sleep))
    with serving(failure(503), BEHAVES) as served:
        assert rewritten(annotated, tmp_path / "o", served.url, "--llm-rate", "2", "--quiet") == 0
    assert clock.now_s >= 60 * ((len(served.asked) - 1) // 2 - 1)
    assert {source for *_, source in texts(tmp_path / "o")} == {"llm"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--llm", "http://127.0.0.1:9/v1"], "wants --llm-model"),
        (["--llm-model", "m"], "wants --llm"),
        (["--llm", "http://me:pw@host/v1", "--llm-model", "m"], "STREFER_LLM_KEY"),
        (["--llm", "localhost", "--llm-model", "m"], "is no http or https address"),
        (["--llm-budget", "0"], "--llm-budget"),
        (["--llm-rate", "0"], "--llm-rate"),
        (["--llm-deadline", "inf"], "--llm-deadline"),
    ],
)
def test_misuse_is_one_line(
    options: list[str], said: str, annotated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["instruct", str(annotated), "--out", str(tmp_path / "o"), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert "pw" not in line
    assert not (tmp_path / "o").exists()


def test_the_key_comes_from_the_environment(annotated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREFER_LLM_KEY", "secret-key")
    with serving(BEHAVES) as served:
        assert rewritten(annotated, tmp_path / "o", served.url, "--quiet") == 0
    assert {h["authorization"] for h in served.headers} == {"Bearer secret-key"}
    files = (p for p in tmp_path.rglob("*") if p.is_file())
    assert not any(b"secret-key" in p.read_bytes() for p in files)
