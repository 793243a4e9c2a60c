"""How a call of the engine stands before the gate of its model, and what the gate learns from its answer."""

import math

from flowc.runtime.admission.calls import Call
from flowc.runtime.admission.gate import Gate, Place
from flowc.runtime.providers.base import (
    Embedding,
    EmbedRequest,
    ProviderError,
    Request,
    Response,
    estimate_tokens,
)
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.counting import is_credible
from flowc.runtime.scheduler.engine import Engine
from flowc.runtime.scheduler.foreseeing import answer_expected, answer_reserved
from flowc.runtime.scheduler.frames import Frame, Scope
from flowc.runtime.scheduler.speculation import decided, is_doubtful

TOO_MANY = "E0820"
"""The code of what an endpoint refuses because it is asked too much."""

DEPTH = 32
"""How many enclosing steps count for a rank: beyond them a difference decides little."""


def remaining(frame: Frame, instruction: Instruction) -> float:
    """The upward rank of a step in the whole run, in milliseconds: what is left of its own block, and of the
    blocks around it behind the steps that it is a part of. Further rounds of a loop are not known.
    """
    rank = instruction.node.rank
    at, depth = frame, 0
    while at.parent is not None and at.instruction is not None and depth < DEPTH:
        rank += max((other.node.rank for _, other in at.instruction.dependents), default=0.0)
        at, depth = at.parent, depth + 1
    return rank


def call_of(engine: Engine, request: Request, bound: int, gate: Gate) -> Call:
    """A request before the gate, with what it reserves there and what it will probably use."""
    program, rank = engine.session.program, -request.rank
    if gate.unlimited:
        return Call(
            program, rank, bound + (gate.longest if request.max_tokens is None else request.max_tokens)
        )
    foreseen = answer_expected(engine, request)
    answer = answer_reserved(request, gate, foreseen)
    own = estimate_tokens(request.prompt[request.prefix :])
    usual = answer if foreseen is None else foreseen.middle
    context = 0 if gate.residency is None else math.ceil(min(own + usual, gate.residency.capacity))
    whole = own if not request.prefix else estimate_tokens(request.prompt)
    return Call(program, rank, bound + answer, context, whole + usual)


async def entered(engine: Engine, scope: Scope, gate: Gate, call: Call, *, in_turn: bool) -> Place:
    """A place before the provider. A call that may not be wanted takes one that is free at once, or waits
    until it is wanted. One that has to come `in_turn` does not wait for that: others may need its answer to
    decide, or its own deadline runs.
    """
    if not in_turn and is_doubtful(scope):
        place = gate.enter_now(call)
        if place is not None:
            return place
        await decided(engine, scope)
    return await gate.enter(call)


def learn(place: Place, request: Request | EmbedRequest, answer: Response | Embedding) -> None:
    """Tells the gate what a call has used in fact, and what the endpoint said is left."""
    shared = 0
    if place.gate.residency is not None and isinstance(request, Request) and request.prefix:
        shared = estimate_tokens(request.prompt[: request.prefix])
    place.settle(answer.usage.prompt, answer.usage.answer, shared)
    if answer.allowance is not None:
        place.hear(answer.allowance)


def learn_failure(place: Place, error: ProviderError) -> None:
    """Tells the gate that a call has failed, and what it cost all the same as far as that is known: a refusal
    costs nothing, and slows down those that come.
    """
    if error.problem.code == TOO_MANY:
        place.refuse(error.after)
    if is_credible(error.usage):
        place.owe(error.usage.prompt + error.usage.answer)
    if error.allowance is not None:
        place.hear(error.allowance)
