"""Times in a text as 32 tokens, <t0> to <t31>: token k stands for k / 31 of the clip, so that it is up to a 62nd of it
(half a step) away from the time it replaces. How long something lasts is no such time and stays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from instruct.pair import Pair

COUNT = 32
TOKENS = tuple(f"<t{k}>" for k in range(COUNT))
_TIME = re.compile(
    r"(?<![\w:.])(?:(?P<minutes>\d+):(?P<seconds>\d\d(?:\.\d+)?)|(?P<alone>\d+(?:\.\d+)?) (?:s|seconds?))(?![\w:]|\.\d)"
)
"""00:18, 00:18.4, 18 s, 18.4 s, 1 second, 18 seconds."""


def tokens(text: str, length_us: int) -> str:
    """A text with tokens for its times, which count from the start of a clip of a length."""

    def token(m: re.Match[str]) -> str:
        seconds = 60 * int(m["minutes"]) + float(m["seconds"]) if m["minutes"] else float(m["alone"])
        return TOKENS[nearest(round(seconds * 1_000_000), length_us)]

    return _TIME.sub(token, text)


def nearest(us: int, length_us: int) -> int:
    """The token next to a time from the clip's start; the last one past its end."""
    return min(COUNT - 1, (2 * us * (COUNT - 1) + length_us) // (2 * length_us))


def told(pair: Pair) -> tuple[str, str]:
    """A pair's question and answer with tokens for times."""
    return _told(pair.question, pair), _told(pair.answer, pair)


def blurred(unit: Sequence[Pair]) -> bool:
    """Whether tokens make the same of what differs: two options of a choice, or a question and its twin."""
    questions, options = [p.question for p in unit], unit[0].options
    return len({_told(q, unit[0]) for q in questions}) < len(set(questions)) or len(
        {_told(o, unit[0]) for o in options}
    ) < len(options)


def _told(text: str, pair: Pair) -> str:
    if any(c.kind == "lasts" for c in pair.claims):  # of these pairs all figures are lengths
        return text
    return tokens(text, pair.end_us - pair.start_us)
