"""Real waiting: how close a flow of 100 ms calls comes to its critical path, and what no barrier is worth."""

import asyncio
import statistics
import time

from benchmarks.measure import Row, Table
from benchmarks.rounds import Options

FAN = """
tool wait(i: int) -> int pure

flow main() -> int:
    xs = [wait(i) for i in range({width})]
    return sum(xs)
"""

BRANCHES = """
tool quick(i: int) -> int pure
tool slow(i: int) -> int pure

flow main() -> int:
    a = quick(1)
    b = quick(a)
    c = quick(b)
    d = slow(2)
    return c + d
"""


def blocking(i: int) -> int:
    """A synchronous tool that waits 100 ms, as a client library would."""
    time.sleep(0.1)
    return i


async def asynchronous(i: int) -> int:
    """The same as a coroutine."""
    await asyncio.sleep(0.1)
    return i


def slow(i: int) -> int:
    """Waits 300 ms."""
    time.sleep(0.3)
    return i


def run(options: Options) -> Table:
    """Wall time over critical path; the bar is 1.05."""
    from flowc.compiler.driver import compile_text
    from flowc.runtime.execute import Environment
    from flowc.runtime.execute import run as execute

    fan, branches = compile_text(FAN.format(width=50), "fan.flow"), compile_text(BRANCHES, "branches.flow")
    cases = (
        ("50 independent calls, coroutine tool", fan, {"wait": asynchronous}, 0.1),
        ("50 independent calls, blocking tool", fan, {"wait": blocking}, 0.1),
        ("branches of depth 3 and 1, each 300 ms", branches, {"quick": blocking, "slow": slow}, 0.3),
    )
    rows: list[Row] = []
    for title, compiled, tools, critical in cases:
        walls = []
        for _ in range(2 if options.quick else 9):
            result = execute(compiled.plan, "main", {}, environment=Environment(tools=tools))
            walls.append(result.wall_ms / 1e3)
        rows.append(
            {
                "flow": title,
                "critical_path_ms": critical * 1e3,
                "wall_ms": round(statistics.median(walls) * 1e3, 1),
                "ratio": round(statistics.median(walls) / critical, 3),
                "bar": 1.05,
            }
        )
    return Table("waiting", "Independent waiting calls against the critical path", tuple(rows))
