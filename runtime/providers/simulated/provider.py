"""The `simulated` provider: answers from a seed, after the time that a model, its server and its endpoint
would take.

Every answer depends on the seed, the question, the step and the attempt alone, so a run gives the same
again whatever the order in which its parallel calls happen to be served. At temperature 0 the runtime gives
the question as the step, so that a program answers the same however its flows were inlined. Time passes on
the loop's clock, which the runtime makes virtual.
"""

import asyncio
import contextlib
import itertools
import random
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from attrs import define, evolve, field

from flowc.runtime.errors import Problem
from flowc.runtime.providers.base import (
    Embedding,
    EmbedRequest,
    ModelSettings,
    ProviderError,
    Request,
    Response,
    Usage,
    estimate_tokens,
)
from flowc.runtime.providers.simulated.answers import vector_of
from flowc.runtime.providers.simulated.behaviour import NOTHING, PLAIN, Behaviour, Serving, Simulation
from flowc.runtime.providers.simulated.composing import Composed, composed, waited
from flowc.runtime.providers.simulated.endpoint import Endpoint
from flowc.runtime.providers.simulated.hosting import Host
from flowc.runtime.providers.simulated.identities import block_ids
from flowc.runtime.providers.simulated.kept_prefixes import KeptPrefixes
from flowc.runtime.providers.simulated.serving import Job, Server
from flowc.runtime.randomness import seed_of

PARTS = 8
"""How many parts a streamed answer comes in."""

Loop = asyncio.AbstractEventLoop


@define(eq=False)
class Simulated:
    """A model that is a random number generator behind a simulated server.

    `behaviour` is that of models for which `simulation` has none of their own.
    """

    seed: int = 0
    behaviour: Behaviour = PLAIN
    simulation: Simulation = NOTHING
    hosts: "WeakKeyDictionary[Loop, dict[str, Host]]" = field(factory=WeakKeyDictionary)
    endpoints: "WeakKeyDictionary[Loop, dict[str, Endpoint]]" = field(factory=WeakKeyDictionary)
    kept: "WeakKeyDictionary[Loop, KeptPrefixes]" = field(factory=WeakKeyDictionary)

    async def generate(self, request: Request) -> Response:
        """An answer of the right type after a plausible time, or a fault."""
        behaviour = self.behaviour_of(request.model)
        answer = composed(request, behaviour, self.seed)
        work = self._admitted(request, behaviour, answer)
        return await (_heedless(work) if behaviour.ignores_cancellation else work)

    async def generate_many(
        self, requests: Mapping[str, Request]
    ) -> Sequence[tuple[str, Response | ProviderError]]:
        """The answers to many requests, when all are there; in a hostile order and number where asked."""

        async def one(request: Request) -> Response | ProviderError:
            try:
                return await self.generate(request)
            except ProviderError as error:
                return error

        behaviours = [self.behaviour_of(request.model) for request in requests.values()]
        await asyncio.sleep(max((each.batch_seconds or 0.0 for each in behaviours), default=0.0))
        found = await asyncio.gather(*map(one, requests.values()))
        answers = list(zip(requests, found, strict=True))
        kept: list[tuple[str, Response | ProviderError]] = []
        for name, answer in answers:
            behaviour = self.behaviour_of(requests[name].model)
            chance = random.Random(seed_of(self.seed, "batch", name, requests[name].step))
            if chance.random() >= behaviour.batch_dropped:
                kept.append((name, answer))
            if chance.random() < behaviour.batch_duplicated:
                kept.append((name, answer))
        if any(self.behaviour_of(request.model).batch_shuffled for request in requests.values()):
            random.Random(seed_of(self.seed, "batch", *requests)).shuffle(kept)
        return kept

    async def embed(self, request: EmbedRequest) -> Embedding:
        """Vectors that depend on the texts alone."""
        behaviour = self.behaviour_of(request.model)
        sizes = [estimate_tokens(text) for text in request.texts]
        with self._let_in(request.model, behaviour, sum(sizes)):
            await self._embedded(request, behaviour, sizes)
        vectors = tuple(vector_of(self.seed, text) for text in request.texts)
        return Embedding(vectors, Usage(sum(sizes), 0))

    async def _embedded(self, request: EmbedRequest, behaviour: Behaviour, sizes: Sequence[int]) -> None:
        """Takes the time of an embedding."""
        chance = random.Random(seed_of(self.seed, "embed", request.step))
        if behaviour.latency is not None:
            await asyncio.sleep(behaviour.network + behaviour.latency.sample(chance))
        elif behaviour.server is None:
            await asyncio.sleep(behaviour.network + waited(chance, behaviour))
        else:
            await asyncio.sleep(behaviour.network)
            host = self._host(request.model, behaviour.server)
            jobs = [_checked(host, Job(max(1, size), 1), request.model) for size in sizes]
            await asyncio.gather(*map(host.serve, jobs))

    def prompt_bound(self, request: Request) -> int:
        """Exact: the provider counts as it is estimated."""
        return estimate_tokens(request.prompt)

    async def close(self) -> None:
        """Nothing is open."""

    def behaviour_of(self, model: ModelSettings) -> Behaviour:
        """How this model behaves."""
        return self.simulation.models.get(model.alias, self.behaviour)

    async def _admitted(self, request: Request, behaviour: Behaviour, answer: Composed) -> Response:
        with self._let_in(request.model, behaviour, estimate_tokens(request.prompt) + answer.tokens):
            return await self._answered(request, behaviour, answer)

    @contextlib.contextmanager
    def _let_in(self, model: ModelSettings, behaviour: Behaviour, tokens: int) -> Iterator[None]:
        """A request within the quotas; raises E0820 where it is over them."""
        if not behaviour.quotas:
            yield
            return
        endpoint = self._endpoint(model, behaviour)
        endpoint.enter(asyncio.get_running_loop().time(), tokens)
        try:
            yield
        finally:
            endpoint.leave()

    async def _answered(self, request: Request, behaviour: Behaviour, answer: Composed) -> Response:
        usage = answer.usage
        whole = self.simulation.llms.get(request.operation, behaviour.latency)
        if whole is not None:
            await _timed(request, answer, behaviour.network, whole.sample(answer.times))
        elif behaviour.server is None:
            rest = answer.tokens / behaviour.tokens_per_second
            kept = self.kept.setdefault(asyncio.get_running_loop(), KeptPrefixes())
            usage = evolve(usage, cached=kept.tokens(request))
            begun = partial(kept.keep, request)
            await _timed(request, answer, behaviour.network + answer.latency, rest, begun)
        else:
            await asyncio.sleep(behaviour.network)
            if answer.error is not None:
                raise answer.error
            job = await self._served(request, behaviour.server, answer)
            usage = evolve(usage, cached=job.cached, queued=job.queued)
        return Response(answer.text, usage, answer.finish, f"simulated from seed {self.seed}")

    async def _served(self, request: Request, serving: Serving, answer: Composed) -> Job:
        """The job of a request on its model's server, ended."""
        host = self._host(request.model, serving)
        streamed = _parts(answer.text, min(PARTS, answer.tokens)) if request.stream is not None else []
        job = Job(
            prompt=max(1, estimate_tokens(request.prompt)),
            answer=answer.tokens,
            blocks=block_ids(request.prompt + answer.text, serving.block),
            order=(-request.rank, request.begun),
            program=request.program,
            marks=tuple(answer.tokens * number // len(streamed) for number in range(1, len(streamed))),
        )
        left = iter(streamed)

        def heard(_: int) -> None:
            if request.stream is not None:
                request.stream(next(left))

        await host.serve(_checked(host, job, request.model), heard)
        if streamed:
            heard(answer.tokens)
        return job

    def _host(self, model: ModelSettings, serving: Serving) -> Host:
        mine = self.hosts.setdefault(asyncio.get_running_loop(), {})
        if model.alias not in mine:
            mine[model.alias] = Host(Server(serving))
        return mine[model.alias]

    def _endpoint(self, model: ModelSettings, behaviour: Behaviour) -> Endpoint:
        mine = self.endpoints.setdefault(asyncio.get_running_loop(), {})
        if model.alias not in mine:
            mine[model.alias] = Endpoint(model.alias, behaviour.quotas)
        return mine[model.alias]


def _checked(host: Host, job: Job, model: ModelSettings) -> Job:
    """The job, where the server can hold it; raises E0825 as an endpoint does for what is too long."""
    if host.server.holds(job):
        return job
    problem = Problem(
        "E0825",
        f"the endpoint refused the request (model `{model.alias}`)",
        f"simulated: {job.prompt:,} tokens of prompt and {job.answer:,} of answer do not fit into the "
        f"{host.server.serving.kv_tokens:,} tokens of its cache",
        "ask for less, or raise `kv_tokens` of the simulated server in flowc.toml",
    )
    raise ProviderError(problem, retryable=False)


async def _timed(
    request: Request, answer: Composed, first: float, rest: float, told: Callable[[], None] | None = None
) -> None:
    """The answer of a model that nobody else uses: `first` seconds of silence, then `rest` of tokens. Its
    beginning is `told`.
    """
    await asyncio.sleep(first)
    if answer.error is not None:
        raise answer.error
    if told is not None:
        told()
    begun = asyncio.get_running_loop().time()
    if request.stream is None:
        await _until(begun + rest)
        return
    parts = _parts(answer.text, min(PARTS, answer.tokens))
    for number, part in enumerate(parts, 1):
        await _until(begun + rest if number == len(parts) else begun + rest * number / len(parts))
        request.stream(part)


async def _until(time: float) -> None:
    """Waits for a time of the loop's clock."""
    loop = asyncio.get_running_loop()
    reached: asyncio.Future[None] = loop.create_future()
    timer = loop.call_at(time, _reach, reached)
    try:
        await reached
    finally:
        timer.cancel()


def _reach(reached: "asyncio.Future[None]") -> None:
    if not reached.done():
        reached.set_result(None)


async def _heedless(work: Coroutine[Any, Any, Response]) -> Response:
    """Does the work to its end, whoever cancels it."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError, ProviderError):
            await asyncio.shield(task)
    return task.result()


def _parts(text: str, count: int) -> list[str]:
    """A text in `count` parts of nearly equal length; some are empty where it is shorter than that."""
    cuts = [len(text) * number // count for number in range(count + 1)]
    return [text[begin:end] for begin, end in itertools.pairwise(cuts)]
