"""The options by which `strefer instruct` has its pairs rewritten: `--llm URL --llm-model NAME`, and limits."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from engines.errors import UserError
from engines.finite import Finite
from engines.store import environment_cache
from instruct.pace import Pace
from stream.cli_models import endpoint_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engines.chat import Endpoint
    from instruct.rewrite import Rewriter

F = TypeVar("F", bound=Callable[..., object])
AT_ONCE = 8
"""Questions that are under way together."""


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What the options ask for. endpoint: None where nothing is rewritten. per_minute: requests, 0 is no limit."""

    endpoint: Endpoint | None
    questions: int
    tokens: int | None
    per_minute: int
    deadline_s: float
    cache: Path

    def open(self, tell: Callable[[int], None]) -> AbstractContextManager[Rewriter | None]:
        """The rewriter, None where nothing is rewritten. Raises UserError where its answers cannot be kept."""
        return nullcontext() if self.endpoint is None else self._opened(self.endpoint, tell)

    @contextmanager
    def _opened(self, endpoint: Endpoint, tell: Callable[[int], None]) -> Iterator[Rewriter]:
        from engines.chat import Budget, Chat
        from instruct.answers import Answers
        from instruct.rewrite import ANSWER_TOKENS, Rewriter

        pace = Pace(self.per_minute)
        chats = [
            Chat(
                endpoint, deadline_s=self.deadline_s, budget=Budget(sys.maxsize, sys.maxsize), cached=0,
                answer_tokens=ANSWER_TOKENS, again=pace.count,
            )
            for _ in range(AT_ONCE)
        ]  # fmt: skip
        answers = Answers(self.cache)
        try:
            yield Rewriter(chats, answers, questions=self.questions, tokens=self.tokens, pace=pace, tell=tell)
        finally:
            answers.close()


def rewriting_options(command: F) -> F:
    """Adds the options to a command, which gets them as one keyword argument `rewriting: Rewriting`."""

    @click.option("--llm", "llm_url", metavar="URL",
                  help="A language model behind an OpenAI-compatible address, up to /v1: it words the pairs anew; what "
                  "does not say the same is refused. Texts are sent there. Key: $STREFER_LLM_KEY.")  # fmt: skip
    @click.option("--llm-model", metavar="NAME", help="The model's name at --llm.")
    @click.option("--llm-budget", "questions", type=click.IntRange(min=1), default=500, show_default=True, metavar="N",
                  help="Questions that one run asks at most, of up to 8 pairs each.")  # fmt: skip
    @click.option("--llm-tokens", "tokens", type=click.IntRange(min=1), metavar="N",
                  help="Tokens after which one run asks no more; the questions under way may pass it.")  # fmt: skip
    @click.option("--llm-rate", "rate", type=click.IntRange(min=1), metavar="N",
                  help="Requests in any minute at most; those that are sent again count.")  # fmt: skip
    @click.option("--llm-deadline", "deadline_s", type=Finite(min=0.1), default=60.0, show_default=True,
                  metavar="S", help="Longest one question may take with all its retries, seconds.")  # fmt: skip
    @click.option("--llm-cache", "cache", type=click.Path(path_type=Path), metavar="DIR",
                  help="Keeps answers, so that nothing is asked twice.  [default: in the user's cache]")  # fmt: skip
    @functools.wraps(command)
    def with_rewriting(
        *args: object, llm_url: str | None, llm_model: str | None, questions: int, tokens: int | None,
        rate: int | None, deadline_s: float, cache: Path | None, **kwargs: object,
    ) -> object:  # fmt: skip
        if not math.isfinite(deadline_s):
            raise UserError(f"--llm-deadline is {deadline_s:g}, wanted seconds: a question may take that long")
        rewriting = Rewriting(
            endpoint_of("LLM", llm_url, llm_model), questions, tokens, rate or 0, deadline_s,
            cache or environment_cache() / "instruct",
        )  # fmt: skip
        return command(*args, rewriting=rewriting, **kwargs)

    return with_rewriting  # type: ignore[return-value]
