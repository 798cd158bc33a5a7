"""Questions to a language model behind an OpenAI-compatible endpoint: text and images in, a typed answer out.

Bounded in every direction: one deadline for a question with all its retries, a budget of questions and tokens, a cache
of a few hundred answers. What goes wrong is one ChatError with one line.

    chat = Chat(Endpoint("http://127.0.0.1:8000/v1", "qwen"), deadline_s=10)
    answer = chat.ask("Which animals are in the picture?", Animals, images=[rgb])
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import cv2
import msgspec

from engines.crops import U8
from engines.errors import UserError

T = TypeVar("T", bound=msgspec.Struct)
_AGAIN = frozenset((408, 409, 425, 429, 500, 502, 503, 504))
"""HTTP statuses after which it is worth to ask again."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 8.0
_ANSWER_BYTES = 2 << 20
"""Largest response that is read."""
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What decoding raises of whatever a server may send."""


class ChatError(Exception):
    """A question got no answer: the cause in one line."""


class BudgetError(ChatError):
    """A question was not asked: the budget is spent."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Who is asked. base_url: up to and with `/v1`. key: empty where none is needed."""

    base_url: str
    model: str
    key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.base_url)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise UserError(f"the endpoint {self.base_url!r} is no http or https address: give one like http://host/v1")
        if parts.query or parts.fragment:
            raise UserError("the endpoint's address holds a ? or #: end it with its path, like http://host/v1")
        if not (self.key.isascii() and self.key.isprintable()):
            raise UserError("the endpoint's key holds what no key can: a line break, or letters that are not ASCII")
        if not self.model:
            raise UserError(f"no model is named for the endpoint {self.base_url}: name one that it serves")

    @classmethod
    def of(cls, environ: Mapping[str, str], url: str, model: str, key: str = "") -> Endpoint:
        """The endpoint that these variables of an environment tell. Raises UserError where one is unset."""
        for name in filter(None, (url, model, key)):
            if not environ.get(name):
                raise UserError(f"{name} is not set: it has to name the endpoint's address, model or key")
        return cls(environ[url], environ[model], environ[key] if key else "")


@dataclass(slots=True)
class Budget:
    """What may be spent, and what has been. A question over it is not asked; the last one may pass the tokens."""

    questions: int
    tokens: int
    asked: int = 0
    used: int = 0

    def take(self) -> None:
        """Raises BudgetError where nothing is left."""
        if self.asked >= self.questions:
            raise BudgetError(f"the budget of {self.questions} questions is spent")
        if self.used >= self.tokens:
            raise BudgetError(f"the budget of {self.tokens} tokens is spent: {self.used} were used")
        self.asked += 1


class Asks(Protocol):
    """Whoever answers questions: `Chat`, or a test's stand-in."""

    def ask(self, text: str, answer: type[T], *, system: str = "", images: Sequence[U8] = ()) -> T:
        """The answer to a question. Raises ChatError."""
        ...


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    total_tokens: int = 0


class _Completion(msgspec.Struct):
    """The part of a chat completion that is read."""

    choices: list[_Choice]
    usage: _Usage | None = None


class Chat:
    """One endpoint, one budget, one cache. Threads may share it; not to be called inside a running event loop."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        deadline_s: float = 30.0,
        budget: Budget | None = None,
        answer_tokens: int = 1024,
        cached: int = 256,
        again: Callable[[], None] = lambda: None,
    ) -> None:
        """deadline_s: for a question with all its retries. budget: none is no limit. cached: answers that are kept.
        again: is called, from the asking thread, before a request is sent a second time or more."""
        self.endpoint = endpoint
        self.budget = budget
        self._deadline_s = deadline_s
        self._answer_tokens = answer_tokens
        self._cached = cached
        self._again = again
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._openai = _library()

    def ask(self, text: str, answer: type[T], *, system: str = "", images: Sequence[U8] = ()) -> T:
        """The answer to a question about images [H, W, 3] uint8 RGB.

        `answer` should forbid unknown fields and give no defaults: endpoints that hold a model to a schema want that.
        Raises ChatError where no answer of that type comes in time, BudgetError where the budget is spent.
        """
        request = self._request(text, answer, system, images)
        key = hashlib.sha256(msgspec.json.encode([self.endpoint.base_url, request])).hexdigest()
        with self._lock:
            known = self._cache.get(key)
            if known is not None:
                self._cache.move_to_end(key)
            elif self.budget is not None:
                self.budget.take()
        if known is not None:
            return msgspec.json.decode(known, type=answer)
        said = self._content(asyncio.run(self._in_time(request)))
        try:
            found = msgspec.json.decode(said, type=answer)
        except _UNREADABLE as e:
            raise ChatError(f"{self.endpoint.model} did not answer as asked: {self._line(e)}") from None
        with self._lock:
            self._cache[key] = said
            while len(self._cache) > self._cached:
                self._cache.popitem(last=False)
        return found

    def _request(self, text: str, answer: type[T], system: str, images: Sequence[U8]) -> dict[str, Any]:
        (schema,), parts = msgspec.json.schema_components([answer], ref_template="#/$defs/{name}")
        name = str(schema["$ref"]).rpartition("/")[2]
        top = {**parts.pop(name), "$defs": parts} if parts.keys() - {name} else parts[name]
        seen = [{"type": "image_url", "image_url": {"url": jpeg(i)}} for i in images]
        content = [{"type": "text", "text": text}, *seen]
        first = [{"role": "system", "content": system}] if system else []
        return {
            "model": self.endpoint.model,
            "messages": [*first, {"role": "user", "content": content if images else text}],
            "temperature": 0,
            "seed": 0,
            "max_tokens": self._answer_tokens,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": name, "schema": top, "strict": True},
            },
        }

    def _content(self, body: bytes) -> bytes:
        """The answer's text out of a response; its tokens are counted whatever it says."""
        try:
            done = msgspec.json.decode(body, type=_Completion)
        except _UNREADABLE as e:
            raise ChatError(f"{self.endpoint.base_url} does not speak the OpenAI protocol: {self._line(e)}") from None
        with self._lock:
            if self.budget is not None:
                self.budget.used += done.usage.total_tokens if done.usage is not None else self._answer_tokens
        choice = done.choices[0] if done.choices else None
        if choice is None or not choice.message.content:
            raise ChatError(f"{self.endpoint.model} gave no answer")
        if choice.finish_reason == "length":
            raise ChatError(f"{self.endpoint.model} was cut off at {self._answer_tokens} tokens")
        return choice.message.content.encode()

    async def _in_time(self, request: dict[str, Any]) -> bytes:
        """The response's body, asked for again after what may pass, until the deadline."""
        trouble = ["it is silent"]
        try:
            async with asyncio.timeout(self._deadline_s), self._client() as client:
                pause_s = _FIRST_PAUSE_S
                while True:
                    try:
                        create = client.chat.completions.with_streaming_response.create
                        async with create(**request) as response:
                            return await self._read(response)
                    except self._openai.APIStatusError as e:
                        trouble[0] = f"it says {e.status_code}: {self._line(e)}"
                        if e.status_code not in _AGAIN:
                            raise ChatError(f"{self.endpoint.base_url}: {trouble[0]}") from None
                        told_s = _seconds(e.response.headers.get("retry-after"))
                    except self._openai.APIConnectionError as e:
                        trouble[0], told_s = f"{self._line(e)} {self._line(e.__cause__ or '')}".strip(), 0.0
                    await asyncio.sleep(max(pause_s, told_s))
                    self._again()
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        except TimeoutError:
            raise ChatError(
                f"{self.endpoint.base_url} gave no answer within {self._deadline_s:g} s ({trouble[0]})"
            ) from None
        except self._openai.OpenAIError as e:
            raise ChatError(f"{self.endpoint.base_url}: {self._line(e)}") from None

    async def _read(self, response: Any) -> bytes:
        body = bytearray()
        try:
            async for part in response.iter_bytes(1 << 16):
                body += part
                if len(body) > _ANSWER_BYTES:
                    raise ChatError(f"{self.endpoint.base_url} sends more than {_ANSWER_BYTES >> 20} MB")
        except (ChatError, TimeoutError):
            raise
        except Exception as e:  # a stream's errors are the transport's own, and come as they are
            raise self._openai.APIConnectionError(request=response.http_request) from e
        return bytes(body)

    def _line(self, error: object) -> str:
        """An error in one line of bounded length, without the key, which servers like to quote."""
        line = " ".join(str(error)[:4000].split())
        return (line.replace(self.endpoint.key, "***") if self.endpoint.key else line)[:200]

    def _client(self) -> Any:
        # Retries are ours, for one deadline over all. What is given, if empty, is not read from the environment.
        return self._openai.AsyncOpenAI(
            base_url=self.endpoint.base_url,
            api_key=self.endpoint.key or "none",
            organization="",
            project="",
            timeout=self._deadline_s,
            max_retries=0,
        )


def jpeg(rgb: U8) -> str:
    """An image [H, W, 3] uint8 RGB as a data address."""
    done, coded = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert done
    return "data:image/jpeg;base64," + base64.b64encode(coded.tobytes()).decode()


def _library() -> Any:
    try:
        import openai
    except ImportError:
        raise UserError("the package openai (3) is not installed: pip install '.[vlm]'") from None
    return openai


def _seconds(header: str | None) -> float:
    """A Retry-After in seconds; 0 where it is none or a date."""
    try:
        return max(0.0, float(header or 0))
    except ValueError:
        return 0.0
