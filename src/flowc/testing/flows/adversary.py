"""An adversary in the place of a model: it says whatever its type allows, and more where it is asked to."""

import json
import random
from typing import Protocol

from attrs import frozen

from flowc.runtime.providers.base import Request, Response
from flowc.runtime.randomness import seed_of
from flowc.testing.flows.faults import Fault, How
from flowc.testing.flows.hostile import drawn, text


@frozen
class Behaviour:
    """How an adversarial model behaves. All but `seed` are shares of its calls, or of the parts of its
    answers.

    `extreme` parts are empty, huge, at the limits of their type, or texts that want to be obeyed; such an
    answer fits its schema. An answer that is `unusable` does not: it is malformed, cut off, of a wrong
    type, empty, or a refusal. `failing` calls end in a status of 429 or 500 or a broken connection, `slow`
    ones take a minute and a half longer.
    """

    extreme: float = 0.3
    unusable: float = 0.0
    failing: float = 0.0
    slow: float = 0.0
    seed: int | None = None


ADVERSARIAL = Behaviour()
"""Says anything that its schema allows."""
POLITE = Behaviour(extreme=0.0)
"""Says what is plain and of its type."""
UNRULY = Behaviour(extreme=0.3, unusable=0.2, failing=0.15, slow=0.1)
"""Does everything that models and their endpoints do."""

_UNUSABLE: tuple[How, ...] = ("mistyped", "malformed", "truncated", "empty", "refuses")
_FAILING: tuple[How, ...] = ("rate limited", "fails", "breaks")


class Answering(Protocol):
    """Who answers a prompt; time, faults and counting are others' work."""

    def answer(self, request: Request) -> Response:
        """The answer, with no usage."""
        ...

    def mishap(self, request: Request) -> Fault | None:
        """What goes wrong with this call."""
        ...


@frozen
class Adversary:
    """Answers that fit their type, from a seed. What it says depends on the prompt, the step and the
    attempt alone, so that a run that is broken off and goes on hears the same; with `by_prompt` not even on
    the step.
    """

    behaviour: Behaviour
    seed: int
    by_prompt: bool = False

    def answer(self, request: Request) -> Response:
        """What the seed says, as JSON where that is wanted."""
        chance = self._chance(request, "answer")
        extreme = self.behaviour.extreme
        if request.schema is None:
            said = text(chance, extreme)
            return Response(said if said.strip() else "\u200b")  # an empty answer is none: see `unusable`
        value = drawn(request.result, request.tables, chance, extreme)
        return Response(json.dumps({"value": value}))

    def mishap(self, request: Request) -> Fault | None:
        """A fault, as often as the behaviour says."""
        chance = self._chance(request, "mishap")
        behaviour = self.behaviour
        for share, kinds in (
            (behaviour.failing, _FAILING),
            (behaviour.unusable, _UNUSABLE),
            (behaviour.slow, ("slow",)),
        ):
            if chance.random() < share:
                return Fault(request.operation, 0, chance.choice(kinds))
        return None

    def _chance(self, request: Request, what: str) -> random.Random:
        step = "" if self.by_prompt else request.step
        seed = self.seed if self.behaviour.seed is None else self.behaviour.seed
        return random.Random(seed_of(seed, what, request.operation, request.prompt, step, request.attempt))
