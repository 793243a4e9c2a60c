"""Names under which samples are kept: the same for equal operations and unchanged flows, else different."""

from attrs import evolve

from flowc.runtime.history.names import operation_name, places
from flowc.runtime.plan import Plan
from flowc.runtime.types import Enum, List, Record
from tests.runtime.plans import llm

TABLES = Plan("a.flow", {}, {}, {"P": (("v", Enum("V")),)}, {"V": ("yes", "no")})
PROGRAM = """\
tool look(x: int) -> int reads web

@timeout(5s)
flow first(
    x: int
) -> int:
    return look(x) if x > 2 else 0

flow main(xs: list[int]) -> list[int]:
    return [first(x) for x in xs]
"""


def test_an_operation_is_named_by_what_it_takes_and_gives() -> None:
    asked = llm("ask", result=List(Record("P")))
    name = operation_name(asked, TABLES)
    assert name == operation_name(evolve(asked, line=9, documentation="other"), TABLES)
    others = [
        operation_name(evolve(asked, name="tell"), TABLES),
        operation_name(evolve(asked, model="large"), TABLES),
        operation_name(evolve(asked, result=Record("P")), TABLES),
        operation_name(asked, evolve(TABLES, enums={"V": ("yes", "no", "unsure")})),
    ]
    assert len({name, *others}) == 5


def test_a_step_keeps_its_name_when_other_flows_change() -> None:
    before = places(PROGRAM)
    longer = PROGRAM.replace(
        "flow main", "# how it all begins\n\nflow zero() -> int:\n    return 0\n\nflow main"
    )
    after = places(longer)
    assert before.name("map", 10, 12) == after.name("map", 15, 12) != ""
    assert before.name("if", 7, 12) == after.name("if", 7, 12) != ""


def test_a_step_gets_another_name_when_its_flow_changes() -> None:
    changed = PROGRAM.replace("for x in xs]", "for x in xs if x]")
    assert places(PROGRAM).name("map", 10, 12) != places(changed).name("map", 10, 12)


def test_a_loop_that_became_a_map_keeps_its_name() -> None:
    where = places(PROGRAM)
    assert where.name("for", 10, 12) == where.name("map", 10, 12) == where.name("generate_batch", 10, 12)


def test_what_is_no_step_or_stands_nowhere_has_no_name() -> None:
    where = places(PROGRAM)
    assert where.name("tool", 7, 12) == where.name("if", 0, 0) == places("").name("if", 3, 3) == ""
