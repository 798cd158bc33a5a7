"""From an expression to the mask, and from a mask to the expression."""

from __future__ import annotations

from collections.abc import Iterator

from instruct.compose import Composer
from instruct.pair import REGION, Claim, Unit

FAMILY = "grounding"


def pairs(c: Composer) -> Iterator[Unit]:
    clear = [t for t in c.tracks if not t.ambiguous]
    for t in clear:
        claim = Claim(kind="called", entity=t.entity, text=t.expression)
        masked, named = c.masked(t), c.named(t)
        if masked is None or named is None:
            continue
        ask = c.rng.choice(("Segment {who}.", "Find {who} in the video and show the mask.", "Where is {who}? Show it."))
        answer = f"Here it is: {REGION}."
        yield (c.pair(FAMILY, "open", ask.format(who=t.expression), answer, [claim], [named, masked], timed=False),)
        masked = c.masked(t)
        assert masked is not None
        ask = c.rng.choice(("Who or what is {r}?", "Give a referring expression for {r}.", "What would you call {r}?"))
        question = ask.format(r=REGION)
        answer = f"It is {t.expression}."
        yield (c.pair(FAMILY, "open", question, answer, [claim], [masked], timed=False, spoken=[t]),)
        others = [o for o in clear if o is not t]
        wrong = [(o.expression, Claim(kind="called", holds=False, entity=t.entity, text=o.expression)) for o in others]
        spoken = [t, *others]
        yield c.choice(FAMILY, question, (t.expression, claim), wrong, [masked], timed=False, spoken=spoken)
        for other in others:
            again = c.masked(t)
            assert again is not None
            no = Claim(kind="called", holds=False, entity=t.entity, text=other.expression)
            yield (
                c.pair(FAMILY, "yesno", f"Is {REGION} {t.expression}?", f"Yes, it is {t.expression}.", [claim], [again],
                       timed=False, spoken=[t]),
                c.pair(FAMILY, "yesno", f"Is {REGION} {other.expression}?", f"No, it is {t.expression}.", [no, claim],
                       [again], timed=False, spoken=[t, other]),
            )  # fmt: skip
