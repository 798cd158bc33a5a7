"""To whom what is said belongs: the state of a reading, and the rules of attachment that reading.py calls."""

from __future__ import annotations

import msgspec

from stream.draft import Draft, Need, adjectives, number, worn
from stream.expression import Attribute, Order
from stream.lexicon import Word
from stream.phrases import Phrase

CARRIED = ("riding", "holding", "pushing", "pulling", "wearing", "with", "leading", "touching", "acting-on", "of")
"""Relations to what goes along with somebody: what is said next is said of him."""
_OPPOSITE = {"left": "right", "right": "left", "top": "down", "bottom": "up", "near": "away", "far": "towards"}
_ONWARD = {"top": "up", "bottom": "down", "near": "towards", "far": "away"}
_COMES = ("enter", "leave", "appear", "disappear", "arrive", "exit", "stop", "start")
"""Verbs that order entities in time: the first to enter."""
_PERSONAL = ("holding", "wearing", "riding", "raising")


class Attacher:
    """State of one reading. `main`: who is meant; `subject`: whom statements are of now; `last`: who was named last."""

    def __init__(self) -> None:
        self.main = self.subject = self.last = Draft()
        self.candidate = ""
        """An unknown word that stands where the main noun would."""
        self.how, self.how_negated = "", False
        """How the last thing came in, for *and* after it."""
        self.related: Draft | None = None
        self.verb: Word | None = None
        self.doer: Draft | None = None
        self.joined = self.picked = self.than = False
        self.limb = ""
        """The part of the body named last, until it is said how it is held."""
        self.whose = self.along = ""
        self.stray: list[Word] = []
        """Known nouns of which it is not said how they stand to anything."""
        self.came: tuple[Draft, Attribute] | None = None
        self.denied: tuple[Draft, Attribute] | None = None
        """A verb that was just denied: what comes next may be what is denied of it (not running *to the left*)."""
        self.hungry: tuple[Draft, Attribute] | None = None
        """Who rides, while it is not said what."""

    def latest(self, need: Need) -> Draft:
        """The entity named last that can do or have such things; the subject where none can."""
        return next((d for d in (self.last, self.subject, self.main) if d.can(need)), self.subject)

    def who_does(self, verb: Word) -> Draft:
        """Whom a verb is said of."""
        need: Need = "person" if verb.value in _PERSONAL else "mover" if verb.kind == "motion" else "animate"
        if self.picked or self.joined or self.last is self.subject:
            return self.subject
        if verb.value == "wearing" and self.last.can("person"):
            return self.last
        return self.last if self.last.via not in CARRIED and self.last.can(need) else self.subject

    def owner(self, kind: str) -> Draft:
        """Whom a relation is said of."""
        beside = self.last is not self.subject and self.last.via not in CARRIED
        return self.last if kind == "with" and beside and not self.picked and self.last.can("animate") else self.subject

    def place_owner(self) -> Draft:
        """Whom a place in the picture is said of."""
        return self.subject if self.picked or self.last.via in (*CARRIED, "in", "on", "at") else self.last

    def place(self, value: str, text: str, *, negated: bool) -> None:
        """A place in the picture."""
        self.place_owner().attributes.append(Attribute("place", value, "whole", negated, text))

    def meant(self, kind: str) -> str:
        """The relation a bare preposition stands for after the verb that came before it."""
        verb = self.verb
        acts = verb is not None and verb.kind == "action"
        moves = verb is not None and verb.kind == "motion" and verb.value == "moving"
        if kind in ("to", "at"):
            return "facing" if acts else "towards" if moves and kind == "to" else "next-to"
        if kind in ("on", "in", "with") and self.hungry is not None and verb is not None and verb.value == "riding":
            return "riding"
        simple = {"by": "next-to", "from": "away-from", "for": "with", "after": "following" if moves else "after"}
        return simple.get(kind, kind)

    def undeny(self, denied: tuple[Draft, Attribute] | None) -> bool:
        """Take a denial back from the verb, for it is of what comes now. True where there was one."""
        if denied is None or denied[1] not in denied[0].attributes:
            return False
        draft, said = denied
        draft.attributes[draft.attributes.index(said)] = Attribute(said.kind, said.value, said.part, word=said.word)
        return True

    def fill(self, draft: Draft, phrase: Phrase, *, negated: bool = False) -> None:
        """A phrase names an entity."""
        head, last = phrase.head, phrase.mods[-1] if phrase.mods else None
        begun = draft.attributes or draft.plural or draft.order
        number(draft, phrase)
        self.describe(draft, phrase, negated=negated)
        if head is None and phrase.has("DET") and [w.text for w in phrase.mods if w.cls == "COLOUR"] == ["orange"]:
            draft.attributes = [a for a in draft.attributes if a.word != "orange"]
            head = Word("NOUN", "orange", "orange")
        if head is not None:
            own = head.cls != "NOUN" or head.kind == "VIEW"
            draft.noun, draft.category = head.text, head.text if own else head.value
            draft.plural |= head.plural and (draft.order is None or phrase.has("NUM", "ALL", "BOTH", "SOME"))
        elif last is not None and last.cls == "UNKNOWN":
            if draft is not self.main:
                draft.noun = last.text
            elif phrase.mods[0].cls != "UNKNOWN" or not begun:
                self.candidate = self.candidate or last.text
        if draft is not self.main:
            draft.unknown += [w.text for w in phrase.mods if w.cls == "UNKNOWN"]

    def describe(self, draft: Draft, phrase: Phrase, *, negated: bool = False) -> None:
        """Adjectives, places and participles of a phrase are said of an entity."""
        at = next((i for i, w in enumerate(phrase.mods) if w.cls == "PART"), -1)
        if phrase.head is None and at >= 0:  # in black *walking left*
            self.describe(draft, Phrase(phrase.mods[:at], []), negated=negated)
            self.does(draft, phrase.mods[at], negated=negated)
            self.manner(draft, Phrase(phrase.mods[at + 1 :], []), negated=negated)
            return
        for said in adjectives(phrase, negated=negated):
            order = draft.order
            if said.value == "arm-raised" and self.limb not in ("", "arms"):
                said = msgspec.structs.replace(said, value=f"{self.limb}-raised")
            if said.kind == "place" and order is not None and not order.by and said.value in ("left", "right"):
                draft.order = Order(order.n, said.value)
            else:
                draft.attributes.append(said)
        for w in phrase.mods:
            if w.cls == "PART":
                self.does(draft, w, negated=negated)

    def manner(self, doer: Draft, phrase: Phrase, *, negated: bool) -> None:
        """Words after a verb that are no thing: running left, standing still."""
        places = phrase.values("PLACE")
        if places and self.verb is not None and self.verb.kind in ("motion", "action"):
            self.direct(places[-1], places[-1], negated=self.undeny(self.denied) or negated)
            phrase = Phrase([w for w in phrase.mods if w.cls != "PLACE"], [])
        self.describe(doer, phrase, negated=negated)

    def does(self, draft: Draft, verb: Word, *, negated: bool) -> None:
        """A verb is said of an entity."""
        self.verb, self.doer = verb, draft
        order = draft.order
        if order is not None and not order.by and verb.text in _COMES and not negated:
            draft.order = Order(order.n, verb.text)
            return
        said = Attribute(verb.kind, verb.value, "whole", negated, verb.text)
        draft.attributes.append(said)
        if verb.also:
            kind, _, value = verb.also.partition(" ")
            draft.attributes.append(Attribute(kind, value, "whole", negated, verb.text))
        if negated:
            self.denied = (draft, said)

    def alone(self, draft: Draft, verb: Word, *, negated: bool) -> None:
        """A verb that would need an object, without one: riding is moving."""
        kind, _, value = (verb.alone or f"action {verb.text}").partition(" ")
        said = Attribute(kind, value, "whole", negated, verb.text)
        draft.attributes.append(said)
        self.hungry = (draft, said)
        if negated:
            self.denied = (draft, said)

    def target(self, kind: str, phrase: Phrase, owner: Draft, *, negated: bool = False) -> None:
        """Another entity is named, to which `owner` stands in a relation."""
        made = Draft(via=kind)
        owner.relations.append((kind, made, negated))
        verb, doer = self.verb, self.doer
        self.fill(made, phrase)
        self.verb, self.doer, self.denied = verb, doer, None
        self.last, self.related = made, owner
        self.how, self.how_negated = kind, negated

    def wear(self, phrase: Phrase, *, negated: bool, owner: Draft | None = None) -> None:
        """A garment or a part of a body is somebody's."""
        head = phrase.head
        assert head is not None
        if owner is None:
            part = head.cls == "BODY" and head.value != "arms"
            beside = part and self.last.via not in CARRIED and self.last.can("animate")
            owner = self.last if beside else self.subject if part else self.latest("person")
        owner.attributes += worn(phrase, negated=negated)
        self.limb = head.value if head.cls == "BODY" else ""
        self.how, self.how_negated = "wearing", negated

    def direct(self, value: str, text: str, *, negated: bool) -> None:
        """A direction is said of who moves; of a raised hand it is the pose, of who faces somewhere where."""
        doer = self.doer or self.subject
        value = _ONWARD.get(value, value)
        limb, self.limb = self.limb, ""
        if limb and value in ("up", "down"):
            pose = "arm-raised" if (limb, value) == ("arms", "up") else f"{limb}-{value}".replace("arms", "arm")
            doer = self.latest("animate")
            doer.attributes = [a for a in doer.attributes if (a.kind, a.part) != ("body", limb)]
            doer.attributes.append(Attribute("pose", pose, "whole", negated, text))
            return
        withdraw(self.came)
        self.came = None
        kind = "direction"
        if self.hungry is not None and self.hungry[1].word == "face":
            withdraw(self.hungry)
            kind, self.hungry = "facing", None
        doer.attributes.append(Attribute(kind, value, "whole", negated, text))

    def come_from(self, place: str, *, negated: bool) -> None:
        """From the left is to the right, unless it is said where to."""
        doer = self.doer or self.subject
        said = Attribute("direction", _OPPOSITE.get(place, place), "whole", negated, place)
        doer.attributes.append(said)
        self.came = (doer, said)


def withdraw(said: tuple[Draft, Attribute] | None) -> None:
    """What was said of an entity turns out not to be said; it may be gone already."""
    if said is not None and said[1] in said[0].attributes:
        said[0].attributes.remove(said[1])
