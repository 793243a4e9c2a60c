"""The provider of a tested run: notes each call, and lets it go wrong where the schedule says so."""

from collections.abc import Mapping
from typing import Any, Protocol

from attrs import define

from flowc.runtime.coerce import coercer
from flowc.runtime.errors import FlowError, Problem
from flowc.runtime.providers.base import Embedding, EmbedRequest, Provider, ProviderError, Request, Response
from flowc.runtime.scheduler.prompts import parse_answer
from flowc.testing.flows.faults import Fault, delay, provider_error, spoilt
from flowc.testing.flows.scripts import holes


class Noting(Protocol):
    """Where calls are noted, and told what is to go wrong with them."""

    dead: bool

    def begin(
        self, kind: str, name: str, arguments: Mapping[str, object], **more: Any
    ) -> tuple[int, Fault | None]:
        """Notes a call; gives its place, and its fault."""

    def end(self, place: int, result: object, failure: BaseException | None = None) -> None:
        """Notes how the call at a place ended."""


@define(eq=False)
class Watched:
    """A provider whose calls are noted, and go wrong by the schedule."""

    stage: Noting
    provider: Provider

    async def generate(self, request: Request) -> Response:
        """The inner provider's answer, as the schedule leaves it."""
        stage = self.stage
        if stage.dead:
            raise ProviderError(Problem("E0822", "nobody is there"), retryable=False)
        place, fault = stage.begin("llm", request.operation, holes(request), prompt=request.prompt)
        try:
            await delay(fault)
            if (error := provider_error(fault)) is not None:
                raise error
            response = spoilt(
                await self.provider.generate(request), fault, structured=request.schema is not None
            )
        except ProviderError as failure:
            stage.end(place, None, failure)
            raise
        stage.end(place, _said(request, response))
        return response

    async def embed(self, request: EmbedRequest) -> Embedding:
        """The inner provider's vectors."""
        place, _ = self.stage.begin("embed", "embed", {"texts": request.texts})
        embedding = await self.provider.embed(request)
        self.stage.end(place, None)
        return embedding

    def prompt_bound(self, request: Request) -> int:
        """The inner provider's bound."""
        return self.provider.prompt_bound(request)

    async def close(self) -> None:
        """Nothing is open here: who gave the provider closes it."""


def _said(request: Request, response: Response) -> object:
    """The value that an answer stands for; its text where it is none."""
    try:
        return parse_answer(
            request.operation, request.result, coercer(request.result, request.tables), response
        )
    except FlowError:
        return response.text
