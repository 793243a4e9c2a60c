"""What a split branch hands on is there on one side alone: nothing reads it on the other."""

import pytest

from flowc.compiler import driver
from flowc.runtime.execute import run
from tests.passes.flow_text import HEADER
from tests.passes.running import RecordingWorld

BODIES = {
    "a sum": "out += look(i)",
    "a field": "out += weigh(i, 0).left",
    "two branches": "v = look(i)\n            if v > 3:\n                out += v\n            else:\n"
    "                out += look(v)",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_what_was_not_asked_is_not_computed_with(body: str) -> None:
    text = f"""{HEADER}
flow main(n: int) -> int:
    out = n
    for i in range(6):
        if i != 2:
            {body}
    return out
"""
    results = []
    for level in (0, 1, 2, 3):
        plan = driver.compile_text(text, "generated.flow", level=level).plan
        ended = run(plan, "main", {"n": 1}, environment=RecordingWorld().environment())
        results.append((ended.problem, ended.result))
    assert results[0][0] is None
    assert results[1:] == results[:1] * 3
