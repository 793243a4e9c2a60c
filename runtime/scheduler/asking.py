"""One attempt of a model call: admitted, asked, counted, settled."""

from attrs import define, evolve

from flowc.runtime.fingerprint import fingerprint
from flowc.runtime.limits import Budget, Reservation
from flowc.runtime.providers.base import ProviderError, Request, Response, Usage, estimate_tokens
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.collector import Collector
from flowc.runtime.scheduler.counting import estimated, incredible, is_credible
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.entering import call_of, entered, learn, learn_failure
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.scheduler.hedging import Asking
from flowc.runtime.scheduler.prefixes import Lead, cached_beginning
from flowc.runtime.scheduler.reserving import account
from flowc.runtime.scheduler.reuse import share, size_of_answer
from flowc.runtime.scheduler.speculation import is_doubtful

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

    async def answer(self, held: Reservation | None) -> Response:
        """The answer as it came, its cost settled, whatever happens, with what is `held` for it."""
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
        self.usage, self.asked = None, engine.clock()
        try:
            asking = Asking(
                engine,
                self.frame,
                self.instruction,
                request if lead is None else lead.asking(request),
                self.bound,
                self.budgets,
                session.provider(request.model),
                gate,
                place,
                self._settle_second,
            )
            response = self._counted(await asking.answer())
            learn(place, request, response.usage)
            return response
        except ProviderError as error:
            learn_failure(place, error)
            raise
        finally:
            place.leave()

    def _counted(self, response: Response) -> Response:
        """The answer with counts that one can rely on."""
        if is_credible(response.usage):
            return response
        self.doubted = True
        self._note(incredible(self.request, response.usage))
        return evolve(response, usage=estimated(self.request, response))

    def _settle_second(self, second: Reservation, spent: Usage | None) -> None:
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
