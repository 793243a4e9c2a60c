"""A text becomes a member of an enum, or fails at run time, at every level and in the reference."""

import pytest

from flowc.compiler import driver
from flowc.runtime.execute import run
from flowc.runtime.plan_json import dumps, loads

PROGRAM = """\
enum Verdict: yes, no

flow judged(text: str) -> Verdict:
    return Verdict(text)

flow from_json(value: json) -> Verdict:
    return Verdict(value)

flow fixed() -> Verdict:
    return Verdict("no")

flow guarded(text: str) -> Verdict:
    return try Verdict(text) else Verdict("no")
"""


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_text_becomes_a_member_of_an_enum(level: int) -> None:
    plan = loads(dumps(driver.compile_text(PROGRAM, "enums.flow", level=level).plan))
    assert run(plan, "judged", {"text": "yes"}).result == "yes"
    assert run(plan, "from_json", {"value": "no"}).result == "no"
    assert run(plan, "fixed").result == "no"
    assert run(plan, "guarded", {"text": "perhaps"}).result == "no"
    refused = run(plan, "judged", {"text": "perhaps"})
    assert refused.problem is not None
    assert (refused.problem.code, refused.problem.line) == ("E0713", 4)
    assert "a member of Verdict (yes, no) was expected" in refused.problem.why
