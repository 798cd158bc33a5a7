"""Referring parser: an expression in plain English -> noun, category and what it says of the entity.

Deterministic: a text becomes words of known classes (lexicon.py), a grammar makes them phrases (phrases.py), and rules
of attachment say what belongs to whom (reading.py). Words that are not known are kept in `unknown`, not guessed at; a
text of such words only is refused.
"""

from __future__ import annotations

from functools import lru_cache

from engines.errors import UserError
from stream.expression import Attribute, Expression, Order, Relation
from stream.lexicon import read_words
from stream.phrases import read_items
from stream.reading import Reader

__all__ = ["Attribute", "Expression", "Order", "Relation", "parse"]

LONGEST = 300
"""Characters of an expression at most."""


def check_text(text: str) -> None:
    """Raises UserError where a text can be no expression, whoever reads it: it is too long, or has no words."""
    if len(text) > LONGEST:
        raise UserError(
            f"a query of {len(text)} characters is too long: {LONGEST} are the most, name one thing in fewer"
        )
    if not read_words(text):
        raise UserError(f'the query {text!r} has no words: describe what to follow, like "the dog" or "the man in red"')


@lru_cache(maxsize=1024)  # the referrer asks at every look
def parse(text: str) -> Expression:
    """Parse one expression. Raises UserError where nothing in it is understood, and where it is too long to be one."""
    check_text(text)
    words = read_words(text)
    reader = Reader()
    main = reader.read(read_items(words))
    if not (main.noun or main.attributes or main.order or any(t.known for _, t, _ in main.relations)):
        raise UserError(
            f"nothing in the query {text!r} is understood: name a thing (person, dog, car, …), a colour or a place"
        )
    main.noun = main.noun or reader.candidate
    main.unknown = [w.text for w in words if w.cls == "UNKNOWN" or w in reader.stray]
    return main.finish(text)
