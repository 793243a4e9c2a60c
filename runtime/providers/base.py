"""What every LLM provider is: a few coroutines over plain frozen data."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from attrs import field, frozen

from flowc.runtime.coerce import Tables
from flowc.runtime.errors import FlowError, Problem
from flowc.runtime.fingerprint import fingerprint
from flowc.runtime.limits import Price
from flowc.runtime.plan import Json
from flowc.runtime.types import Type

FREE = Price()
LONGEST_WAIT = 600.0
"""Seconds; a provider that asks for more is not waited for that long."""


@frozen(cache_hash=True)
class ModelSettings:
    """A model as flowc.toml describes it under [models.ALIAS]. Limits of None are no limits.

    `prefix_cache` says that the provider keeps what it computed for the beginning of a prompt, where that
    has at least `min_prefix_tokens`. `batch` says that it has an endpoint for many requests at once, which
    answers within `batch_latency` seconds. A call that is asked once more when it is late is late after
    `hedge_after` seconds, where that is given. `kv_tokens` is how many tokens its cache holds, where programs
    are to be admitted such that their contexts stay in it.
    """

    alias: str = "default"
    provider: str = "offline"
    model: str = ""
    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    price: Price = FREE
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_in_flight: int | None = None
    max_tokens: int | None = None
    timeout: float = 120.0
    prefix_cache: bool = False
    min_prefix_tokens: int = 1024
    batch: bool = False
    batch_latency: float = 86_400.0
    hedge_after: float | None = None
    kv_tokens: int | None = None


def name_of(model: ModelSettings) -> str:
    """What a model is called in traces and in the history."""
    return model.model or model.alias


@frozen
class Hole:
    """A hole of a prompt: the name it has in the program, its value, and the value as text."""

    name: str
    value: object
    text: str


Segment = str | Hole


@frozen
class Request:
    """A prompt to answer. `schema` describes `{"value": ...}` and is None where plain text is wanted.

    `step`, `attempt` and `seed` say which call this is, so that simulated and replayed answers do not
    depend on the order in which parallel calls happen to run. `prefix` counts the leading characters of the
    prompt that other calls share, where a pass found some: what a provider may cache. `program` names the
    run that asks and `begun` says when that began, in seconds of the loop's clock; `rank` is the upward rank
    of the call, in milliseconds. They order calls and never change an answer. `hedge` is 1 where an attempt
    is asked once more because it is late: the time may differ, the answer must not.
    """

    operation: str
    result: Type
    tables: Tables
    prompt: str
    segments: tuple[Segment, ...]
    schema: Mapping[str, Json] | None
    model: ModelSettings
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int = 0
    step: str = ""
    attempt: int = 1
    prefix: int = 0
    program: str = ""
    begun: float = 0.0
    rank: float = 0.0
    hedge: int = 0
    stream: Callable[[str], None] | None = field(default=None, eq=False)


@frozen
class Usage:
    """Tokens of a call. `estimated` says that the provider did not count them itself.

    `cached` of the tokens of the prompt were not computed again, and the call waited `queued` seconds before
    the provider began with it, as far as the provider tells. `batched` says that its endpoint for many
    requests answered.
    """

    prompt: int = 0
    answer: int = 0
    estimated: bool = False
    cached: int = 0
    queued: float = 0.0
    batched: bool = False


@frozen
class Quota:
    """What an endpoint says is left of a limit, until it is whole again at a time of the loop's clock."""

    left: int
    until: float
    limit: int | None = None


@frozen
class Allowance:
    """What an endpoint says may still be asked of it; None where it does not say."""

    requests: Quota | None = None
    tokens: Quota | None = None


@frozen
class Response:
    """An answer as it came: JSON text where a schema was given. `note` says where it came from."""

    text: str
    usage: Usage = Usage()
    finish: str = "stop"
    note: str = ""
    allowance: Allowance | None = field(default=None, eq=False)


@frozen
class EmbedRequest:
    """Texts to turn into vectors. `step`, `attempt`, `seed` and `program` are those of a `Request`."""

    texts: tuple[str, ...]
    model: ModelSettings
    step: str = ""
    seed: int = 0
    attempt: int = 1
    program: str = ""


def attempt_key(request: "Request | EmbedRequest", body: object = None) -> str:
    """What an attempt is called by, in whatever process the run that asks goes on. `body` is what is sent for
    it: where that is another one, so is the key.
    """
    hedge = request.hedge if isinstance(request, Request) else 0
    return fingerprint("request", request.program, request.step, request.attempt, hedge, body).hex()


@frozen
class Embedding:
    """One vector a text, in order, all of the same length."""

    vectors: tuple[tuple[float, ...], ...] | object
    usage: Usage = Usage()
    allowance: Allowance | None = field(default=None, eq=False)


class Provider(Protocol):
    """A place that answers prompts. Raises `ProviderError` and nothing else."""

    async def generate(self, request: Request) -> Response:
        """Answers one prompt."""
        ...

    async def embed(self, request: EmbedRequest) -> Embedding:
        """Turns texts into vectors."""
        ...

    def prompt_bound(self, request: Request) -> int:
        """The most tokens that the prompt can count."""
        ...

    async def close(self) -> None:
        """Lets connections go."""
        ...


@runtime_checkable
class BatchProvider(Provider, Protocol):
    """A provider with an endpoint for many requests at once.

    Answers come by the ids of their requests, in any order. An answer that is missing, there twice or to no
    request is found out by who asked, not by the provider.
    """

    async def generate_many(
        self, requests: Mapping[str, Request]
    ) -> "Sequence[tuple[str, Response | ProviderError]]":
        """Answers prompts by their ids; what fails alone is an error in the place of its answer."""
        ...


class ProviderError(FlowError):
    """A call of a provider that failed. `after` is what the provider asked to wait, in seconds.

    `usage` is what the call cost all the same: nothing where it was refused, None where that is not known.
    `allowance` is what the endpoint said with the failure.
    """

    def __init__(self, problem: Problem, *, retryable: bool = True, after: float | None = None) -> None:
        super().__init__(problem)
        self.retryable = retryable
        wanted = math.nan if after is None else after
        self.after = None if math.isnan(wanted) else min(max(wanted, 0.0), LONGEST_WAIT)
        self.usage: Usage | None = Usage()
        self.allowance: Allowance | None = None


def estimate_tokens(text: str) -> int:
    """About how many tokens a text has: four bytes a token, which is near for English."""
    return (len(text.encode("utf-8", "surrogatepass")) + 3) // 4


def byte_bound(text: str) -> int:
    """A bound that holds for every tokenizer over bytes: no token is empty."""
    return len(text.encode("utf-8", "surrogatepass"))
