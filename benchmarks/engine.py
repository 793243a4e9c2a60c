"""How fast the simulated server simulates, beside a plain loop that steps through every token."""

import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measure import Row, Table
from benchmarks.rounds import Options
from flowc.runtime.providers.simulated.behaviour import Serving
from flowc.runtime.providers.simulated.distributions import Family
from flowc.runtime.providers.simulated.serving import INFINITE, Job, Server
from flowc.runtime.providers.simulated.traces import Call, read_trace

TRACES = {
    "Azure conversation": "azure_llm_inference_2023_conv.csv.gz",
    "Azure code": "azure_llm_inference_2023_code.csv.gz",
    "Mooncake, shared prefixes": "mooncake_conversation.jsonl.gz",
}
INVENTED = "invented lengths"
LOAD = 0.7
"""The share of the server's time that is asked for."""

Arrivals = list[tuple[float, Job]]


def run(options: Options) -> Table:
    """A million calls of each trace, one after the other on one core."""
    count, stepped = (2_000, 500) if options.quick else (1_000_000, 5_000)
    chosen = [each for each in workloads() if not options.only or each[0] in options.only]
    return Table(
        "engine",
        "The simulated server: continuous batching and a paged cache, in virtual time",
        tuple(row(name, calls, block, count, stepped) for name, calls, block in chosen),
        f"Seconds of the processor. Poisson arrivals at a load of {LOAD:.0%}. Stepping is a plain loop over "
        f"iterations and the jobs in them, for the first {stepped:,} calls, without books on blocks; without "
        "shared prefixes both give the same times, which is checked.",
    )


def workloads() -> list[tuple[str, Sequence[Call], int]]:
    """The traces in FLOWC_DATA where it is set, and lengths that need no data."""
    folder = os.environ.get("FLOWC_DATA")
    found: list[tuple[str, Sequence[Call], int]] = []
    for name, file in TRACES.items() if folder else ():
        trace = read_trace(Path(folder or "", "traces", file))
        found.append((name, trace.calls, trace.block))
    chance = random.Random(7)
    prompts, answers = Family(1000, "lognormal", 1.0), Family(200, "lognormal", 0.8)
    invented = [
        Call(0.0, 1 + round(prompts.sample(chance)), 1 + round(answers.sample(chance))) for _ in range(5000)
    ]
    return [*found, (INVENTED, invented, 0)]


def row(name: str, calls: Sequence[Call], block: int, count: int, stepped: int) -> Row:
    """One trace, repeated to `count` calls."""
    longest = max(call.prompt + call.answer for call in calls)
    serving = Serving(block=block or 16, kv_tokens=max(Serving().kv_tokens, 4 * longest))
    arrivals = drawn(calls, serving, count)
    server = Server(serving)
    took = seconds(lambda: drive(server, arrivals))
    few = drawn(calls, serving, stepped)
    fresh = drawn(calls, serving, stepped)
    by_events = seconds(lambda: drive(Server(serving), fresh))
    ends: list[float] = []
    by_steps = seconds(lambda: ends.extend(step(serving, few)))
    if not block:
        assert all(abs(job.ended - end) < 1e-6 for (_, job), end in zip(fresh, ends, strict=True))
    done = server.statistics
    return {
        "calls of": name,
        "calls": count,
        "seconds": round(took, 2),
        "calls/s": round(count / took),
        "M tokens/s": round((done.prefilled + done.cached + done.decoded) / took / 1e6, 1),
        "stepping calls/s": round(stepped / by_steps),
        "times as fast": round(by_steps / by_events, 1),
        "prompts cached": f"{done.cached / (done.cached + done.prefilled):.0%}",
        "batch at most": done.peak_batch,
    }


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call: on one core, and whatever else the machine does."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def drawn(calls: Sequence[Call], serving: Serving, count: int) -> Arrivals:
    """So many calls of a trace, again and again in its order, at random times."""
    work = sum(
        serving.prefill + serving.per_prompt_token * call.prompt + serving.per_sequence * call.answer
        for call in calls
    )
    iterations = sum(call.answer for call in calls) * serving.iteration / (serving.max_batch / 2)
    rate = LOAD * len(calls) / (work + iterations)
    chance = random.Random(1)
    now = 0.0
    arrivals: Arrivals = []
    for index in range(count):
        call = calls[index % len(calls)]
        now += chance.expovariate(rate)
        arrivals.append((now, Job(call.prompt, max(1, call.answer), call.blocks)))
    return arrivals


def drive(server: Server, arrivals: Arrivals) -> None:
    """Lets all calls come at their times, and ends when all are served."""
    for now, job in arrivals:
        if server.next_event() < now:
            server.advance(now)
        server.submit(now, job)
    while server.next_event() < INFINITE:
        server.advance(server.next_event())


def step(serving: Serving, arrivals: Arrivals) -> list[float]:
    """When each call ends, found token by token: prefill first, first come first served."""
    ends = [0.0] * len(arrivals)
    running: dict[int, int] = {}
    blocks = [-(-(job.prompt + job.answer) // serving.block) for _, job in arrivals]
    free = serving.blocks
    clock = 0.0
    next_ = 0
    while next_ < len(arrivals) or running:
        if not running:
            clock = max(clock, arrivals[next_][0])
        came = next_ < len(arrivals) and arrivals[next_][0] <= clock
        if came and len(running) < serving.max_batch and blocks[next_] <= free:
            job = arrivals[next_][1]
            free -= blocks[next_]
            clock += serving.prefill + serving.per_prompt_token * job.prompt
            running[next_] = job.answer - 1
            next_ += 1
        else:
            clock += serving.iteration + serving.per_sequence * len(running)
            running = {number: left - 1 for number, left in running.items()}
        for number in [number for number, left in running.items() if left == 0]:
            del running[number]
            ends[number] = clock
            free += blocks[number]
    return ends
