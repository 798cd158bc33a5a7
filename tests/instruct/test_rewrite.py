"""Rewriting against a local server that behaves and misbehaves: what is kept is true, and nothing is asked twice."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pyarrow.parquet as pq
import pytest

from instruct.formats.jsonl import read
from instruct.pair import Pair
from tests.chat_server import Reply, completion, failure, serving
from tests.instruct.lies import lies
from tests.instruct.rewording import (
    BEHAVES,
    Told,
    answering,
    polite,
    rewritten,
    texts,
    told_twice,
)


@pytest.mark.slow
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
    assert set(pq.read_table(tmp_path / "a" / "parquet")["source"].to_pylist()) == {"llm"}
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


@pytest.mark.slow
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
