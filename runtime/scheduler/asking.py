"""One attempt of a model call: admitted, asked, once more where it is late, counted, settled."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from attrs import define, evolve, frozen

from flowc.runtime.admission.gate import Place
from flowc.runtime.fingerprint import fingerprint
from flowc.runtime.limits import USUAL_ANSWER, Budget, Reservation, reserve
from flowc.runtime.providers.base import (
    Provider,
    ProviderError,
    Request,
    Response,
    Usage,
    estimate_tokens,
    name_of,
)
from flowc.runtime.scheduler.abandoning import Graceful
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.collector import Collector
from flowc.runtime.scheduler.counting import estimated, incredible, is_credible
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.entering import call_of, entered, learn, learn_failure
from flowc.runtime.scheduler.foreseeing import late_after
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.hedging import Second, first_of, note_second, others_for
from flowc.runtime.scheduler.prefixes import Lead, cached_beginning
from flowc.runtime.scheduler.reserving import account
from flowc.runtime.scheduler.reuse import share, size_of_answer
from flowc.runtime.scheduler.speculation import is_doubtful
from flowc.runtime.scheduler.undecided import can_spare

NOTHING = Usage()
"""What a call costs that still waits before the gate."""


@define(eq=False)
class Attempt:
    """One attempt, and what is known of its cost so far.

    `bound` is the most that the prompt counts; `key` what equal calls share, if others may use the answer;
    with `in_turn` the call stands in line before the gate although it may not be wanted. `usage` is None once
    the call may have cost what nobody knows; `doubted` says that the provider's counts cannot be; `paid` that
    this run pays, and none that asked the same before; `asked` when the gate let it pass.
    """

    engine: Engine
    frame: Frame
    instruction: Instruction
    request: Request
    bound: int
    budgets: tuple[Budget, ...]
    collector: Collector | None
    key: bytes | None
    in_turn: bool
    usage: Usage | None = NOTHING
    doubted: bool = False
    paid: bool = True
    asked: float = 0.0
    held: Reservation | None = None

    async def answer(self, held: Reservation | None) -> Response:
        """The answer as it came, its cost settled, whatever happens, with what is `held` for it."""
        self.held = held
        came = self.asked = self.engine.clock()
        try:
            return await self._told()
        except ProviderError as error:
            self.usage = error.usage if is_credible(error.usage) else None
            raise
        finally:
            certain = self.usage is not None and not self.doubted
            self._settle(held, self.usage, self.asked - came, certain=certain, paid=self.paid)

    async def _told(self) -> Response:
        """The answer to this call, or to an equal one of another run."""
        request = self.request
        key = None if self.key is None else fingerprint(self.key, request.max_tokens)
        told, self.paid = await share(
            self.engine, self.frame, self.instruction, key, request.attempt, self._ask, size_of_answer
        )
        response: Response = told.result()
        if not self.paid and request.stream is not None:
            request.stream(response.text)
        self.usage = response.usage
        if response.note:
            self._note(response.note)
        return response

    async def _ask(self) -> Response:
        if self.collector is not None:  # the endpoint for batches has limits of its own
            await self._intended()
            self.usage = None
            return self._counted(await self.collector.generate(self.request))
        goes_ahead = cached_beginning(self.request) and not is_doubtful(self.frame.scope)
        lead = await self.engine.session.prefixes.enter(self.request) if goes_ahead else None
        try:
            return await self._through_gate(lead)
        finally:
            if lead is not None:
                lead.end()

    async def _through_gate(self, lead: Lead | None) -> Response:
        engine, request, session = self.engine, self.request, self.engine.session
        gate = session.gate(request.model)
        call = call_of(engine, request, self.bound, gate)
        place = await entered(engine, self.frame.scope, gate, call, in_turn=self.in_turn)
        try:
            await self._intended()
            self.usage, self.asked = None, engine.clock()
            asked = request if lead is None else lead.asking(request)
            asking = Asking(self, asked, session.provider(request.model), place)
            response = self._counted(await asking.answer())
            learn(place, request, response)
            return response
        except ProviderError as error:
            learn_failure(place, error)
            raise
        finally:
            place.leave()

    async def _intended(self) -> None:
        """What a durable run keeps of a call before it is made: what it may cost if nobody hears its end."""
        keeper, held = self.engine.keeper, self.held
        if keeper is not None:
            most = (0, 0.0) if held is None else (held.tokens, held.money)
            model = self.request.model
            asked = model.provider, name_of(model), fingerprint(self.request.prompt).hex()
            await keeper.intend(self.frame, self.instruction, self.request.attempt, held=most, asked=asked)

    def _counted(self, response: Response) -> Response:
        """The answer with counts that one can rely on."""
        if is_credible(response.usage):
            return response
        self.doubted = True
        self._note(incredible(self.request, response.usage))
        return evolve(response, usage=estimated(self.request, response))

    def settle_second(self, second: Reservation, spent: Usage | None) -> None:
        """Settles what the asking that lost held; a usage of None is not known."""
        self._settle(second, spent, 0.0, certain=spent is not None, paid=True)

    def _settle(
        self, held: Reservation | None, usage: Usage | None, waited: float, *, certain: bool, paid: bool
    ) -> None:
        request = self.request
        known = usage if usage is not None else Usage(estimate_tokens(request.prompt), 0, True)
        account(
            self.engine,
            self.frame,
            self.instruction,
            request.model,
            held,
            known,
            waited,
            certain=certain,
            paid=paid,
        )

    def _note(self, text: str) -> None:
        with self.engine.lock:
            self.engine.note("note", self.frame, self.instruction, text)


@frozen(eq=False)
class Asking:
    """The request of an attempt before its provider, which may be asked once more."""

    attempt: Attempt
    request: Request
    provider: Provider
    place: Place

    async def answer(self) -> Response:
        """The first answer."""
        request, engine = self.request, self.attempt.engine
        others = others_for(self.attempt.instruction.node)
        if others is None:
            return await self._ask(request, self.place)
        key = request.operation, request.model.alias
        heard = _Heard(request)
        return await first_of(
            engine,
            key,
            self._late(key),
            lambda: self._ask(heard.request, self.place),
            partial(self._again, others, heard),
            going_on=self.place.leave_after,
        )

    def _late(self, key: tuple[str, str]) -> Callable[[], float | None]:
        """What says after how many seconds the call is late, by the most calls that were beside it."""
        request, gate, most = self.request, self.place.gate, 0
        prompt = estimate_tokens(request.prompt)

        def late() -> float | None:
            nonlocal most
            most = max(most, gate.in_flight - 1)
            said, provider = request.model.hedge_after, request.model.provider
            return said or late_after(self.attempt.engine, *key, prompt, most, provider)

        return late

    def _again(self, others: tuple[int, ...], heard: "_Heard") -> Second | None:
        """The second asking, where there is a place and money for it now."""
        request, attempt, gate = self.request, self.attempt, self.place.gate
        engine, scope = attempt.engine, attempt.frame.scope
        tokens = attempt.bound, request.max_tokens if request.max_tokens is not None else USUAL_ANSWER
        if heard.begun or is_doubtful(scope) or len(attempt.budgets) != len(scope.budgets):
            return None
        place = gate.enter_now(call_of(engine, request, attempt.bound, gate))
        if place is None:
            return None
        price = request.model.price
        with engine.lock:
            held = None
            if can_spare(scope.budgets, others, tokens, price):
                held = reserve(scope.budgets, *tokens, price, request.operation)
            if isinstance(held, Reservation):
                note_second(engine, attempt.frame, attempt.instruction)
        if not isinstance(held, Reservation):
            place.owe(0)
            place.leave()
            return None
        return Second(self._second(heard, place), lambda _: place.leave(), partial(self._lost, held))

    async def _ask(self, request: Request, place: Place) -> Response:
        return await Graceful(self.provider.generate(request), place.leave_after)

    async def _second(self, heard: "_Heard", place: Place) -> Response:
        response = await self._ask(evolve(self.request, hedge=1, stream=None), place)
        heard.close(response.text)
        return response

    def _lost(self, held: Reservation, task: "asyncio.Task[Any]") -> None:
        """Settles the second reservation with what the asking that lost has cost, as far as that is known."""
        self.attempt.settle_second(held, _usage_of(task))


class _Heard:
    """Whether parts of the first answer have been handed on: from then on there is no other answer."""

    def __init__(self, request: Request) -> None:
        self.stream = request.stream
        self.begun = False
        self.closed = False
        self.request = request if request.stream is None else evolve(request, stream=self._part)

    def _part(self, part: str) -> None:
        if self.stream is not None and not self.closed:
            self.begun = True
            self.stream(part)

    def close(self, text: str) -> None:
        """The second answer is there: it is handed on whole, unless the first has begun."""
        if self.begun:
            raise asyncio.CancelledError
        self.closed = True
        if self.stream is not None:
            self.stream(text)


def _usage_of(task: "asyncio.Task[Any]") -> Usage | None:
    if not task.done() or task.cancelled():
        return None
    error = task.exception()
    if error is None:
        response = task.result()
        return response.usage if isinstance(response, Response) else None
    return error.usage if isinstance(error, ProviderError) else None
