"""Who is meant by what: reads the phrases of an expression from left to right into entities and their relations.

Rules of attachment, after right association (J. Kimball, "Seven principles of surface structure parsing in natural
language", Cognition 1973): what is said belongs to the latest entity that can be so. Clothes are a person's; a chair
neither runs nor holds; what stands beside something is said of who is spoken of.
"""

from __future__ import annotations

from stream.attach import Attacher, withdraw
from stream.draft import Draft, adjectives, number
from stream.expression import Attribute, Order
from stream.lexicon import Word
from stream.phrases import Item, Phrase

_SIDES = {"left": "left-of", "right": "right-of"}
_ALONE = {"behind": "far", "in-front-of": "near", "above": "top", "below": "bottom"}
"""The place that is meant where a preposition has nothing after it."""
_THE, _A = Word("DET", "the"), Word("DET", "a")
_COMPARED = ("size", "age", "speed", "build", "place", "length")
_THAN = {"large": "larger", "small": "smaller", "fast": "faster", "slow": "slower", "old": "older", "young": "younger"}
_THAN |= {"fat": "fatter", "thin": "thinner", "near": "nearer", "far": "farther"}
_ALONG = {"up": "on", "down": "on", "around": "around", "out": "away-from", "away": "away-from"}


class Reader(Attacher):
    """Reads one expression. `main` is who is meant in the end."""

    def read(self, items: list[Item]) -> Draft:
        """The main entity of an expression's items, with all that is said of it."""
        for item in items:
            if item.kind == "link":
                assert item.lead is not None
                self._link(item.lead)
                continue
            denied, self.denied = self.denied, None
            along, self.along = self.along, ""
            if item.lead is None:
                self._bare(item.chain, along, negated=item.negated)
            elif item.kind == "direction":
                self.direct(item.lead.value, item.lead.text, negated=self.undeny(denied) or item.negated)
                self.along = _ALONG.get(item.lead.value, "")
            elif item.kind == "relation":
                self.whose = ""
                self._relate(item.lead, item.chain, negated=item.negated, denied=denied)
            else:
                self.whose = ""
                self._act(item.lead, item.chain, negated=item.negated)
            self.joined = self.picked = False
        return self.main

    def _link(self, link: Word) -> None:
        if link.cls == "AND":
            self.joined = True
        elif link.cls == "WHO":
            self.subject = self.latest("person") if link.text in ("who", "whom") else self.last
            self.picked = True
        elif link.cls == "WHOSE":
            self.subject, self.whose = self.last, "?"
        elif link.cls == "THAN":
            self.than = True

    def _bare(self, chain: list[Phrase], along: str, *, negated: bool) -> None:
        """A thing with no preposition and no verb before it."""
        phrase, rest = self._of(chain)
        head, than, self.than = phrase.head, self.than, False
        if than:
            self._than(phrase)
        elif head is not None and head.kind == "VIEW" and self.main.noun:
            pass  # the frame, the picture: where all of it is
        elif head is not None and head.cls == "BODY" and not (self.main.noun or self.whose or self.joined):
            self.fill(self.main, phrase, negated=negated)
        elif head is not None and head.cls != "NOUN":
            if self.whose == "?":
                self.whose = self.limb = head.value
            else:
                self.wear(phrase, negated=negated or (self.joined and self.how_negated))
        elif head is None and self.whose not in ("", "?"):
            own = [w for w in phrase.mods if w.cls in ("COLOUR", "SHADE") or (w.cls == "ADJ" and w.kind != "pose")]
            self.subject.attributes += adjectives(Phrase(own, []), part=self.whose, negated=negated)
            self.describe(self.subject, Phrase([w for w in phrase.mods if w not in own], []), negated=negated)
        elif not self.main.noun and (head is not None or not self.main.relations):
            self.fill(self.main, phrase, negated=negated)
        elif self.joined and phrase.has("OTHER") and (head is None or head.value == "object"):
            self.subject = self.last = Draft()  # while the others walk: that is not said of who is meant
        elif head is None or (head.value == "object" and (negated or not self.joined) and not along):
            if phrase.has("ORD", "SUP") and not negated:
                number(self.subject, phrase)
            dressed = self.joined and head is None and phrase.has("COLOUR") and self.how == "in"
            self.describe(self.latest("person") if dressed else self.subject, phrase, negated=negated)
        elif self.joined and self.how not in ("", "in", "wearing"):
            self.target(self.how, phrase, self.related or self.subject, negated=negated or self.how_negated)
        elif self.joined and not self.main.relations and head.value == self.main.category:
            self._both(phrase)
        elif self.joined or along:
            self.target(along or "with", phrase, self.subject, negated=negated)
        else:
            self.stray.append(head)
        if rest is not None:
            self.target("of", rest, self.last)

    def _both(self, phrase: Phrase) -> None:
        """The man and the woman: two of one category."""
        head = phrase.head
        assert head is not None
        if head.text != self.main.noun:
            self.main.noun = self.main.category
        self.main.count = 0 if self.main.plural or head.plural else 2
        self.main.plural = True
        self.main.attributes += adjectives(phrase)

    def _than(self, phrase: Phrase) -> None:
        """Taller than the woman: the comparison becomes a relation."""
        for said in reversed(self.subject.attributes):
            if said.kind in _COMPARED:
                self.subject.attributes.remove(said)
                kind = _THAN.get(said.value, said.value)
                self.target(f"{kind}-than", phrase, self.subject, negated=said.negated)
                return
        self.describe(self.subject, phrase)

    def _of(self, chain: list[Phrase]) -> tuple[Phrase, Phrase | None]:
        """Phrases with `of` between them as one, and what is left over: the owner, *the dog*."""
        first, *others = chain
        for other in others:
            head, owner = first.head, other.head
            if owner is not None and owner.kind == "VIEW":
                continue
            vague = head is None or head.value == "object"
            if vague and owner is not None and not (first.has("PLACE") and head is None and not first.has("ORD")):
                several = first.has("NUM", "GROUP", "SOME", "ALL", "BOTH")
                mods = [m for m in other.mods if m.cls not in ("NUM", "ALL", "BOTH", "GROUP")]
                first = Phrase([*first.mods, *mods], [*other.heads[:-1], owner._replace(plural=several)])
            elif head is not None and head.cls == "BODY":
                first = other
            else:
                return first, other
        return first, None

    def _relate(
        self, prep: Word, chain: list[Phrase], *, negated: bool, denied: tuple[Draft, Attribute] | None
    ) -> None:
        """A preposition and what stands after it."""
        if not chain:
            if prep.value in _ALONE and (self.verb is None or self.verb.kind == "pose"):
                self.place(_ALONE[prep.value], prep.text, negated=negated)
            return
        kind, negated = ("with", True) if prep.value == "without" else (prep.value, negated)
        phrase, rest = self._of(chain)
        head = phrase.head
        if kind not in ("in", "with") and head is not None and head.cls == "BODY" and len(phrase.heads) > 1:
            phrase = Phrase(phrase.mods, phrase.heads[:-1])  # on a person's shoulder
            head = phrase.head
        if rest is not None and head is None and phrase.has("PLACE"):
            kind, phrase, rest = self._beside(kind, phrase, rest, negated=negated), rest, None
            head = phrase.head
        if head is None:
            self._into(kind, phrase, negated=negated, denied=denied)
        elif kind == "in" and phrase.has("PART") and phrase.mods[0].cls in ("COLOUR", "SHADE"):
            at = next(i for i, w in enumerate(phrase.mods) if w.cls == "PART") + 1  # in black walking / a dog
            self._into(kind, Phrase(phrase.mods[:at], []), negated=negated, denied=denied)
            what = Phrase(phrase.mods[at:], phrase.heads)
            self.target(phrase.mods[at - 1].object, what, self.doer or self.subject, negated=negated)
        elif head.cls == "NOUN":
            self._to(kind, phrase, negated=negated, denied=denied)
        elif kind in ("in", "with", "from"):
            self.wear(phrase, negated=negated)
        elif head.cls == "GARMENT" or phrase.mods[:1] in ([_THE], [_A]):
            self.target(self.meant(kind), phrase, self.owner(kind), negated=negated)
        if rest is not None:
            self.target("of", rest, self.last)

    def _beside(self, kind: str, side: Phrase, target: Phrase, *, negated: bool) -> str:
        """The relation meant by *on the left of*, *in the front of*, *on the back of*, *in the middle of*."""
        place = side.values("PLACE")[-1]
        head = target.head
        if place in _SIDES:
            return _SIDES[place]
        if place == "middle" and head is not None and (head.plural or target.has("NUM", "BOTH")):
            return "between"
        if kind != "on":
            self.place(place, place, negated=negated)
        return kind

    def _into(self, kind: str, phrase: Phrase, *, negated: bool, denied: tuple[Draft, Attribute] | None) -> None:
        """A preposition before words with no noun: in red, on the left, to the right, from the left."""
        places, order = phrase.values("PLACE"), self.subject.order
        if phrase.has("COLOUR", "SHADE") or any(w.kind in ("pattern", "material") for w in phrase.mods):
            owner = self.latest("person") if kind in ("in", "with") else self.subject
            self.describe(owner, phrase, negated=negated)
            self.how, self.how_negated = "in", negated
        elif places and kind in ("to", "towards") and (self.verb is not None or kind == "towards"):
            self.direct(places[-1], places[-1], negated=self.undeny(denied) or negated)
        elif places and order is not None and (kind, order.by) in (("from", ""), ("to", "far"), ("to", "near")):
            self.subject.order = Order(order.n, places[-1])
        elif places and kind == "from" and self.verb is not None:
            self.come_from(places[-1], negated=self.undeny(denied) or negated)
        elif phrase.has("UNKNOWN") and phrase.mods[-1].cls == "UNKNOWN":
            self.target(self.meant(kind), phrase, self.owner(kind), negated=negated)
        else:
            owner = self.place_owner()
            if phrase.has("ORD", "SUP") and not negated:
                number(owner, phrase)
            self.describe(owner, phrase, negated=negated)

    def _to(self, kind: str, phrase: Phrase, *, negated: bool, denied: tuple[Draft, Attribute] | None) -> None:
        """A preposition before a noun: the relation to it."""
        head = phrase.head
        assert head is not None
        if head.kind == "VIEW":
            return
        order = self.subject.order
        if order is not None and order.by in ("near", "far") and kind in ("to", "from", "next-to", "away-from"):
            if head.text != "camera":
                self.subject.order = None
                self.target("nearest-to" if order.by == "near" else "farthest-from", phrase, self.subject)
            return
        if head.text == "camera" and kind in ("towards", "away-from", "to"):
            self.direct("away" if kind == "away-from" else "towards", head.text, negated=self.undeny(denied) or negated)
            return
        kind, owner = self.meant(kind), self.owner(kind)
        if kind == "riding" and self.hungry is not None:
            owner = self.hungry[0]
            withdraw(self.hungry)
        self.target(kind, phrase, owner, negated=self.undeny(denied) or negated)

    def _act(self, verb: Word, chain: list[Phrase], *, negated: bool) -> None:
        """A verb, and what it is done to."""
        phrase, rest = self._of(chain) if chain else (Phrase([], []), None)
        head = phrase.head
        if head is not None and head.cls == "BODY" and len(phrase.heads) > 1:
            phrase = Phrase(phrase.mods, phrase.heads[:-1])  # biting a puppy's ear
            head = phrase.head
        self.hungry = None
        first = not (self.main.noun or self.candidate or self.main.relations)
        if first and head is not None and head.cls == "NOUN" and verb.cls == "PART":  # moving car
            self.fill(self.main, phrase)
            self.does(self.main, verb, negated=negated)
            return
        doer = self.who_does(verb)
        self.subject = self.doer = doer
        if verb.cls == "TAKE":
            self.verb = verb
            self._take(doer, verb, phrase, negated=negated)
        else:
            named = head is not None and head.cls != "BODY" and head.kind != "VIEW"
            self.does(doer, verb, negated=negated and not (named and verb.object != "acting-on"))
            if named:
                self.target(verb.object, phrase, doer, negated=negated)
            elif head is None and phrase.mods:
                self.manner(doer, phrase, negated=negated)
        if rest is not None:
            self.target("of", rest, self.last)

    def _take(self, doer: Draft, verb: Word, phrase: Phrase, *, negated: bool) -> None:
        """A verb that needs what it is done to: holding, wearing, riding, having, raising."""
        head, kind = phrase.head, verb.value
        unknown = head is None and phrase.has("UNKNOWN") and phrase.mods[-1].cls == "UNKNOWN"
        if kind == "raising":
            if head is not None and head.cls == "BODY":
                value = "arm-raised" if head.value == "arms" else f"{head.value}-raised"
                doer.attributes.append(Attribute("pose", value, negated=negated, word=verb.text))
                return
            kind = "holding"
        if head is not None and head.cls != "NOUN" and kind in ("wearing", "with"):
            self.wear(phrase, negated=negated, owner=doer)
        elif (head is not None and head.kind != "VIEW" and head.cls != "BODY") or unknown:
            self.target(kind, phrase, doer, negated=negated)
        elif kind in ("wearing", "with"):
            self.describe(doer, phrase, negated=negated)
            self.how, self.how_negated = "in", negated
        elif kind == "facing" and phrase.has("PLACE"):
            doer.attributes.append(Attribute("facing", phrase.values("PLACE")[-1], "whole", negated, "face"))
        else:
            self.alone(doer, verb, negated=negated)
            self.describe(doer, phrase, negated=negated)
