"""The parser's words: lexicon.toml with its plurals and verb forms, and a text cut into words of known classes."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from engines.labels import COCO
from stream.colours import canonical

LONGEST = 5
"""Words of the longest entry."""
_NAMED = ("NOUN", "GARMENT", "BODY", "PLACE", "COLOUR", "UNKNOWN", "SIDE", "ADJ", "COMP", "SUP", "ORD")
_BEGIN = frozenset(
    "DET NUM BOTH ALL GROUP SOME OTHER ORD SUP COMP COLOUR SHADE ADJ PLACE SIDE UNKNOWN NOUN GARMENT BODY".split()
)
"""What a phrase of expression.lark begins with."""


class Word(NamedTuple):
    """A word or a row of words that is one. cls: a terminal of expression.lark. text: in the form of the dictionary.

    value: category of a noun, part of a garment, relation of a preposition, number of a numeral, …; kind: of an
    adjective or a verb, the attribute's. object: a verb's relation to what is named after it; alone: what it says where
    nothing is; also: what else it says.
    """

    cls: str
    text: str
    value: str = ""
    kind: str = ""
    plural: bool = False
    object: str = ""
    alone: str = ""
    also: str = ""


class Lexicon(NamedTuple):
    """words: by the words as they are written. verbs: forms of verbs that are something else first (leaves, swing).
    plain: nouns of people that say no more than that. riders: noun -> category of what those people ride."""

    words: dict[str, Word]
    verbs: dict[str, Word]
    animals: frozenset[str]
    vehicles: frozenset[str]
    plain: frozenset[str]
    riders: dict[str, str]

    def is_telling(self, noun: str, category: str) -> bool:
        """Whether a noun says more of somebody than the category (girl, driver, cyclist)."""
        return category == "person" and noun not in self.plain


def plural(noun: str) -> str:
    """The regular plural, which is also a verb's third person."""
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def participle(verb: str) -> str:
    """The present participle: running, riding, lying, picking."""
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")):
        return verb[:-1] + "ing"
    heard = verb.replace("qu", "q")
    if len(re.findall("[aeiouy]+", heard)) == 1 and re.search("[^aeiou][aeiou][bdgklmnprt]$", heard):
        return verb + verb[-1] + "ing"
    return verb + "ing"


def words_of(row: str) -> list[tuple[str, str]]:
    """A row of the file -> (as written, as called): `a_b>c d` gives (`a b`, `c`), (`d`, `d`)."""
    pairs = [item.replace("_", " ").partition(">") for item in row.split()]
    return [(said, called or said) for said, _, called in pairs]


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """The lexicon, read once. What is written first in this function goes before what comes later."""
    data = tomllib.loads((files("stream") / "lexicon.toml").read_text("utf-8"))
    words: dict[str, Word] = {}
    for cls, row in data["words"].items():
        words.update({said: Word(cls, called) for said, called in words_of(row)})
    for table, cls in (("prepositions", "PREP"), ("passive", "PREP"), ("directions", "DIR"), ("superlatives", "SUP")):
        for value, row in data[table].items():
            tail = " by" if table == "passive" else ""
            words.update({said + tail: Word(cls, said, value) for said, _ in words_of(row)})
    for table, cls in (("adjectives", "ADJ"), ("comparatives", "COMP")):
        for kind, values in data[table].items():
            for value, row in values.items():
                words.update({said: Word(cls, said, value, kind) for said, _ in words_of(row)})
    for table, cls in (("numbers", "NUM"), ("ordinals", "ORD")):
        words.update({said: Word(cls, said, str(n)) for said, n in data[table].items()})
    for value, row in data["places"].items():
        words.update({said: Word("PLACE", said, value) for said, _ in words_of(row)})
    _add_nouns(words, data)
    verbs = _verbs(data)
    for said, word in verbs.items():
        words.setdefault(said, word)
    animals, vehicles, plain = (frozenset(data[name].split()) for name in ("animals", "vehicles", "plain"))
    riders = {noun: ridden for ridden, row in data["riders"].items() for noun in row.split()}
    return Lexicon(words, verbs, animals, vehicles, plain, riders)


def _add_nouns(words: dict[str, Word], data: dict[str, dict[str, str]]) -> None:
    nouns = [(c, c, c) for c in COCO]
    for category, row in data["nouns"].items():
        own = [] if category in COCO or category == "self" else [(category, category, category)]
        nouns += own + [(said, called, called if category == "self" else category) for said, called in words_of(row)]
    nouns += [(said, called, "view") for said, called in words_of(data["views"]["view"])]
    for said, called, value in nouns:
        cls = "VIEW" if value == "view" else "NOUN"
        words.setdefault(said, Word("NOUN", called, value, cls))
        words.setdefault(plural(said), Word("NOUN", called, value, cls, plural=True))
    for said, called in data["irregular"].items():
        if said != called and called in words and words[called].cls == "NOUN":
            words[said] = words[called]._replace(plural=True)
    for table, cls in (("garments", "GARMENT"), ("body", "BODY")):
        for part, row in data[table].items():
            for said, called in words_of(row):
                word = Word(cls, called, called if part == "self" else part)
                words.setdefault(said, word)
                words.setdefault(plural(said), word)
    words["feet"] = words["foot"]


def _verbs(data: dict[str, dict[str, Any]]) -> dict[str, Word]:
    found: dict[str, Word] = {}
    objects, alone, also = data["objects"], data["alone"], data["also"]
    for kind, values in data["verbs"].items():
        for value, row in values.items():
            for verb, _ in words_of(row):
                said = verb if value == "self" else value
                _conjugate(found, Word("FIN", verb, said, kind, object=objects.get(verb, "acting-on")))
    for relation, row in data["takes"].items():
        for verb, _ in words_of(row):
            _conjugate(found, Word("TAKE", verb, relation, object=relation, alone=alone.get(verb, "")))
    found["has"] = found["had"] = found["have"]
    for form, verb in data["past"].items():
        found.setdefault(form, found[verb])
    for verb, said in data["phrasal"].items():
        kind, _, value = said.partition(".")
        _conjugate(found, Word("FIN", verb.replace("_", " "), value, kind, object="acting-on", also=also.get(verb, "")))
    return found


def _conjugate(found: dict[str, Word], word: Word) -> None:
    verb, space, rest = word.text.partition(" ")
    third = verb + "es" if verb.endswith("o") else plural(verb)
    for form in (verb, third):
        found.setdefault(form + space + rest, word)
    stem = participle(verb).removesuffix("ing")
    past = verb + "d" if verb.endswith("e") else verb[:-1] + "ied" if plural(verb).endswith("ies") else stem + "ed"
    found.setdefault(past + space + rest, word)
    found.setdefault(participle(verb) + space + rest, word._replace(cls="PART") if word.cls == "FIN" else word)


def read_words(text: str) -> list[Word]:
    """A text as words, the longest entries first; hyphens part words that have no entry of their own."""
    known = lexicon()
    said: list[str] = []
    for token in re.findall(r"[^\W_]+(?:['-][^\W_]+)*", text.lower().replace("’", "'")):
        token = token.removesuffix("'s")
        pieces = token.split("-")
        whole = token in known.words or not all(p in known.words or canonical(p) for p in pieces)
        said += [token] if whole else pieces
    found: list[Word] = []
    at = 0
    while at < len(said):
        word, length = _longest(said, at, found[-1].cls if found else "")
        at += length
        if word.cls != "SILENT":
            found.append(word)
    return _tidy(found)


def _tidy(words: list[Word]) -> list[Word]:
    """`of` and `no` as the grammar wants them: before a phrase."""
    found: list[Word] = []
    for i, w in enumerate(words):
        begins = i + 1 < len(words) and words[i + 1].cls in _BEGIN
        if w.cls == "NOT" and begins and found and found[-1].cls in ("PREP", "TAKE"):
            found.append(w._replace(cls="NO"))
        elif w.cls != "OF" or begins:
            found.append(w)
    return found


def _longest(said: list[str], at: int, before: str) -> tuple[Word, int]:
    known = lexicon()
    for length in range(min(LONGEST, len(said) - at), 1, -1):
        several = " ".join(said[at : at + length])
        if several in known.words:
            return known.words[several], length
    return _one(said, at, before), 1


def _one(said: list[str], at: int, before: str) -> Word:
    known = lexicon()
    text = said[at]
    follower = said[at + 1] if at + 1 < len(said) else ""
    if text in ("top", "tops") and (before in ("COLOUR", "ADJ", "SHADE") or said[max(0, at - 1) : at] == ["a"]):
        return Word("GARMENT", "top", "top")
    if text == "that" and before in _NAMED:
        return Word("WHO", "that")
    if before in ("WHO", "TO") and text in known.verbs:
        return known.verbs[text]
    if text in ("dark", "light", "bright", "pale"):
        shaded = canonical(follower) is not None
        return Word("SHADE", text) if shaded or canonical(text) is None else Word("COLOUR", text, canonical(text) or "")
    if (colour := canonical(text)) is not None:
        return Word("COLOUR", text, colour)
    if text.isascii() and text.isdigit() and 0 < int(text[:4]) < 1000:
        return Word("NUM", text, str(int(text[:4])))
    return known.words.get(text) or Word("UNKNOWN", text)
