"""What the calls and steps of a plan are expected to take: the frozen predictor that a plan carries.

The compiler learns it from the history of traced runs. What it asks of a prediction stands in
`runtime.expected`, which also says what is expected where no run has shown anything.

Tokens of an answer grow with those of the prompt by a power law, since both vary over orders of magnitude:
three quantiles and one exponent need fewer calls than a table of bins, and they cannot cross. Seconds follow
the phases of serving: a first delay, a price for each token read, and one for each token written that rises
with the calls beside it (Agrawal et al., "Vidur", MLSys 2024).
"""

import math
from collections.abc import Mapping

from attrs import Attribute, field, frozen

LARGEST = 1e12
"""No figure is larger: tokens, seconds, factors."""
FARTHEST = 100.0
"""No spread is larger, as a logarithm."""


def _amount(_: object, attribute: "Attribute[float]", value: float) -> None:
    if not 0.0 <= value <= LARGEST:  # false of NaN, too
        raise ValueError(f"{attribute.name} is no amount: {value!r:.40}")


def _count(_: object, attribute: "Attribute[int]", value: int) -> None:
    if not 0 <= value <= LARGEST:
        raise ValueError(f"{attribute.name} is no count: {value!r:.40}")


def _share(_: object, attribute: "Attribute[float]", value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{attribute.name} is no share: {value!r:.40}")


def _exponent(_: object, attribute: "Attribute[float]", value: float) -> None:
    if not -2.0 <= value <= 2.0:
        raise ValueError(f"{attribute.name} is no exponent: {value!r:.40}")


def _counts(
    _: object, attribute: "Attribute[tuple[tuple[int, int], ...]]", value: tuple[tuple[int, int], ...]
) -> None:
    if any(not 0 <= each <= LARGEST or times < 1 for each, times in value):
        raise ValueError(f"{attribute.name} are no counts: {value!r:.40}")


@frozen
class Quantiles:
    """Four of five are between `low` and `high`, and half below `middle`: the 10, 50 and 90 percent points.

    `samples` is how many were seen; 0 says that they are what the structure of a program implies.
    """

    low: float = field(validator=_amount)
    middle: float = field(validator=_amount)
    high: float = field(validator=_amount)
    samples: int = field(default=0, validator=_count)

    def __attrs_post_init__(self) -> None:
        if not self.low <= self.middle <= self.high:
            raise ValueError(f"quantiles out of order: {self.low!r}, {self.middle!r}, {self.high!r}")

    def times(self, factor: float) -> "Quantiles":
        """Those of so many times as much."""
        return bounded(self.low * factor, self.middle * factor, self.high * factor, self.samples)

    def at_most(self, most: float) -> "Quantiles":
        """Those of what is cut off there."""
        return Quantiles(min(self.low, most), min(self.middle, most), min(self.high, most), self.samples)

    def with_spread(self, other: "Quantiles") -> "Quantiles":
        """Those of a product with an independent factor, both taken to be log-normal on either side."""
        low, middle, high = self.low * other.low, self.middle * other.middle, self.high * other.high
        if low:
            down = math.hypot(math.log(self.middle / self.low), math.log(other.middle / other.low))
            up = math.hypot(math.log(self.high / self.middle), math.log(other.high / other.middle))
            low, high = middle * math.exp(-down), middle * math.exp(min(up, FARTHEST))
        return bounded(low, middle, high, self.samples)


def bounded(low: float, middle: float, high: float, samples: int = 0) -> Quantiles:
    """Quantiles of figures that were worked out, which may have become larger than any that count."""
    return Quantiles(min(low, LARGEST), min(middle, LARGEST), min(high, LARGEST), samples)


EXACTLY = Quantiles(1.0, 1.0, 1.0)
"""The spread of what is known."""


@frozen
class AnswerLaw:
    """Tokens of the answers of an operation: `usual` for a prompt of `prompt` tokens; they grow with the
    prompt's to the power of `growth`, which was seen between prompts of `least` and `most` tokens.
    """

    usual: Quantiles
    prompt: float = field(default=1.0, validator=_amount)
    growth: float = field(default=0.0, validator=_exponent)
    least: float = field(default=1.0, validator=_amount)
    most: float = field(default=1.0, validator=_amount)

    def tokens(self, prompt: float) -> Quantiles:
        """The tokens of an answer to a prompt of so many."""
        if not self.growth:
            return self.usual
        within = max(min(prompt, self.most), self.least, 1.0)
        return self.usual.times((within / max(self.prompt, 1.0)) ** self.growth)


@frozen
class TimeLaw:
    """Seconds of the calls of a model at a provider, waiting before the gate left out.

    `first` for a call, `read` for each token of its prompt, `written` for each of its answer, and `crowd`
    more for that with each call beside it; times `spread`.
    """

    alias: str
    provider: str
    model: str
    first: float = field(validator=_amount)
    read: float = field(validator=_amount)
    written: float = field(validator=_amount)
    crowd: float = field(default=0.0, validator=_amount)
    spread: Quantiles = EXACTLY

    def seconds(self, prompt: float, answer: float, beside: float = 0.0) -> float:
        """The usual seconds of a call with so many tokens, with so many others beside it in the mean."""
        return self.first + self.read * prompt + (self.written + self.crowd * max(beside, 0.0)) * answer


@frozen
class CallExpectation:
    """What the calls of one operation take at a provider.

    `prompt` are the tokens of its prompts, `beside` how many other calls of the model there usually were.
    `answer` is there for calls of models, whose seconds are those of their model's law times `factor`;
    `seconds` for tools, people and embeddings.
    """

    provider: str = ""
    model: str = ""
    prompt: Quantiles | None = None
    answer: AnswerLaw | None = None
    factor: Quantiles = EXACTLY
    seconds: Quantiles | None = None
    samples: int = field(default=0, validator=_count)
    beside: float = field(default=0.0, validator=_amount)


@frozen
class StepExpectation:
    """How often the inside of a step of control flow runs.

    For `items` (of a map, of a `for`), `rounds` (of a `while`) and `ballots` (of a vote) `count` says how
    many each time; for a `branch` (of an `if`) and a `try`, `taken` is how likely its first region is enough.
    `seen` has, where they are few, the counts that there were and how often: small ones are not log-normal.
    """

    count: Quantiles | None = None
    taken: float = field(default=0.5, validator=_share)
    samples: int = field(default=0, validator=_count)
    seen: tuple[tuple[int, int], ...] = field(default=(), validator=_counts)


KINDS: Mapping[str, str] = {
    "map": "items",
    "generate_batch": "items",
    "for": "items",
    "while": "rounds",
    "vote": "ballots",
    "if": "branch",
    "attempt": "try",
}
"""What is counted at a step, by its instruction: a loop that became a map counts as before."""


def step_key(op: str, line: int, column: int) -> str:
    """The name of a step of control flow in `Expectations.steps`, whatever passes made of it; else ""."""
    return f"{KINDS[op]}@{line}:{column}" if op in KINDS else ""


@frozen
class KernelCalls:
    """What calls of a kernel took that had the same sizes and threads; `sizes` as in the history."""

    sizes: str
    threads: int = field(validator=_count)
    seconds: Quantiles


@frozen
class KernelExpectation:
    """What calls of a kernel took on a machine: by it the cost model corrects what it says of this kernel."""

    machine: str
    calls: tuple[KernelCalls, ...]


@frozen
class Expectations:
    """All that is expected of a plan: `calls` by operation ("embed" for embeddings), each with an entry for a
    provider and model, the likeliest first; `models` in the same order; `steps` by `step_key`; `kernels` by
    name.
    """

    calls: Mapping[str, tuple[CallExpectation, ...]] = field(factory=dict)
    models: tuple[TimeLaw, ...] = ()
    steps: Mapping[str, StepExpectation] = field(factory=dict)
    kernels: Mapping[str, KernelExpectation] = field(factory=dict)


NOTHING = Expectations()
"""What is expected where no run has shown anything."""
