"""Expectations drawn at random, and samples of calls that follow laws that are known."""

import math
from random import Random

from hypothesis import strategies as st

from flowc.runtime.expectations import (
    AnswerLaw,
    CallExpectation,
    Expectations,
    KernelCalls,
    KernelExpectation,
    Quantiles,
    StepExpectation,
    TimeLaw,
)
from flowc.runtime.history.samples import CallSample

AMOUNTS = st.floats(0.0, 1e12, allow_nan=False)
COUNTS = st.integers(0, 1000)
NAMES = st.sampled_from(["ask", "judge", "work", "look", "embed"])
PROVIDERS = st.sampled_from(["", "simulated", "offline"])


@st.composite
def quantiles(draw: st.DrawFn) -> Quantiles:
    """Any quantiles, absurd ones among them."""
    low, middle, high = sorted(draw(AMOUNTS) for _ in range(3))
    return Quantiles(low, middle, high, draw(COUNTS))


CALLS = st.builds(
    CallExpectation,
    PROVIDERS,
    st.sampled_from(["", "m"]),
    st.none() | quantiles(),
    st.none() | st.builds(AnswerLaw, quantiles(), AMOUNTS, st.floats(-2.0, 2.0), AMOUNTS, AMOUNTS),
    quantiles(),
    st.none() | quantiles(),
    COUNTS,
    AMOUNTS,
)
LAWS = st.builds(
    TimeLaw, st.sampled_from(["default", "small"]), PROVIDERS, st.just("m"), *[AMOUNTS] * 4, quantiles()
)
SEEN = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), max_size=3).map(tuple)
STEPS = st.builds(StepExpectation, st.none() | quantiles(), st.floats(0.0, 1.0), COUNTS, SEEN)
KEYS = st.builds(
    "{}@{}:{}".format,
    st.sampled_from(["items", "rounds", "branch", "try", "ballots"]),
    st.integers(1, 40),
    st.integers(1, 40),
)
KERNELS = st.builds(
    KernelExpectation,
    st.sampled_from(["", "some x 2"]),
    st.lists(
        st.builds(KernelCalls, st.sampled_from(["8x384,=10,", "", "x"]), COUNTS, quantiles()), max_size=3
    ).map(tuple),
)
EXPECTATIONS = st.builds(
    Expectations,
    st.dictionaries(NAMES, st.lists(CALLS, min_size=1, max_size=3).map(tuple), max_size=4),
    st.lists(LAWS, max_size=3).map(tuple),
    st.dictionaries(KEYS, STEPS, max_size=6),
    st.dictionaries(st.sampled_from(["scaled", "main.0"]), KERNELS, max_size=2),
)


def lawful_calls(count: int, seed: int, *, provider: str = "offline", noise: float = 0.1) -> list[CallSample]:
    """Calls whose answers are 8 times the root of their prompt, and which take 0.2 s, 0.1 ms a token read and
    20 ms a token written, each times log-normal noise.
    """
    random = Random(seed)
    found = []
    for _ in range(count):
        prompt = round(math.exp(random.uniform(math.log(50), math.log(5000))))
        answer = max(1, round(8.0 * math.sqrt(prompt) * math.exp(random.gauss(0.0, noise))))
        seconds = (0.2 + 1e-4 * prompt + 0.02 * answer) * math.exp(random.gauss(0.0, noise))
        found.append(CallSample("ask", "llm", "default", provider, "m", prompt, answer, seconds=seconds))
    return found
