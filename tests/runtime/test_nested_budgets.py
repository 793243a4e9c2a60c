"""A call counts for every budget around it."""

import pytest

from flowc.compiler.driver import compile_text
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run

PROGRAM = """
tool look(i: int) -> int reads web

@budget(calls={outer})
flow main(n: int) -> int:
    t = 0
    with budget(calls={inner}):
        for i in range(n):
            t = t + look(i)
    return t + look(n)
"""


@pytest.mark.parametrize(
    ("outer", "inner", "problem"), [(3, 9, "E0721"), (9, 3, "E0721"), (4, 9, "E0721"), (5, 4, "")]
)
def test_calls_count_for_the_inner_budget_and_for_the_outer_one(outer: int, inner: int, problem: str) -> None:
    plan = compile_text(PROGRAM.format(outer=outer, inner=inner), "nested.flow").plan
    made: list[int] = []
    environment = Environment(tools={"look": lambda i: made.append(i) or i})
    result = run(plan, "main", {"n": 4}, environment=environment)
    assert (result.problem.code if result.problem else "") == problem
    assert len(made) <= min(outer, inner + 1)  # one of five is made outside of the inner budget
