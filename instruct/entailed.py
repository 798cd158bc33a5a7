"""Does a rewritten pair say what the original said? The facts are read out of both texts, and have to be the same.

Sound before generous: a text is read by a closed list of words (`wording.py`) beside the pair's own names, categories,
actions and times. A word that is none of these, a part more, less or elsewhere, a time that could belong to something
else: the rewrite is refused. What is compared, sentence by sentence, is a list of facts, each the parts in their order
and the times told of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from instruct.pair import Pair
from instruct.wording import PHRASES, POLITE, PREDICATES, SORRY, action_forms, category_forms, plain

_T = r"(?<![\w:.])(?:(\d+):(\d\d)(?:\.(\d))?|(\d+)(?:\.(\d))? (?:s|seconds?))(?!\w|[.:]\d)"
_AT = re.compile(rf"at (?:exactly |time |timestamp |the time )?{_T}|at the {_T}(?: mark| point)", re.ASCII)
_SPAN = re.compile(rf"(?:from {_T} (?:to|until|till) {_T}|between {_T} and {_T})", re.ASCII)
_FOR = re.compile(rf"(?:for )?(?:a total of )?{_T}(?: (?:in all|in total|altogether))?", re.ASCII)
_REGION = "<region>"
_POINT = r"(?:in |shown in |marked by |marked as |marked )?"
_SUBJECT = re.compile(r"[RNEC]:|FIRST$|SECOND$|OTHER$|THEY$|IT$")
_PREDICATE = re.compile(r"A:|P:|LARGER|SMALLER|LEFT|RIGHT")
_THEN = re.compile(r"\bthen\b", re.IGNORECASE)
"""Where nobody comes back, `and` and `and then` are two things."""
_GROWS = 3
"""A rewrite may be that many times as long, and a few words more."""


def _any_of(phrases: Iterable[str]) -> re.Pattern[str]:
    """Matches the longest of these; none where there are none."""
    longest_first = sorted(phrases, key=len, reverse=True)
    return re.compile(rf"(?:{'|'.join(map(re.escape, longest_first)) or '(?!)'})(?![\w'-])")


_COMMON = _any_of(PHRASES)


class UnreadError(ValueError):
    """A text says what is not on the list: its first words."""


class Fact(NamedTuple):
    """What is said, part by part, and the times told of it."""

    parts: tuple[str, ...]
    times: tuple[str, ...]


class Reader:
    """Reads the texts of one pair. categories: of the entities that it refers to."""

    def __init__(self, p: Pair, categories: Mapping[int, str]) -> None:
        known: dict[str, str] = {}
        entities = {r.entity for r in p.regions} | {n.entity for n in p.names}
        counted = {c.text for c in p.claims if c.kind == "count"}
        nouns = {categories[e] for e in entities if e in categories} | counted
        for noun in nouns:
            for form in category_forms(noun.lower(), counted=noun in counted):
                known[form] = known[f"the {form}"] = f"C:{noun.lower()}"
        # what an action is called goes before how another may be written
        actions = [c.text.lower() for c in p.claims if c.kind in ("does", "acts", "part")]
        for action in actions:
            for form in action_forms(action):
                known.setdefault(form, f"A:{action}")
        known.update({a: f"A:{a}" for a in actions})
        known.update({plain(n.text): f"N:{n.entity}" for n in p.names})
        self._known = known
        self._own = _any_of(known)
        self._region = re.compile(
            rf"(?:(?:the )?({'|'.join(re.escape(n.lower()) for n in sorted(nouns))}) {_POINT})?{_REGION}"
            if nouns else _REGION
        )  # fmt: skip
        self._nouns = nouns
        # a region keeps the noun before it, or goes without
        texts = (plain(p.question.partition("\n")[0]), plain(p.answer))
        self._before = [[m[1] or "" for m in self._region.finditer(t)] if nouns else [] for t in texts]
        called = any(c.kind == "called" for c in p.claims)
        self._alone = next(iter(entities)) if len(entities) == 1 and not called else None

    def question(self, text: str) -> list[Fact]:
        """The facts of a question. Raises UnreadError."""
        text = plain(text)
        for _ in range(2):
            opening = max((o for o in POLITE if re.match(rf"{o}\b", text)), key=len, default="")
            text = text.removeprefix(opening).lstrip(" ,:")
            if opening and (asked := re.match("(?:if|whether) ", text)):
                text = text[asked.end() :]
        parts = self._parts(text, self._before[0])
        if "MASK" in parts:  # where is it? show it
            parts = [p for p in parts if p != "STOP"]
        return [f for s in _sentences(parts) for f in _facts(_asked(s))]

    def answer(self, text: str) -> list[Fact]:
        """The facts of an answer. Raises UnreadError. What means the only entity of a pair is one."""
        text = plain(text)
        opening = max((o for o in SORRY if re.match(rf"{re.escape(o)}\b", text)), key=len, default="")
        text = text.removeprefix(opening).lstrip(" ,")
        parts = self._parts(text, self._before[1])
        pairs = list(zip(parts, [*parts[1:], ""], strict=False))
        parts = [p for p, q in pairs if not (p == "AUX" and (q == "NOT" or q.startswith("A:")))]
        if self._alone is not None:
            one = (f"N:{self._alone}", "IT", *(f"C:{n.lower()}" for n in self._nouns))
            parts = ["E:" if p in one else p for p in parts]
        return [f for s in _sentences(parts) for f in _facts(_settled(s))]

    def _parts(self, text: str, nouns: list[str]) -> list[str]:
        """The text's parts. nouns: that may stand before its regions."""
        out: list[str] = []
        at = regions = 0
        while at < len(text):
            if text[at] == " ":
                at += 1
            elif text[at] in ".?!;,:":
                out.append("SEP" if text[at] in ",:" else "STOP")
                at += 1
            elif found := self._region.match(text, at):
                noun = found[1] if self._nouns else None
                if noun and nouns[regions : regions + 1] != [noun]:
                    raise UnreadError(noun)
                out.append(f"R:{regions}")
                regions, at = regions + 1, found.end()
            else:
                part, at = self._one(text, at)
                out += [part] if part else []
        return out

    def _one(self, text: str, at: int) -> tuple[str, int]:
        """The part that begins there, and where it ends."""
        for kind, pattern in (("AT", _AT), ("SPAN", _SPAN), ("FOR", _FOR)):
            if found := pattern.match(text, at):
                return f"@{kind} {' '.join(_times(found.groups()))}", found.end()
        own, common = self._own.match(text, at), _COMMON.match(text, at)
        end = max(m.end() if m else 0 for m in (own, common))
        if not end or (at and re.match(r"[\w'-]", text[at - 1])):
            raise UnreadError(text[at:].split()[0][:40])
        part = self._known[text[at:end]] if own and own.end() == end else PHRASES[text[at:end]]
        return "SEP" if part in ("AND", "THEN") else part, end


def _sentences(parts: Iterable[str]) -> list[list[str]]:
    out: list[list[str]] = [[]]
    for p in parts:
        if p == "STOP":
            out.append([])
        else:
            out[-1].append(p)
    return [s for s in out if any(p != "SEP" for p in s)]


def _times(groups: tuple[str | None, ...]) -> list[str]:
    """Times as tenths of a second, with how finely they are told: 00:05 and 5 s are 50/1, 5.0 s is 50/10."""
    out = []
    for i in range(0, len(groups), 5):
        minutes, secs, tenth, alone, part = groups[i : i + 5]
        if minutes is None and alone is None:
            continue
        whole = int(minutes) * 60 + int(secs or 0) if minutes is not None else int(alone or 0)
        fraction = tenth if minutes is not None else part
        out.append(f"{10 * whole + int(fraction or 0)}/{10 if fraction is not None else 1}")
    return out


def _asked(s: list[str]) -> list[str]:
    """A question's parts where word order is all that differs between ways to ask one thing."""
    out: list[str] = []
    for i, p in enumerate(s):
        if p == "CAN" and ("SIGHT" in s or "SEE" in s):
            continue
        if p == "AUX":  # `what does it do`: the verb; `does it jump`: no more than a form
            if not ("WHAT" in out and out[-1][:2] in ("R:", "N:")):
                continue
            p = "DOING"
        if p == "SIGHT" and i + 1 < len(s) and s[i + 1].startswith("A:"):
            continue  # can it be seen jumping
        out.append(p)
    if "SEE" in out:  # can you see it (jumping)
        out.remove("SEE")
        after = next((i for i, p in enumerate(out) if _SUBJECT.match(p)), len(out))
        if not any(p.startswith("A:") for p in out):
            out.insert(after + 1, "SIGHT")
    if "MASK" in out:
        out = ["MASK", *(p for p in out if p not in ("MASK", "FIND", "WHERE"))]
    if "HOWMANY" in out or "WHERE" in out:
        out = [p for p in out if p not in ("SIGHT", "INPIC") and not (p == "LOCATED" and "WHERE" in out)]
    if "WHICH" in out:  # which is larger, A or B; which of A and B is larger
        how = [p for p in out if p in ("LARGER", "LEFT")]
        out = [p for p in out if p not in ("LARGER", "LEFT", "OR", "SEP", "LOOK")] + how
    if "BEFORE" in out:  # A is in sight earlier than B (appears)
        out = ["APPEAR" if p == "SIGHT" else p for p in out]
        if out[-1] == "APPEAR" and out.count("APPEAR") == 2:
            out.pop()
    return _settled(out)


def _settled(s: list[str]) -> list[str]:
    """The same for questions and answers."""
    if "HOWLONG" in s or any(p.startswith("@FOR") for p in s):
        s = [p for p in s if p != "ALL"]
    if "SCENES" in s:
        s = [p for p in s if p != "VIDEOHAS"]
    compared = any(_PREDICATE.match(p) and p[:2] != "A:" for p in s)
    pairs = list(zip(s, [*s[1:], ""], strict=False))
    s = [p for p, q in pairs if not (p == "HAVE" and (q in ("APPEAR", "SIGHT") or q.startswith("A:")))]
    out = [p for p in s if not (p in ("INPIC", "LOOK") and compared)]
    out = ["SIGHT" if p in ("INPIC", "STAY") else p for p in out]
    if "NOT" in out:  # does not appear at 5 s
        out = ["SIGHT" if p == "APPEAR" else p for p in out]
    out = [p for p in out if p != "TOGETHER"] + ["TOGETHER"] * out.count("TOGETHER")
    if "AFTER" in out and "NEXT" in out:
        out = _after(out)
    return out


def _after(s: list[str]) -> list[str]:
    """`after A (has appeared), what appears next` and `what appears next after A`: one order."""
    at = s.index("AFTER")
    if at + 1 >= len(s) or not _SUBJECT.match(s[at + 1]):
        return s
    end = at + 2 + (s[at + 2 : at + 3] == ["APPEAR"])  # `has` is gone already
    rest = [p for p in (*s[:at], *s[end:]) if p not in ("SEP", "APPEAR")]
    return [*rest, "AFTER", s[at + 1]]


def _facts(s: list[str]) -> list[Fact]:
    """A sentence's facts. Where it says one thing its times may stand anywhere; where it says several, each time comes
    right after what it is told of, and nothing else is read into it."""
    times = [p for p in s if p[0] == "@" or p in ("THROUGH", "ANYTIME")]
    said = [p for p in s if p != "SEP" and p not in times]
    subjects = sum(bool(_SUBJECT.match(p)) for p in said)
    predicates = sum(p in PREDICATES or bool(_PREDICATE.match(p)) for p in said)
    if not times or (predicates <= 1 and (subjects <= 1 or len(times) <= 1)):
        return [Fact(tuple(said), tuple(times))]
    pieces: list[list[str]] = [[]]
    for i, p in enumerate(s):
        following = s[i + 1] if i + 1 < len(s) else "@"
        if p != "SEP":
            if p not in times and pieces[-1] and pieces[-1][-1] in times:
                raise UnreadError("a time that could belong to either")
            pieces[-1].append(p)
        elif following in times:
            if pieces[-1] and pieces[-1][-1] not in times:
                raise UnreadError("a time apart from what it is told of")
        elif following != "SEP" and pieces[-1]:
            pieces.append([])
    out: list[Fact] = []
    for piece in pieces:
        if piece and piece[0] in times:
            raise UnreadError("a time before one of several facts")
        own = [p for p in piece if p not in times]
        if out and own and not _SUBJECT.match(own[0]):
            own.insert(0, out[-1].parts[0])
        elif out and len(own) == 1:
            own += out[-1].parts[1:]
        out.append(Fact(tuple(own), tuple(p for p in piece if p in times)))
    return out


def strays(p: Pair, question: str, answer: str, categories: Mapping[int, str]) -> str:
    """Why a rewritten pair may say something else than the original; empty where both say the same.

    question: without the options of a `choice` pair. Never raises, whatever the texts are.
    """
    head = p.question.partition("\n")[0]
    for text, was in ((question, head), (answer, p.answer)):
        if _THEN.search(text) and not _THEN.search(was) and not any(c.kind == "returns" for c in p.claims):
            return "it tells an order"
        if not text.strip():
            return "it is empty"
        if len(text) > _GROWS * len(was) + 80:
            return "it is too long"
        if "\n" in text or "\r" in text:
            return "it has lines of its own"
    if p.form == "choice" and answer != p.answer:
        return "the chosen option was changed"
    if question.count(_REGION) != head.count(_REGION) or answer.count(_REGION) != p.answer.count(_REGION):
        return "a region is missing or new"
    if "?" in answer or (p.form == "yesno" and not question.rstrip().endswith("?")):
        return "question and answer are no such any more"
    word, comma, rest = answer.partition(", ")
    was_word, _, was_rest = p.answer.partition(", ")
    if p.form == "yesno" and (word != was_word or not comma):
        return "yes or no was changed"
    reader = Reader(p, categories)
    try:
        asked = reader.question(head)
        answered = [] if p.form == "choice" else reader.answer(was_rest if p.form == "yesno" else p.answer)
    except UnreadError:
        return "the original is not readable"
    try:
        if reader.question(question) != asked:
            return "the question asks something else"
        if p.form != "choice" and reader.answer(rest if p.form == "yesno" else answer) != answered:
            return "the answer says something else"
    except UnreadError as e:
        return "a time is not where it belongs" if str(e).startswith("a time") else "it says more than the original"
    return ""
