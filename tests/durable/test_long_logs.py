"""A long durable run: its log stays short, and what it comes to is counted all the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowc.compiler.driver import compile_text
from flowc.runtime.durable import runs
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run
from flowc.runtime.journal.memory import MemoryStore
from flowc.runtime.journal.writer import Writer
from flowc.runtime.result import RunResult
from flowc.runtime.scheduler import engine
from flowc.runtime.trace.measures import union
from flowc.runtime.trace.model import Trace

LOOP = """
tool work(i: int) -> int pure

flow main(n: int) -> int:
    t = 0
    for i in range(n):
        t = work(t)
    return t
"""


def looped(n: int, *, keep: bool = False) -> RunResult:
    plan, store = compile_text(LOOP, "loop.flow").plan, MemoryStore()
    journal = runs.Journal(store, Writer(store))
    keeper = runs.begin(journal, plan, "main", [n], {})
    environment = Environment(tools={"work": lambda i: i + 1}, keep=keep)
    result = run(plan, "main", {"n": n}, environment=environment, keeper=keeper)
    journal.writer.close()
    return result


def log_of(result: RunResult) -> int:
    assert isinstance(result.trace, Trace)
    return len(result.trace.log)


def test_what_is_let_go_of_a_log_still_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = looped(500)
    monkeypatch.setattr(engine, "LONG", 60)
    short = looped(500)
    assert log_of(short) <= 65 < log_of(whole)
    assert short.result == whole.result == 500
    assert (short.nodes, short.calls) == (whole.nodes, whole.calls)
    assert 0 < short.critical_path_ms <= short.wall_ms
    assert 0 < short.overhead_ms < short.wall_ms


def test_a_log_that_somebody_wants_is_kept_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LONG", 60)
    assert log_of(looped(500, keep=True)) > 500


spans = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda s: (min(s), max(s))), max_size=20
)


@given(spans, st.integers(0, 20))
def test_parts_of_a_log_cover_no_more_than_the_whole(of: list[tuple[float, float]], at: int) -> None:
    ended = sorted(of, key=lambda span: span[1])
    first, rest = ended[:at], ended[at:]
    reached = max((end for _, end in first), default=float("-inf"))
    assert union(first) + union(rest, reached) <= union(ended)
    apart = [span for span in rest if span[0] >= reached]
    assert union(first) + union(apart, reached) == union([*first, *apart])
