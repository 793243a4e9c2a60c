"""What a run on stand-ins did, as a graph: every call a task, what is expected of it its time, assumptions
said."""

import pytest

from flowc.compiler.driver import Options, compile_text
from flowc.passes.simulation import stage
from flowc.passes.simulation.bounds import lower_bounds
from flowc.passes.simulation.cluster import identical
from flowc.passes.simulation.forecast import forecast
from flowc.passes.simulation.graph import TaskGraph
from flowc.runtime.errors import FlowError
from flowc.runtime.scheduler.widths import USUAL

TOOLS = """\
@latency(3s)
tool slow(text: str) -> str reads web

@latency(1s)
tool quick(text: str) -> str reads web

@latency(2s)
tool listed(text: str) -> list[str] reads web

@latency(4s)
tool saved(text: str) -> str writes mail

"""


def unrolled(body: str, level: int = 2) -> TaskGraph:
    return forecast(compile_text(TOOLS + body, "main.flow", level=level).plan, "main").graph


def longest(graph: TaskGraph) -> float:
    return lower_bounds(graph, identical(1)).critical_path


def named(graph: TaskGraph) -> list[str]:
    return [task.name.split()[0] for task in graph.tasks]


def test_a_chain_is_a_chain_and_what_is_independent_is_not() -> None:
    chain = unrolled("flow main(text: str) -> str:\n    return slow(quick(text))\n")
    assert [(task.seconds, task.parents) for task in chain.tasks] == [(1, ()), (3, (0,))]
    both = unrolled("flow main(a: str) -> list[str]:\n    return [slow(a), quick(a), slow(quick(a))]\n")
    assert longest(both) == pytest.approx(4.0, abs=1e-4)


def test_a_literal_list_has_its_length_and_an_unknown_one_what_the_model_takes() -> None:
    three = unrolled('flow main() -> list[str]:\n    return [slow(t) for t in ["a", "b", "c"]]\n')
    assert named(three) == ["slow"] * 3
    assert not three.assumed
    unknown = unrolled("flow main(a: str) -> list[str]:\n    return [slow(t) for t in listed(a)]\n")
    assert named(unknown) == ["listed", *["slow"] * 10]
    assert all(task.parents == (0,) for task in unknown.tasks[1:])
    assert unknown.assumed == ("10 items in the list, line 14",)


def test_only_a_width_that_somebody_chose_orders_the_elements_of_a_map() -> None:
    """The usual one is the runtime's, but where it was chosen."""
    body = "flow main() -> list[str]:\n    return [slow(str(n)) for n in range(100)]\n"
    assert longest(unrolled(body)) == pytest.approx(3.0)
    for width, rounds in ((25, 4), (USUAL, 2)):
        options = Options(pipeline=f"parallelise{{width={width}}}")
        plan = compile_text(TOOLS + body, "main.flow", options=options).plan
        assert longest(forecast(plan, "main").graph) == pytest.approx(3.0 * rounds)


def test_rounds_of_a_loop_come_one_after_the_other() -> None:
    loop = unrolled(
        "flow main(text: str) -> str:\n"
        '    for word in ["a", "b", "c"]:\n'
        "        text = slow(text + word)\n"
        "    return quick(text)\n"
    )
    assert longest(loop) == pytest.approx(3 * 3.0 + 1.0, abs=1e-4)
    assert [task.parents for task in loop.tasks] == [(), (0,), (1,), (2,)]


@pytest.mark.parametrize(("bound", "rounds"), [(1, 1), (4, 4), (100, 10)])
def test_a_bound_that_is_less_than_what_the_model_takes_bounds_a_while(bound: int, rounds: int) -> None:
    loop = unrolled(
        "flow main(text: str) -> str:\n"
        f"    while len(text) < 30 up to {bound}:\n"
        "        text = slow(text)\n"
        "    return quick(text)\n"
    )
    assert named(loop) == ["slow"] * rounds + ["quick"]
    assert [task.parents for task in loop.tasks] == [(), *((place,) for place in range(rounds))]


def test_a_while_whose_bound_is_computed_takes_what_the_model_takes() -> None:
    loop = unrolled(
        "flow main(text: str, most: int) -> str:\n"
        "    while len(text) < 30 up to most:\n"
        "        text = slow(text)\n"
        "    return text\n"
    )
    assert named(loop) == ["slow"] * 10
    assert loop.assumed == ("10 rounds, line 14",)


def test_a_round_of_a_while_waits_for_its_test() -> None:
    loop = unrolled(
        "flow main(text: str) -> str:\n"
        "    while len(quick(text)) < 30 up to 2:\n"
        '        text = slow("again")\n'
        "    return text\n"
    )
    assert named(loop) == ["quick", "slow", "quick", "slow"]
    assert [task.parents for task in loop.tasks] == [(), (0,), (1,), (2,)]


BLOCKS = {
    "if": '    if len(first) > 3:\n        text = slow(a + "1")\n        word = "z"\n',
    "else": '    if len(first) > 3:\n        text = slow(a + "1")\n    else:\n        word = quick(a)\n',
    "try": '    try:\n        text = slow(first)\n        word = "z"\n    else:\n        word = quick(a)\n',
    "limit": '    with timeout(9s):\n        text = slow(first)\n        word = "z"\n',
    "for": '    for each in ["1", "2"]:\n        text = slow(first + text)\n        word = a\n',
}


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS.keys())
def test_what_a_block_gives_is_there_when_all_of_it_has_ended(block: str) -> None:
    """Whatever makes the word: `listed` waits for the block, though it reads a constant or a parameter."""
    drawn = unrolled(
        "flow main(a: str) -> list[str]:\n"
        '    first = quick(a + "0")\n    text = "x"\n    word = "y"\n'
        f"{block}"
        "    return listed(word) + [text]\n"
    )
    assert named(drawn)[-1] == "listed"
    assert longest(drawn) == pytest.approx(sum(drawn.seconds))


def test_a_block_waits_for_all_that_it_reads() -> None:
    drawn = unrolled(
        "flow main(a: str) -> str:\n"
        '    early = slow(a)\n    text = "x"\n'
        "    with timeout(9s):\n"
        "        text = quick(a) + early\n"
        "    return text\n"
    )
    assert [task.parents for task in drawn.tasks] == [(), (0,)]


def test_a_try_is_taken_to_succeed_and_that_is_said() -> None:
    tried = unrolled("flow main(a: str) -> str:\n    return try slow(a) else quick(a)\n")
    assert named(tried) == ["slow"]
    assert tried.assumed == ("the `try` succeeds, line 14",)


def test_writes_keep_their_order() -> None:
    both = unrolled("flow main(a: str) -> list[str]:\n    return [saved(a), saved(quick(a))]\n")
    assert longest(both) == pytest.approx(8.0, abs=1e-4)


def test_of_a_branch_the_longer_is_taken_and_said() -> None:
    branch = unrolled("flow main(a: str) -> str:\n    return slow(slow(a)) if len(a) > 3 else quick(a)\n")
    assert named(branch) == ["slow", "slow"]
    assert branch.assumed == ("the longer branch is taken, line 14",)


def test_of_a_race_the_quicker_arm_counts() -> None:
    race = unrolled("flow main(a: str) -> str:\n    return race(slow(a), quick(a))\n")
    assert named(race) == ["quick"]
    assert race.assumed == ()


def test_what_a_flow_calls_is_unrolled_where_it_is_called() -> None:
    called = unrolled(
        "flow twice(text: str) -> str:\n    return slow(quick(text))\n\n"
        "flow main(a: str) -> list[str]:\n    return [twice(a), twice(slow(a))]\n"
    )
    assert sorted(named(called)) == ["quick", "quick", "slow", "slow", "slow"]
    assert longest(called) == pytest.approx(7.0, abs=1e-4)


def test_dependences_that_follow_from_others_are_left_out() -> None:
    drawn = unrolled(
        "flow main(a: str) -> list[str]:\n    b = slow(a)\n    c = quick(b)\n    return [slow(b + c), c]\n"
    )
    assert [task.parents for task in drawn.tasks] == [(), (0,), (1,)]


def test_a_plan_without_ranks_is_unrolled_too() -> None:
    both = unrolled("flow main(a: str) -> list[str]:\n    return [slow(a), quick(a)]\n", level=0)
    assert longest(both) == 4.0  # as written, one after the other
    assert [task.parents for task in both.tasks] == [(), (0,)]


def test_a_flow_without_calls_is_refused() -> None:
    with pytest.raises(FlowError, match=r"E0657.*calls no model"):
        unrolled("flow main(n: int) -> int:\n    return n + 1\n")


def test_loops_around_what_only_computes_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "MOST_STEPS", 2_000)
    nested = "flow longer(n: int) -> int:\n    return n + 1\n\nflow main(a: str) -> int:\n    n = 0\n"
    for depth in range(4):
        nested += "    " * (depth + 1) + f"for w{depth} in split(a):\n"
    nested += "    " * 5 + "n = longer(n)\n    return n + len(slow(a))\n"
    with pytest.raises(FlowError, match=r"E0657.*more than 2,000 steps"):
        unrolled(nested, level=0)


def test_a_program_that_unrolls_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "MOST_TASKS", 1_000)
    deep = "flow main(a: str) -> list[str]:\n    return " + "listed(a)\n"
    nested = "flow main(a: str) -> int:\n    n = 0\n"
    for depth in range(4):
        nested += "    " * (depth + 1) + f"for w{depth} in listed(a):\n"
    nested += "    " * 5 + "n = n + len(slow(w3))\n    return n\n"
    assert len(unrolled(deep).tasks) == 1
    with pytest.raises(FlowError, match=r"E0657.*more than 1,000 tasks"):
        unrolled(nested)
