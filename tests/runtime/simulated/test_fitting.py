"""Traces are read in each of their forms, and a server is found again from what it did."""

import gzip
import json
import os
import random
import tomllib
from functools import cache
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.runtime.config import load_config
from flowc.runtime.errors import FlowError
from flowc.runtime.providers.simulated.behaviour import Behaviour, Serving
from flowc.runtime.providers.simulated.distributions import Empirical, Family
from flowc.runtime.providers.simulated.fitting import LEAST, Fit, as_toml, fit, non_negative, replayed
from flowc.runtime.providers.simulated.reading import behaviour
from flowc.runtime.providers.simulated.traces import LEAST_LATENCY, Call, Trace, read_trace

REAL = Serving(prefill=0.0, per_prompt_token=0.00015, iteration=0.02, per_sequence=0.0005)


def measured(rate: float, noise: float = 0.0, network: float = 0.25, server: Serving = REAL) -> Trace:
    """What an endpoint with a known server would have shown."""
    chance = random.Random(3)
    time, calls = 0.0, []
    for _ in range(300):
        time += chance.expovariate(rate)
        calls.append(Call(time, chance.randint(50, 3000), chance.randint(5, 400)))
    _, latencies = replayed(calls, Behaviour(network=network, server=server))
    return Trace(
        tuple(
            evolve(call, latency=latency * chance.lognormvariate(0, noise))
            for call, latency in zip(calls, latencies, strict=True)
        )
    )


@cache
def fitted(rate: float, noise: float = 0.0) -> Fit:
    """What is found of that endpoint; several tests look at it."""
    return fit(measured(rate, noise))


@pytest.mark.parametrize("rate", [0.1, 0.5, 2.0])
def test_a_server_is_found_again_from_its_latencies(rate: float) -> None:
    found = fitted(rate)
    server = found.behaviour.server
    assert server is not None
    assert server.per_prompt_token == pytest.approx(REAL.per_prompt_token, rel=0.15)
    assert server.iteration == pytest.approx(REAL.iteration, rel=0.1)
    assert found.median_error < 0.05
    assert found.p95_error < 0.15


def test_the_times_of_first_tokens_tell_the_prefill_where_latencies_hide_it() -> None:
    noisy = measured(0.02, noise=0.5)
    times = [0.25 + REAL.per_prompt_token * call.prompt for call in noisy.calls]
    told = Trace(tuple(evolve(call, first=time) for call, time in zip(noisy.calls, times, strict=True)))
    figures = [fit(trace).behaviour.server for trace in (noisy, told)]
    without, with_ = (abs(each.per_prompt_token / REAL.per_prompt_token - 1) for each in figures if each)
    assert with_ < without


@pytest.mark.alike(2)
@pytest.mark.parametrize(("batch", "rate"), [(1, 0.2), (4, 0.6), (4, 1.0), (13, 1.3)])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_the_largest_batch_is_found_where_calls_waited_for_it(batch: int, rate: float, noise: float) -> None:
    found = fit(measured(rate, noise, server=evolve(REAL, max_batch=batch)))
    server = found.behaviour.server
    assert server is not None
    assert found.full
    assert server.max_batch == batch
    assert server.iteration == pytest.approx(REAL.iteration, rel=0.15)
    assert found.median_error < 0.05 + 2 * noise


@pytest.mark.alike(2)
@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("rate", [0.1, 0.5, 2.0])
def test_no_largest_batch_is_made_up_where_no_call_waited(rate: float, noise: float) -> None:
    found = fitted(rate, noise)
    assert not found.full
    assert "# A trace does not show these two" in as_toml(found, "m")


def test_noise_that_nobody_can_explain_is_told_as_an_error() -> None:
    quiet, noisy = fitted(0.5), fitted(0.5, 0.3)
    assert noisy.median_error > 0.1 > quiet.median_error


def test_what_is_printed_is_read_as_it_was_found(tmp_path: Path) -> None:
    found = fitted(0.5)
    path = tmp_path / "flowc.toml"
    path.write_text(as_toml(found, "a.b"))
    simulation = load_config(path).simulation
    assert simulation is not None
    assert simulation.models == {"a.b": found.behaviour}


def test_a_trace_of_too_few_calls_is_no_ground_for_a_fit() -> None:
    trace = measured(0.5)
    for poor in (Trace(trace.calls[:19]), Trace(tuple(evolve(call, latency=None) for call in trace.calls))):
        with pytest.raises(FlowError, match="E0652"):
            fit(poor)


@given(st.lists(st.lists(st.integers(-5, 5), min_size=3, max_size=3), min_size=4, max_size=8), st.data())
def test_no_point_without_a_negative_part_is_better(rows: list[list[int]], data: st.DataObject) -> None:
    import numpy

    columns = numpy.array(rows, dtype=float)
    wanted = numpy.array(data.draw(st.lists(st.integers(-9, 9), min_size=len(rows), max_size=len(rows))))
    found = numpy.array(non_negative(columns, wanted))
    assert (found >= 0).all()
    other = numpy.array(data.draw(st.lists(st.floats(0, 4), min_size=3, max_size=3)))
    error = ((columns @ found - wanted) ** 2).sum()
    assert error <= ((columns @ other - wanted) ** 2).sum() + 1e-6


CALLS = st.builds(
    Call,
    st.floats(0, 1e9),
    st.integers(1, 10**8),
    st.integers(0, 10**8),
    st.floats(1e-7, 1e6),
    st.none() | st.floats(0, 1e6),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(CALLS, min_size=20, max_size=30))
def test_any_trace_whatever_gives_sections_that_can_be_read(calls: list[Call]) -> None:
    trace = Trace(tuple(sorted(calls, key=lambda call: call.arrival)))
    if sum((call.latency or 0.0) >= LEAST_LATENCY for call in calls) < LEAST:
        with pytest.raises(FlowError, match="E0652"):
            fit(trace)
        return
    found = fit(trace)
    section = tomllib.loads(as_toml(found, "m"))["models"]["m"]["simulated"]
    assert behaviour(section, "[m]", Path("flowc.toml")) == found.behaviour


FORMS = {
    "azure.csv": "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:17:03.9799600,4808,10\r\n"
    "2023-11-16 18:17:04.0319600,3180,8\r\n",
    "azure-2024.csv": "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 23:59:59.980000+00:00,4808,10\n"
    "2024-05-11 00:00:00.032000+00:00,3180,8\n",
    "own.csv": "arrival,tokens_in,tokens_out,latency,model\n7.5,4808,10,1.5,m\n7.552,3180,8,,m\n",
    "mooncake.jsonl": '{"timestamp": 0, "input_length": 4808, "output_length": 10, "hash_ids": [1]}\n'
    '{"timestamp": 52, "input_length": 3180, "output_length": 8, "hash_ids": [1, 2]}\n',
    "timeline.json": json.dumps(
        {
            "traceEvents": [
                {"ph": "M", "name": "x"},
                {
                    "cat": "generate",
                    "ts": 1e6,
                    "dur": 3e6,
                    "args": {"model": "m", "calls": 1, "tokens_in": 4808, "tokens_out": 10, "waited_s": 1.5},
                },
                {
                    "cat": "generate",
                    "ts": 2.552e6,
                    "dur": 2e6,
                    "args": {"model": "m", "calls": 1, "tokens_in": 3180, "tokens_out": 8, "waited_s": 0.0},
                },
                {"cat": "generate", "ts": 1, "dur": 2, "args": {"calls": 2, "tokens_in": 1}},
            ]
        }
    ),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", FORMS)
def test_each_form_of_a_trace_is_known_by_its_contents(name: str, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    content = FORMS[name].encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    calls = read_trace(path).calls
    assert [(call.prompt, call.answer) for call in calls] == [(4808, 10), (3180, 8)]
    assert [call.arrival for call in calls] == pytest.approx([0.0, 0.052], abs=1e-6)
    if name in ("own.csv", "timeline.json"):
        assert calls[0].latency == 1.5
        assert calls[0].model == "m"


@pytest.mark.parametrize(
    ("code", "content"),
    [
        ("E0650", b"\x1f\x8b\x08\x00broken"),
        ("E0650", b"\xff\xfe\x00"),
        ("E0651", b""),
        ("E0651", b"a,b\n1,2\n"),
        ("E0651", b"arrival,tokens_in,tokens_out\n"),
        ("E0651", b"arrival,tokens_in,tokens_out\nnan,1,2\n"),
        ("E0651", b"arrival,tokens_in,tokens_out\n0,1\n"),
        ("E0651", b"arrival,tokens_in,tokens_out\n0,0,2\n"),
        ("E0651", b"arrival,tokens_in,tokens_out,latency\n0,1,2,-1\n"),
        ("E0651", b'arrival,tokens_in,tokens_out\n0,1,"2\n'),
        ("E0651", b"arrival,tokens_in,tokens_out,latency,first_token\n0,1,2,1,2\n"),
        ("E0651", b"TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,1,2\n"),
        ("E0651", b'{"timestamp": 0, "input_length": true, "output_length": 3}\n'),
        ("E0651", b'{"timestamp": 0, "input_length": 5}\n'),
        ("E0651", b'{"timestamp": 0, '),
        ("E0651", b'{"traceEvents": 3}'),
        ("E0651", b'{"traceEvents": [3]}'),
    ],
)
def test_a_broken_trace_is_told_with_its_line(code: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_bytes(content)
    with pytest.raises(FlowError, match=code):
        read_trace(path)


@pytest.mark.skipif("FLOWC_DATA" not in os.environ, reason="FLOWC_DATA names no folder of data sets")
def test_published_traces_are_read_whole() -> None:
    folder = Path(os.environ["FLOWC_DATA"], "traces")
    counts = {path.name: len(read_trace(path).calls) for path in folder.glob("*.gz")}
    assert sorted(counts.values()) == [3000, 5000, 5000]
    mooncake = read_trace(folder / "mooncake_conversation.jsonl.gz")
    assert mooncake.block == 512
    assert all(len(call.blocks) == call.prompt // 512 for call in mooncake.calls)


@pytest.mark.parametrize(
    "sampler", [Family(3.0, "constant"), Family(3.0, "exponential"), Family(3.0, "gamma", 2.0)]
)
def test_a_family_has_the_mean_that_it_was_given(sampler: Family) -> None:
    chance = random.Random(5)
    mean = sum(sampler.sample(chance) for _ in range(20_000)) / 20_000
    assert mean == pytest.approx(3.0, rel=0.05)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=50), st.integers(0, 1000))
def test_a_measured_distribution_stays_within_what_was_measured(values: list[int], seed: int) -> None:
    drawn = Empirical.of(values).sample(random.Random(seed))
    assert min(values) <= drawn <= max(values)
    assert Empirical.of(values).at(0.0) == min(values)
    assert Empirical.of(values).at(1.0) == max(values)
