"""The scheduler: order, joins, maps, loops; against the sequential reading as the oracle."""

import asyncio
import threading
import time
from collections import Counter
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowc.runtime.clock import VirtualLoop
from flowc.runtime.environment import Environment
from flowc.runtime.execute import load, run, run_plan
from flowc.runtime.plan import Effect, Function, Parameter, Plan
from flowc.runtime.result import RunResult
from flowc.runtime.scheduler import runner
from flowc.runtime.trace.model import Trace
from flowc.runtime.types import INT, List
from tests.runtime.plans import Builder, plan, tool


def execute(of: Plan, tools: dict, **arguments: object) -> RunResult:
    return run(of, "main", arguments, environment=Environment(tools=tools))


def virtually(of: Plan, tools: dict, **arguments: object) -> RunResult:
    async def go() -> RunResult:
        return await run_plan(of, "main", arguments, environment=Environment(tools=tools))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(go())


def increment(x: int) -> int:
    return x + 1


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    """For each node the earlier nodes that it reads."""
    count = draw(st.integers(1, 25))
    return [
        draw(st.lists(st.integers(0, index - 1), max_size=3, unique=True)) if index else []
        for index in range(count)
    ]


@settings(max_examples=60, deadline=None)
@given(graphs(), st.integers(0, 2**20), st.sampled_from([1, 3, runner.TURN]), st.sampled_from([-1.0, 1.0]))
def test_any_graph_gives_what_the_sequential_reading_gives_and_joins_run_once(
    graph: list[list[int]], salt: int, turn: int, slow: float
) -> None:
    """However soon the loop hands over to the runner."""
    body = Builder()
    slots: list[int] = []
    for index, reads in enumerate(graph):
        key = body.constant(index)
        inputs = body.one("list", *(slots[read] for read in reads))
        name = ("quick", "slow", "waiting")[(index * 7 + salt) % 3]
        slots.append(body.tool(name, key, inputs, rank=float((index * salt) % 5)))
    ran: Counter[int] = Counter()

    def quick(key: int, values: list[int]) -> int:
        ran[key] += 1
        return key + 2 * sum(values)

    async def waiting(key: int, values: list[int]) -> int:
        await asyncio.sleep(key % 3)
        return quick(key, values)

    def blocking(key: int, values: list[int]) -> int:
        return quick(key, values)

    expected: list[int] = []
    for index, reads in enumerate(graph):
        expected.append(index + 2 * sum(expected[read] for read in reads))
    operations = [
        tool(name, INT, List(INT), effects=effects)
        for name, effects in (
            ("quick", [Effect("pure")]),
            ("slow", [Effect("reads", "web")]),
            ("waiting", [Effect("pure")]),
        )
    ]
    of = plan(body.region(body.one("list", *slots)), operations=operations, result=List(INT))
    with patch.object(runner, "TURN", turn), patch.object(runner, "SLOW", slow):
        result = virtually(of, {"quick": quick, "slow": blocking, "waiting": waiting})
    assert result.problem is None
    assert result.result == expected
    assert set(ran.values()) == {1}
    assert len(ran) == len(graph)


def test_nodes_named_in_after_end_first_although_no_data_flows() -> None:
    seen: list[int] = []

    def note(x: int) -> int:
        seen.append(x)
        return x

    body = Builder()
    keys = [body.constant(index) for index in range(20)]
    for index, key in enumerate(keys):
        body.node("tool", key, operation="note", after=[index - 1] if index else [], rank=float(index))
    of = plan(body.region(keys[0]), operations=[tool("note", INT, effects=[Effect("writes", "log")])])
    assert execute(of, {"note": note}).status == "ok"
    assert seen == list(range(20))


def test_the_highest_rank_starts_first_among_ready_nodes() -> None:
    seen: list[int] = []
    body = Builder()
    keys = [body.constant(rank) for rank in range(12)]
    for rank, key in enumerate(keys):
        body.tool("note", key, rank=float(rank))
    of = plan(body.region(keys[0]), operations=[tool("note", INT)])
    assert execute(of, {"note": lambda x: seen.append(x) or x}).status == "ok"
    assert seen == list(reversed(range(12)))


def test_the_highest_rank_starts_first_among_nodes_that_one_makes_ready() -> None:
    seen: list[int] = []
    body = Builder()
    first = body.tool("note", body.constant(-1))
    keys = [body.constant(rank) for rank in range(12)]
    for rank, key in enumerate(keys):
        body.tool("after", key, first, rank=float(rank))
    operations = [tool("note", INT), tool("after", INT, INT)]
    of = plan(body.region(first), operations=operations)
    tools = {"note": lambda x: x, "after": lambda x, _: seen.append(x) or x}
    assert execute(of, tools).status == "ok"
    assert seen == list(reversed(range(12)))


def test_a_map_keeps_its_order_and_never_exceeds_its_width() -> None:
    running = 0
    most = 0

    async def square(x: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(100 - x)
        running -= 1
        return x * x

    inner = Builder()
    squared = inner.tool("square", inner.parameter())
    body = Builder()
    numbers = body.apply("range", body.constant(50))
    squares = body.one("map", numbers, regions=[inner.region(squared)], width=7)
    of = plan(body.region(squares), operations=[tool("square", INT)], result=List(INT))
    result = virtually(of, {"square": square})
    assert result.result == [x * x for x in range(50)]
    assert most == 7


def test_a_filtered_map_keeps_the_elements_that_pass() -> None:
    inner = Builder()
    x = inner.parameter()
    odd = inner.apply("eq", inner.apply("mod", x, inner.constant(2)), inner.constant(1))
    body = Builder()
    numbers = body.apply("range", body.constant(9))
    of = plan(
        body.region(body.one("map", numbers, regions=[inner.region(odd, x)], filtered=True)),
        result=List(INT),
    )
    assert execute(of, {}).result == [1, 3, 5, 7]


def test_a_map_over_lists_of_different_length_is_refused() -> None:
    inner = Builder()
    pair = inner.one("tuple", inner.parameter(), inner.parameter())
    body = Builder()
    short, long = body.constant([1]), body.constant([1, 2])
    of = plan(body.region(body.one("map", short, long, regions=[inner.region(pair)])))
    assert execute(of, {}).problem.code == "E0713"


def test_a_for_loop_carries_its_values_and_stops_when_told() -> None:
    inner = Builder()
    element, total = inner.parameter(), inner.parameter()
    added = inner.apply("add", total, element)
    stop = inner.apply("ge", added, inner.constant(6))
    body = Builder()
    numbers, zero = body.constant([1, 2, 3, 4, 5]), body.constant(0)
    of = plan(body.region(body.one("for", numbers, zero, regions=[inner.region(stop, added)])))
    assert execute(of, {}).result == 6


def test_a_while_loop_ends_at_its_bound_though_its_test_still_holds() -> None:
    test = Builder()
    test.parameter()
    going = test.constant(True)
    inner = Builder()
    counted = inner.apply("add", inner.parameter(), inner.constant(1))
    stop = inner.constant(False)
    body = Builder()
    bound, zero = body.constant(5), body.constant(0)
    regions = [test.region(going), inner.region(stop, counted)]
    of = plan(body.region(body.one("while", bound, zero, regions=regions)))
    assert execute(of, {}).result == 5


def test_a_hundred_thousand_empty_turns_need_no_stack() -> None:
    inner = Builder()
    inner.parameter()
    carried = inner.parameter()
    stop = inner.constant(False)
    body = Builder()
    numbers = body.apply("range", body.constant(100_000))
    of = plan(body.region(body.one("for", numbers, body.constant(3), regions=[inner.region(stop, carried)])))
    assert execute(of, {}).result == 3


def test_a_branch_runs_only_the_region_that_its_condition_chooses() -> None:
    seen: list[int] = []

    def branch(key: int) -> Builder:
        made = Builder()
        made.tool("note", made.constant(key))
        return made

    yes, no = branch(1), branch(2)
    body = Builder()
    condition = body.constant(False)
    regions = [yes.region(yes.nodes[0].outputs[0]), no.region(no.nodes[0].outputs[0])]
    of = plan(body.region(body.one("if", condition, regions=regions)), operations=[tool("note", INT)])
    result = execute(of, {"note": lambda x: seen.append(x) or x})
    assert (result.result, seen) == (2, [2])


def test_a_flow_calls_another_and_regions_see_what_they_capture() -> None:
    callee = Builder()
    doubled = callee.apply("mul", callee.parameter(), callee.constant(2))
    double = Function("double", (Parameter("x", INT),), INT, callee.region(doubled))
    body = Builder()
    x = body.parameter()
    inner = Builder()
    element = inner.parameter()
    moved = inner.apply("add", inner.one("call", element, function="double"), inner.use(x))
    numbers = body.apply("range", body.constant(4))
    of = plan(
        body.region(body.one("map", numbers, regions=[inner.region(moved)])),
        Parameter("x", INT),
        functions=[double],
        result=List(INT),
    )
    assert execute(of, {}, x=100).result == [100, 102, 104, 106]


def test_two_branches_of_different_depth_never_wait_for_each_other() -> None:
    ended: dict[str, float] = {}

    async def wait(name: int, seconds: int) -> int:
        await asyncio.sleep(seconds)
        ended[str(name)] = asyncio.get_running_loop().time()
        return name

    body = Builder()
    one, ten = body.constant(1), body.constant(10)
    long = body.tool("wait", one, ten)
    short = one
    for _ in range(5):
        short = body.tool("wait", short, one)
    of = plan(body.region(body.apply("add", long, short)), operations=[tool("wait", INT, INT)])
    result = virtually(of, {"wait": wait})
    assert result.wall_ms == pytest.approx(10_000)
    assert result.critical_path_ms == pytest.approx(10_000)
    assert result.virtual


def test_independent_waits_take_as_long_as_their_critical_path() -> None:
    async def wait(x: int) -> int:
        await asyncio.sleep(0.1)
        return x

    inner = Builder()
    waited = inner.tool("wait", inner.parameter())
    body = Builder()
    numbers = body.apply("range", body.constant(500))
    waits = body.one("map", numbers, regions=[inner.region(waited)], width=500)
    of = plan(body.region(body.apply("sum", waits)), operations=[tool("wait", INT)])
    result = virtually(of, {"wait": wait})
    assert result.result == sum(range(500))
    assert result.wall_ms == pytest.approx(100)


def test_blocking_tools_run_side_by_side() -> None:
    """All of them must be inside at once for the barrier to open, the first of an unknown operation too."""
    barrier = threading.Barrier(20, timeout=20)

    def meet(x: int) -> int:
        barrier.wait()
        return x

    body = Builder()
    slots = [body.tool("meet", body.constant(index)) for index in range(20)]
    of = plan(body.region(body.apply("sum", body.one("list", *slots))), operations=[tool("meet", INT)])
    assert execute(of, {"meet": meet}).result == sum(range(20))


def test_a_blocked_body_does_not_hold_up_another_branch() -> None:
    gate = threading.Event()

    def hold(x: int) -> int:
        gate.wait(20)
        return x

    def open_it(x: int) -> int:
        gate.set()
        return x

    body = Builder()
    one = body.constant(1)
    held = body.tool("hold", one, rank=9.0)
    opened = body.tool("open_it", body.apply("add", one, one))
    of = plan(
        body.region(body.apply("add", held, opened)), operations=[tool("hold", INT), tool("open_it", INT)]
    )
    assert execute(of, {"hold": hold, "open_it": open_it}).result == 3


def test_a_thousand_trivial_nodes_cost_microseconds_each() -> None:
    """The bar is 10 and 15 us; the generous bound here only catches a broken scheduler on a busy machine."""
    chain = Builder()
    slot = chain.parameter()
    for _ in range(1000):
        slot = chain.tool("increment", slot)
    loaded = load(
        plan(chain.region(slot), Parameter("x", INT), operations=[tool("increment", INT)]),
        Environment(tools={"increment": increment}),
    )
    runs = [run(loaded, "main", {"x": 0}) for _ in range(5)]
    assert {result.result for result in runs} == {1000}
    assert min(result.overhead_ms / result.nodes for result in runs) * 1000 < 100


def test_a_run_works_inside_a_running_loop() -> None:
    body = Builder()
    of = plan(body.region(body.tool("increment", body.constant(1))), operations=[tool("increment", INT)])

    async def inside() -> RunResult:
        return execute(of, {"increment": increment})

    assert asyncio.run(inside()).result == 2


def test_runs_side_by_side_in_one_loop_do_not_mix() -> None:
    inner = Builder()
    body = Builder()
    x = body.parameter()
    moved = inner.tool("wait", inner.apply("add", inner.parameter(), inner.use(x)))
    numbers = body.apply("range", body.constant(10))
    of = plan(
        body.region(body.one("map", numbers, regions=[inner.region(moved)])),
        Parameter("x", INT),
        operations=[tool("wait", INT)],
        result=List(INT),
    )

    async def wait(x: int) -> int:
        await asyncio.sleep(x % 3)
        return x

    async def go() -> list[RunResult]:
        loaded = load(of, Environment(tools={"wait": wait}))
        return list(await asyncio.gather(*(run_plan(loaded, "main", {"x": 100 * k}) for k in range(8))))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        results = runner.run(go())
    assert [result.result for result in results] == [[100 * k + i for i in range(10)] for k in range(8)]


def test_the_time_of_the_run_is_split_into_bodies_and_overhead() -> None:
    body = Builder()
    of = plan(body.region(body.tool("busy", body.constant(1))), operations=[tool("busy", INT)])

    def busy(x: int) -> int:
        end = time.perf_counter() + 0.05
        while time.perf_counter() < end:
            pass
        return x

    result = execute(of, {"busy": busy})
    assert result.critical_path_ms >= 50
    assert result.overhead_ms == pytest.approx(result.wall_ms - result.critical_path_ms, abs=0.5)


def test_what_ends_after_its_run_does_not_count() -> None:
    body = Builder()
    of = plan(body.region(body.tool("it", body.constant(1))), operations=[tool("it", INT)])
    result = virtually(of, {"it": increment})
    assert isinstance(result.trace, Trace)
    kind, frame, instruction, start, _, more = result.trace.log[-1]
    result.trace.log.append((kind, frame, instruction, start, start + 60.0, more))  # a body that was given up
    assert (result.nodes, result.calls, result.critical_path_ms, result.overhead_ms) == (1, 1, 0.0, 0.0)
