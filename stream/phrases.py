"""Words -> phrases, by the grammar of expression.lark: the one place that knows lark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from lark import Lark, Token, Transformer
from lark.common import LexerConf
from lark.lexer import Lexer, LexerState

from stream.lexicon import Word


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words before a head, and the head: nouns (the last counts, those before it say which kind), garment or part."""

    mods: list[Word]
    heads: list[Word]

    @property
    def head(self) -> Word | None:
        return self.heads[-1] if self.heads else None

    def has(self, *classes: str) -> bool:
        return any(w.cls in classes for w in self.mods)

    def values(self, cls: str) -> list[str]:
        return [w.value for w in self.mods if w.cls == cls]


@dataclass(frozen=True, slots=True)
class Item:
    """One step of an expression. lead: the preposition, verb, direction or link it begins with, None of a thing.

    chain: the phrases of the thing it is about, `of` between them. negated: `not` or `no` stands in it.
    """

    kind: Literal["thing", "relation", "action", "direction", "link"]
    lead: Word | None = None
    chain: list[Phrase] = field(default_factory=list)
    negated: bool = False


class _Classes(Lexer):
    """Cuts a row of word classes: what each word is has been looked up already. A token's text is its word's place."""

    __future_interface__ = 2

    def __init__(self, conf: LexerConf) -> None:
        """lark's signature; the grammar declares its terminals and defines none."""

    def lex(self, lexer_state: LexerState, parser_state: object) -> Iterator[Token]:
        """Tokens of `DET NOUN …`."""
        for place, cls in enumerate(str(lexer_state.text.text).split()):
            yield Token(cls, str(place))


class _Items(Transformer[Token, list[Item]]):
    """The tree as items: one method a rule of the grammar."""

    def __init__(self, words: list[Word]) -> None:
        super().__init__(visit_tokens=True)
        self._words = words

    def __default_token__(self, token: Token) -> Word:
        return self._words[int(token)]

    def head(self, children: list[Word]) -> list[Word]:
        return children

    def phrase(self, children: list[Word | list[Word]]) -> Phrase:
        heads = [w for c in children if isinstance(c, list) for w in c]
        return Phrase([c for c in children if isinstance(c, Word)], heads)

    def thing(self, children: list[Word | Phrase]) -> Item:
        return Item("thing", None, [c for c in children if isinstance(c, Phrase)])

    def relation(self, children: list[Word | Item]) -> Item:
        return self._led("relation", children)

    def action(self, children: list[Word | Item]) -> Item:
        return self._led("action", children)

    def direction(self, children: list[Word | Item]) -> Item:
        return self._led("direction", children)

    def link(self, children: list[Word | Item]) -> Item:
        return self._led("link", children)

    def _led(self, kind: Literal["relation", "action", "direction", "link"], children: list[Word | Item]) -> Item:
        words = [c for c in children if isinstance(c, Word)]
        chain = [p for c in children if isinstance(c, Item) for p in c.chain]
        return Item(kind, words[0], chain, any(w.cls == "NO" for w in words))

    def denial(self, children: list[Word | Item]) -> Item | None:
        return next((replace(c, negated=True) for c in children if isinstance(c, Item)), None)

    def start(self, children: list[Item | None]) -> list[Item]:
        return [c for c in children if c is not None]


@lru_cache(maxsize=1)
def _grammar() -> Lark:
    text = (files("stream") / "expression.lark").read_text("utf-8")
    return Lark(text, parser="lalr", lexer=_Classes)


def read_items(words: list[Word]) -> list[Item]:
    """The items of an expression, in their order. Any row of words has some."""
    return _Items(words).transform(_grammar().parse(" ".join(w.cls for w in words)))
