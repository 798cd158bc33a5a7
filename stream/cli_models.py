"""The options by which a command names the models it may ask: `--vlm URL --vlm-model NAME`, the same with `--llm`."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import urlsplit

import click

from engines.errors import UserError
from engines.finite import Finite
from engines.store import environment_key

if TYPE_CHECKING:
    from engines.chat import Budget, Chat, Endpoint
    from stream.ask import Models

F = TypeVar("F", bound=Callable[..., object])


def model_options(command: F) -> F:
    """Adds the options to a command, which gets them as one keyword argument `models: Models`.

    Keys come from the environment (STREFER_VLM_KEY, STREFER_LLM_KEY): a command line is for everybody to see.
    """

    @click.option("--vlm", "vlm_url", metavar="URL",
                  help="A vision language model behind an OpenAI-compatible address, up to /v1: asked whom queries "
                  "mean and what to call entities. Frames are sent there. Key: $STREFER_VLM_KEY.")  # fmt: skip
    @click.option("--vlm-model", metavar="NAME", help="The model's name at --vlm.")
    @click.option("--vlm-actions", is_flag=True,
                  help="Ask --vlm also what everybody does, every 4 s; answers are action events.")  # fmt: skip
    @click.option("--llm", "llm_url", metavar="URL",
                  help="The same for a language model that reads queries. Key: $STREFER_LLM_KEY.")  # fmt: skip
    @click.option("--llm-model", metavar="NAME", help="The model's name at --llm.")
    @click.option("--vlm-budget", "questions", type=click.IntRange(min=1), default=500, show_default=True, metavar="N",
                  help="Questions that one run asks at most, of both models.")  # fmt: skip
    @click.option("--vlm-deadline", "deadline_s", type=Finite(min=0.1), default=10.0, show_default=True,
                  metavar="S", help="Longest one question may take; the feed waits, seconds.")  # fmt: skip
    @functools.wraps(command)
    def with_models(
        *args: object, vlm_url: str | None, vlm_model: str | None, llm_url: str | None, llm_model: str | None,
        questions: int, deadline_s: float, vlm_actions: bool, **kwargs: object,
    ) -> object:  # fmt: skip
        vlm, llm = (vlm_url, vlm_model), (llm_url, llm_model)
        models = models_of(vlm, llm, questions=questions, deadline_s=deadline_s, actions=vlm_actions)
        return command(*args, models=models, **kwargs)

    return with_models  # type: ignore[return-value]


def models_of(
    vlm: tuple[str | None, str | None], llm: tuple[str | None, str | None], *, questions: int, deadline_s: float,
    actions: bool = False,
) -> Models:  # fmt: skip
    """The models that these options name, each as (address, model), with one budget. Raises UserError where one of the
    two is missing, or the package that asks is."""
    from engines.chat import Budget
    from stream.ask import Models

    if not math.isfinite(deadline_s):
        raise UserError(f"--vlm-deadline is {deadline_s:g}, wanted seconds: a feed waits that long")
    if actions and vlm[0] is None:
        raise UserError("--vlm-actions wants --vlm: the address of the model that is asked")
    budget = Budget(questions, tokens=sys.maxsize)
    return Models(_chat("VLM", *vlm, budget, deadline_s), _chat("LLM", *llm, budget, deadline_s), actions)


def _chat(
    role: Literal["VLM", "LLM"], url: str | None, model: str | None, budget: Budget, deadline_s: float
) -> Chat | None:
    from engines.chat import Chat

    endpoint = endpoint_of(role, url, model)
    return None if endpoint is None else Chat(endpoint, deadline_s=deadline_s, budget=budget)


def endpoint_of(role: Literal["VLM", "LLM"], url: str | None, model: str | None) -> Endpoint | None:
    """The endpoint that the two options of a role name, with the environment's key; None where neither is given.
    Raises UserError where one is missing, or the address is none or holds a secret."""
    from engines.chat import Endpoint

    option = f"--{role.lower()}"
    if url is None and model is None:
        return None
    if not model:
        raise UserError(f"{option} {url} wants {option}-model: the name of a model that it serves")
    if not url:
        raise UserError(f"{option}-model {model} wants {option}: the address it is served at, like http://host:8000/v1")
    try:
        has_secret = "@" in urlsplit(url).netloc
    except ValueError:
        raise UserError(f"{option} {url!r} is no address: give one like http://host:8000/v1") from None
    if has_secret:
        raise UserError(f"{option} holds a user or password: leave it out, and put the key into STREFER_{role}_KEY")
    return Endpoint(url, model, environment_key(role))
