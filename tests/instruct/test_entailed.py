"""Honest paraphrases are mostly accepted, and none that says something else."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from instruct.entailed import strays
from instruct.verify import fault
from tests.instruct.pool import Given, pool

_TIME = r"(?:\d\d:\d\d(?:\.\d)?|\d+(?:\.\d)? (?:s|seconds?))"
_SPAN = f"from {_TIME} to {_TIME}"
_VERB = "(?:mov|run|jump|stay|go|com)[a-z]*[a-z ]*?"
_SLOTS = {"t": _TIME, "It": "It|The [a-z]+", **dict.fromkeys(("acts", "do", "doing", "done"), _VERB), "u": _TIME, "spans": f"{_SPAN}(?:, {_SPAN})*(?: and {_SPAN})?"}


def judged(given: Given, question: str, answer: str) -> str:
    """Why a rewrite is refused, as the rewriter judges it."""
    p = given.pair
    head, newline, options = p.question.partition("\n")
    new = msgspec.structs.replace(p, question=question + newline + options, answer=answer)
    return strays(p, question, answer, given.facts.category) or fault(given.facts, new)


def _pattern(text: str) -> str:
    """A text with slots as a pattern; a slot that comes again is the same again."""
    seen: set[str] = set()
    out = []
    for literal, slot in re.findall(r"([^{]*)(?:\{(\w+)\})?", text):
        out.append(re.escape(literal))
        if slot in seen:
            out.append(f"(?P={slot})")
        elif slot:
            out.append(f"(?P<{slot}>{_SLOTS.get(slot, '.+?')})")
            seen.add(slot)
    return "".join(out)


def paraphrased(block: str) -> list[tuple[Given, str, str]]:
    """Up to three pairs that a block of paraphrases.txt fits, with question and answer in its words."""
    question, answer, new_question, new_answer = block.splitlines()
    wanted = re.compile(_pattern(f"{question}\n{answer}"))
    out = []
    for given in pool():
        found = wanted.fullmatch(f"{given.pair.question}\n{given.pair.answer}")
        if found and given.pair.form != "choice":
            slots = found.groupdict()
            for name, also in (("Who", "said"), ("whom", "Whom"), ("said", "Said"), ("name", "Name")):
                if name in slots:
                    change = str.upper if also[0].isupper() else str.lower
                    slots[also] = change(slots[name][0]) + slots[name][1:]
            slots.setdefault("Said", slots.get("Who", ""))
            out.append((given, new_question.format(**slots), new_answer.format(**slots)))
        if len(out) == 3:
            break
    return out


BLOCKS = (Path(__file__).parent / "paraphrases.txt").read_text("utf-8").strip().split("\n\n")


def test_most_honest_paraphrases_are_accepted() -> None:
    accepted, refused = 0, []
    for block in BLOCKS:
        tried = paraphrased(block)
        assert tried, f"no pair is like this any more:\n{block}"
        why = next(filter(None, (judged(*t) for t in tried)), "")
        accepted += not why
        refused += [f"{why}: {tried[0][1]} | {tried[0][2]}"] if why else []
    print(f"{accepted} of {len(BLOCKS)} accepted", *refused, sep="\n")
    assert len(BLOCKS) >= 60
    assert accepted >= 0.75 * len(BLOCKS), refused
