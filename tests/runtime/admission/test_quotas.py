"""Limits that an endpoint itself tells: kept as soon as they are known, also where they change; no header can
stop a run.
"""

import asyncio
from math import inf

import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.runtime.admission.calls import Call, Program
from flowc.runtime.admission.gate import Gate
from flowc.runtime.providers.base import Allowance, EmbedRequest, ModelSettings, ProviderError, Quota, Request
from flowc.runtime.providers.openai import OpenAI
from flowc.runtime.providers.rate_limits import LONGEST, WINDOW, allowance
from flowc.runtime.types import STR
from tests.openai_server import Behave, Server
from tests.runtime.worlds import in_virtual_time

MINUTE = 60.0
Limits = tuple[int, int]
"""Requests and tokens a minute."""


@define
class Endpoint:
    """Counts in minutes of its own clock. `limits` hold in turn, each until the time with it."""

    limits: list[tuple[float, Limits]]
    minute: float = -1.0
    used: list[int] = field(factory=lambda: [0, 0])
    known: set[tuple[float, Limits]] = field(factory=set)
    refused: list[tuple[float, Limits]] = field(factory=list)

    def regime(self, now: float) -> tuple[float, Limits]:
        return now // MINUTE, next(limits for until, limits in self.limits if now < until)

    def ask(self, now: float, tokens: int) -> tuple[bool, Allowance]:
        """Whether a call is taken, and what is said with the answer."""
        minute, limits = self.regime(now)
        if minute != self.minute:
            self.minute, self.used = minute, [0, 0]
        taken = self.used[0] < limits[0] and self.used[1] + tokens <= limits[1]
        if taken:
            self.used = [self.used[0] + 1, self.used[1] + tokens]
        end = (minute + 1) * MINUTE
        said = [
            Quota(max(0, limit - used), end, limit) for limit, used in zip(limits, self.used, strict=True)
        ]
        return taken, Allowance(*said)


Asked = tuple[float, int, int, float]
ASKED = st.builds(
    lambda time, most, share, length: (time, most, max(1, int(most * share)), length),
    st.floats(0, 200),
    st.integers(1, 40),
    st.floats(0, 1),
    st.floats(0.01, 90),
)


def asked(endpoint: Endpoint, calls: list[Asked], model: ModelSettings) -> list[float]:
    """When each call ended, by what the endpoint says."""
    ends: list[float] = []

    async def go() -> None:
        loop = asyncio.get_running_loop()
        gate = Gate(model)

        async def call(number: int, time: float, most: int, used: int, length: float) -> None:
            await asyncio.sleep(time)
            while True:
                place = await gate.enter(Call(Program(str(number), time), tokens=most))
                regime = endpoint.regime(loop.time())
                was_known = regime in endpoint.known
                taken, said = endpoint.ask(loop.time(), used)
                if not taken and was_known:
                    endpoint.refused.append(regime)
                await asyncio.sleep(length if taken else 0.01)
                endpoint.known.add(regime)
                place.hear(said)
                place.settle(used, 0) if taken else place.refuse(0.01)
                place.leave()
                if taken:
                    ends.append(loop.time())
                    return

        await asyncio.gather(*(call(number, *each) for number, each in enumerate(calls)))
        assert (gate.in_flight, gate.held) == (0, 0)

    in_virtual_time(go)
    return ends


LIMITS = st.tuples(st.integers(1, 8), st.integers(60, 150))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(ASKED, min_size=1, max_size=40),
    st.lists(st.tuples(st.floats(5, 300), LIMITS), max_size=3),
    LIMITS,
    st.sampled_from([ModelSettings(), ModelSettings(requests_per_minute=20, max_in_flight=10)]),
)
def test_once_an_endpoint_has_told_its_limits_none_of_them_is_exceeded(
    calls: list[Asked], changes: list[tuple[float, Limits]], last: Limits, model: ModelSettings
) -> None:
    endpoint = Endpoint([*sorted(changes), (inf, last)])
    assert len(asked(endpoint, calls, model)) == len(calls)
    assert not endpoint.refused


def test_limits_that_are_told_are_used_to_97_of_100() -> None:
    endpoint = Endpoint([(inf, (50, 1_000_000))])
    ends = asked(endpoint, [(0.0, 10, 10, 1.0)] * 500, ModelSettings())
    assert len([end for end in ends if 60 <= end < 360]) >= 0.97 * 5 * 50


def test_a_limit_that_is_never_told_again_is_forgotten_once_it_is_whole() -> None:
    async def go() -> float:
        loop = asyncio.get_running_loop()
        gate = Gate(ModelSettings())
        first = await gate.enter(Call(Program("a")))
        first.hear(Allowance(Quota(0, loop.time() + 30)))
        first.leave()
        await asyncio.gather(*(gate.enter(Call(Program("b"))) for _ in range(100)))
        return loop.time()

    assert in_virtual_time(go) == 30


OPENAI = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-limit-tokens": "150000",
    "x-ratelimit-remaining-tokens": "149984",
    "x-ratelimit-reset-tokens": "6m0s",
}
ANTHROPIC = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "3",
    "anthropic-ratelimit-requests-reset": "1970-01-01T00:00:00Z",
}


def read(headers: dict[str, str]) -> Allowance | None:
    async def go() -> Allowance | None:
        return allowance(headers)

    return in_virtual_time(go)


@pytest.mark.parametrize(
    ("headers", "requests", "tokens"),
    [
        (OPENAI, Quota(59, 1, 60), Quota(149984, 360, 150000)),
        (ANTHROPIC, Quota(3, WINDOW, 50), None),
        ({"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "7", "ratelimit-reset": "12"},
         Quota(7, 12, 100), None),
        ({"ratelimit": "limit=100, remaining=50, reset=30"}, Quota(50, 30, 100), None),
        ({"ratelimit": '"default";r=50;t=30', "ratelimit-policy": '"default";q=100;w=60'},
         Quota(50, 30, 100), None),
        ({"ratelimit": '"burst";r=50;t=30, "daily";r=4;t=500'}, Quota(4, 500), None),
        ({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "120ms"},
         Quota(5, 0.12), None),
        ({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "1h2m3.5s"},
         Quota(5, LONGEST), None),
        ({"x-ratelimit-remaining-requests": "5"}, Quota(5, WINDOW), None),
    ],
)  # fmt: skip
def test_headers_of_all_forms_are_read(
    headers: dict[str, str], requests: Quota | None, tokens: Quota | None
) -> None:
    assert read(headers) == Allowance(requests, tokens)


@pytest.mark.parametrize("text", ["", "-1", "1e30", "many", "nan", "inf", "9" * 30, "0x10", "١٢", "1.5"])
def test_what_makes_no_sense_as_a_number_left_is_passed_over(text: str) -> None:
    assert read({"x-ratelimit-remaining-requests": text, "ratelimit": f'"a";r={text};t=1'}) is None


@pytest.mark.parametrize(
    "text", ["-5", "1e30", "nan", "inf", "-inf", "9" * 300, "99999h", "soon", "9999-99-99"]
)
def test_no_time_that_is_told_is_waited_for_without_end(text: str) -> None:
    found = read({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": text})
    assert found is not None
    assert found.requests is not None
    assert 0 <= found.requests.until <= LONGEST


@pytest.mark.parametrize("text", ["1711010112", "1711010112345", "1711010112.5", "2024-03-21T08:35:12Z"])
def test_a_time_since_1970_is_no_date_even_where_its_digits_could_be_one(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowc.runtime.providers.rate_limits.time.time", lambda: 1711010112.0 - 300)
    found = read({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": text})
    assert found is not None
    assert found.requests is not None
    assert found.requests.until == pytest.approx(300, abs=1)


def test_a_limit_below_what_is_left_or_of_nothing_is_no_limit() -> None:
    assert read({"x-ratelimit-remaining-requests": "9", "x-ratelimit-limit-requests": "3"}) is None
    nothing = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-limit-requests": "0"}
    assert read(nothing) == Allowance(Quota(0, WINDOW))


def test_answers_refusals_and_embeddings_of_an_endpoint_carry_what_it_said() -> None:
    said = OPENAI | {"x-ratelimit-limit-requests": "61"}

    async def go(server: Server) -> list[Allowance | None]:
        provider = OpenAI()
        model = ModelSettings("m", "openai", "m-1", server.url, "FLOWC_TEST_KEY")
        request = Request("ask", STR, None, "hello", ("hello",), None, model)  # type: ignore[arg-type]
        answer = await provider.generate(request)
        with pytest.raises(ProviderError) as refusal:
            await provider.generate(request)
        vectors = await provider.embed(EmbedRequest(("a",), model))
        await provider.close()
        return [answer.allowance, refusal.value.allowance, vectors.allowance]

    with Server(script=[Behave(), Behave("429")], limits=said).running() as server:
        for found in asyncio.run(go(server)):
            assert found is not None
            assert found.requests is not None
            assert (found.requests.left, found.requests.limit) == (59, 61)
