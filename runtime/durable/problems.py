"""What stops a kept run: a call in doubt, a program that comes to something else, nobody who is here."""

from collections.abc import Sequence
from shlex import quote

from flowc.runtime.durable.past import Intent, Outcome
from flowc.runtime.errors import DIVERGED, IN_DOUBT, WAITING, Problem
from flowc.runtime.people import Question


def in_doubt(intents: Sequence[Intent]) -> Problem:
    """What stops a run in which calls may have happened or not."""
    first = intents[0]
    more = "" if len(intents) == 1 else f", and {len(intents) - 1} more"
    return Problem(
        IN_DOUBT,
        f"`{first.operation}` may have happened or not when the run was broken off{more}",
        why=f"step {first.step} was begun and no end of it is known; it is not declared idempotent, so it is "
        "not made again unasked",
        help="look at what it should have changed; then say "
        f"`flowc resolve RUN {quote(first.step)} --done RESULT`, --retry or --fail",
    )


def diverged(outcome: Outcome) -> Problem:
    """What stops a run that is about to make a write again, with other inputs."""
    return Problem(
        DIVERGED,
        f"`{outcome.operation}` was called with other inputs before",
        why=f"step {outcome.step} is kept with what it did then; something that is worked out anew when a "
        "run goes on has come to something else, so nothing is written a second time",
        help="`flowc fork` begins a run of its own before this step",
    )


def waiting_for(step: str, question: Question | None, count: int) -> Problem:
    """What a run waits for that is not here: at a step for the answer to a question, or for a time, and at so
    many steps in all.
    """
    more = "" if count == 1 else f", and {count - 1} more"
    if question is not None:
        return Problem(
            WAITING,
            f"`{question.operation}` waits for an answer{more}",
            why=question.prompt,
            help=f"answer it: flowc answer RUN {quote(step)} VALUE",
        )
    return Problem(
        WAITING,
        f"the run sleeps until its time has come{more}",
        why=f"step {step} waits for a time",
        help="flowc resume RUN goes on when it has come",
    )
