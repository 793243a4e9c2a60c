"""What a run on stand-ins takes for true: times, tokens and counts, drawn from what earlier runs showed.

Where they showed something, each call and each step draws from it. Where they showed nothing, the middle of
what the structure of the program implies is taken, the same each time, and `assumed` says so in words.
"""

import math
import random
from statistics import NormalDist

from attrs import define, field

from flowc.runtime.expectations import NOTHING, Expectations, Quantiles, StepExpectation, TimeLaw
from flowc.runtime.expected import (
    call_of,
    expected_embedding,
    expected_seconds,
    expected_step,
    expected_tokens,
    law_of,
)
from flowc.runtime.plan import Node, Operation, Region
from flowc.runtime.randomness import seed_of

ROUNDS = 10
"""How often a loop or a map is taken to run where nothing says it."""
MOST_ITEMS = 20_001
"""No list and no loop is taken to be longer: one more than the tasks that a simulation may have."""
_TENTH = NormalDist().inv_cdf(0.9)
"""How many deviations the 90 percent point of a normal distribution is above its middle."""


@define(eq=False)
class Guesses:
    """The guesses of one run: `seed` decides them. `learned` has for each call and step that is known from
    runs how often it was seen there, `corrected` for each kernel whose times do not follow from the cost
    model alone; these are not drawn.
    """

    expectations: Expectations = NOTHING
    seed: int = 0
    assumed: dict[str, None] = field(factory=dict)
    learned: dict[str, int] = field(factory=dict)
    corrected: dict[str, int] = field(factory=dict)
    chance: random.Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.chance = random.Random(seed_of("rehearsal", self.seed))

    # ---- calls

    def seconds(self, operation: Operation, provider: str) -> float:
        """How long a call of a tool or of a person takes."""
        found = expected_seconds(operation, expectations=self.expectations, provider=provider)
        self._note(operation.name, found.samples)
        return self.draw(found)

    def embedding(self, provider: str) -> float:
        """How long texts take to become vectors."""
        found = expected_embedding(self.expectations, provider)
        self._note("embed", found.samples)
        return self.draw(found)

    def knows(self, operation: str, provider: str) -> bool:
        """Whether runs have shown calls of this operation at this provider."""
        return call_of(operation, self.expectations, provider) is not None

    def answer(self, operation: Operation, provider: str, prompt: int, beside: int) -> tuple[int, float]:
        """How many tokens a model answers to a prompt of so many, and in how many seconds where so many other
        calls are under way.
        """
        expected = expected_tokens(operation, prompt, self.expectations, provider)
        self._note(operation.name, expected.samples)
        tokens = max(1, round(self.draw(expected)))
        seen = call_of(operation.name, self.expectations, provider)
        law: TimeLaw = law_of(operation.model, self.expectations, provider, seen)
        spread = law.spread if seen is None or seen.answer is None else seen.factor
        return tokens, law.seconds(prompt, tokens, beside) * self.draw(spread)

    def prompt(self, operation: str, provider: str) -> int | None:
        """How many tokens a prompt has; None where no run has shown it."""
        seen = call_of(operation, self.expectations, provider)
        if seen is None or seen.prompt is None:
            return None
        return round(self.draw(seen.prompt))

    # ---- steps

    def items(self, node: Node) -> int:
        """How many items a list has that a map or a `for` goes over."""
        what = "rounds" if node.op == "for" else "items in the list"
        return self._count(node, ROUNDS, what)

    def rounds(self, node: Node, bound: int) -> int:
        """How many rounds a `while` makes."""
        return min(bound, self._count(node, min(bound, ROUNDS), "rounds"))

    def stops_after(self, node: Node) -> int | None:
        """After how many rounds a `for` ends of itself; None where no run has shown it."""
        known = self._known(node)
        return None if known is None or known.count is None else max(1, self._drawn(known, known.count))

    def ballots(self, node: Node, least: int, most: int) -> int:
        """How many ballots a vote takes."""
        return max(least, min(most, self._count(node, least, "ballots that agree")))

    def winner(self, node: Node, provider: str) -> int | None:
        """Which arm of a race wins; None where no run has shown any. Of calls that are raced only those that
        won have been seen to end, so their times are those of races, and who was seen oftener won oftener.
        """
        seen = [self._seen(region, provider or None) for region in node.regions]
        return self.chance.choices(range(len(seen)), seen)[0] if any(seen) else None

    def _seen(self, region: Region, provider: str | None) -> int:
        """How often the calls of an arm were seen: those of them that were seen least."""
        counts: list[int] = []
        left = [region]
        while left:
            for node in left.pop().nodes:
                left.extend(node.regions)
                name = node.settings.get("operation")
                if isinstance(name, str):
                    call = call_of(name, self.expectations, provider)
                    counts.append(0 if call is None else call.samples)
        return min(counts, default=0)

    def taken(self, node: Node, otherwise: bool, said: str) -> bool:
        """Whether the first region of an `if` or a `try` is the one that counts."""
        known = self._known(node)
        if known is None:
            self.assumed[f"{said}, line {node.line}"] = None
            return otherwise
        return self.chance.random() < known.taken

    def _count(self, node: Node, otherwise: int, what: str) -> int:
        known = self._known(node)
        if known is None or known.count is None:
            self.assumed[f"{otherwise} {what}, line {node.line}"] = None
            return otherwise
        return min(MOST_ITEMS, self._drawn(known, known.count))

    def _drawn(self, known: StepExpectation, count: Quantiles) -> int:
        """A count: one of those that were seen, as often as it was; where they were many different ones, by
        their spread, which is log-normal one above them, since they may be 0.
        """
        if known.seen:
            counts, weights = zip(*known.seen, strict=True)
            return int(self.chance.choices(counts, weights)[0])
        above = Quantiles(count.low + 1, count.middle + 1, count.high + 1, max(count.samples, 1))
        return max(0, round(self.draw(above) - 1))

    def _known(self, node: Node) -> StepExpectation | None:
        found = expected_step(node, self.expectations)
        if found is not None:
            self._note(f"line {node.line}", found.samples)
        return found

    def _note(self, name: str, samples: int) -> None:
        if samples:
            self.learned[name] = samples

    def draw(self, expected: Quantiles) -> float:
        """A value: by chance where runs have shown how they spread, log-normal on either side of the middle;
        else the middle.
        """
        if not expected.samples:
            return expected.middle
        deviations = self.chance.gauss(0.0, 1.0) / _TENTH
        end = expected.high if deviations > 0 else expected.low
        if not expected.middle or not end:
            return max(0.0, expected.middle + abs(deviations) * (end - expected.middle))
        return expected.middle * math.exp(abs(deviations) * math.log(end / expected.middle))
