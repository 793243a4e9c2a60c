"""Which names are read later is found in one walk backwards over the statements."""

import ast

import pytest

from flowc.compiler.python.numeric import liveness
from flowc.compiler.python.numeric.liveness import live_before, live_behind

PROGRAM = """
a = x + y
b[i] = a
if a > c:
    d = e
else:
    d = a
for i in range(n):
    s += d * i
while s > t:
    s = s - u[i]
    u = v
d, e = s, b
w: int = d
return d + w
"""


def test_what_is_wanted_behind_each_statement_is_what_is_wanted_before_the_next() -> None:
    statements = ast.parse(PROGRAM).body
    after = frozenset(["later"])
    assert live_behind(statements, after) == [
        live_before(statements[place:], after) for place in range(1, len(statements) + 1)
    ]
    assert live_behind([], after) == []


def test_every_statement_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    statements = ast.parse("\n".join(f"v{number} = x + y" for number in range(100))).body
    met: list[ast.stmt] = []
    before = liveness._before
    monkeypatch.setattr(
        liveness, "_before", lambda statement, after: met.append(statement) or before(statement, after)
    )
    live_behind(statements, frozenset())
    assert met == statements[::-1]
