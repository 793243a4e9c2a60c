"""What a compilation learns from a history: read once, waited for once, and no history makes it fail."""

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowc.compiler import learned
from flowc.compiler.diagnostics.model import Diagnostic
from flowc.compiler.driver import Options, check_text, compile_text, explain_kernels
from flowc.compiler.kernel_times import PredictedTime, kernel_times
from flowc.compiler.learned import History
from flowc.runtime.errors import fail
from flowc.runtime.history.kernel_samples import KernelSample
from flowc.runtime.history.names import operation_name
from flowc.runtime.history.samples import CallSample, Samples, StepSample
from flowc.runtime.history.store import Past, read, write
from flowc.runtime.machine import this_machine
from flowc.runtime.native import threads
from flowc.runtime.plan_json import dumps, loads

PROGRAM = '''\
llm judge(text: str) -> bool:
    """Is this good? {text}"""

llm summed(texts: list[str]) -> str:
    """What do these say? {texts}"""

flow never(texts: list[str]) -> str:
    return summed(texts)

flow main(texts: list[str]) -> list[bool]:
    return [judge(text) for text in texts]
'''
PLAIN = compile_text(PROGRAM, "main.flow").plan
NAME = operation_name(PLAIN.operations["judge"], PLAIN)


def reads(monkeypatch: pytest.MonkeyPatch, *, fails: bool = False) -> list[int]:
    """Grows by one whenever a history is read."""
    count: list[int] = []

    def counted(where: Path, names: Iterable[str], aliases: Iterable[str], steps: Iterable[str]) -> Past:
        count.append(1)
        if fails:
            raise fail("E0900", "locked")
        return read(where, names, aliases, steps)

    monkeypatch.setattr(learned, "read", counted)
    return count


@pytest.mark.parametrize("fails", [False, True])
def test_one_compilation_reads_a_history_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    write(tmp_path / "h", Samples((CallSample(NAME, "llm", "default", "p", "m", 9, 9, seconds=1.0),)))
    count = reads(monkeypatch, fails=fails)
    history = History(tmp_path / "h")
    compiled = [compile_text(PROGRAM, "main.flow", options=Options(history=history)) for _ in range(2)]
    assert len(count) == 1
    assert all((made.plan.expectations is None) == fails for made in compiled)
    assert all(len(made.notices) == fails for made in compiled)


ROWS = st.builds(
    CallSample,
    st.just(NAME),
    st.sampled_from(["llm", "llm", "tool", "human", "embed", ""]),
    st.just("default"),
    st.sampled_from(["", "p", "simulated"]),
    st.sampled_from(["", "m"]),
    st.integers(-1, 10**8) | st.just(10**18),
    st.integers(-1, 10**8),
    st.integers(0, 9),
    st.floats(0.0, 1e7),
    st.floats(0.0, 1e7),
    st.floats(0.0, 1e7),
    st.floats(0.0, 1e7) | st.sampled_from([5e-324, 1e-300, 1e-6, 1e300]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROWS, max_size=6), st.lists(st.integers(-1, 10**9), max_size=3))
def test_no_row_of_a_history_ends_a_compilation(
    tmp_path: Path, rows: list[CallSample], ran: list[int]
) -> None:
    where = tmp_path / "h"
    where.unlink(missing_ok=True)
    write(where, Samples(tuple(rows), tuple(StepSample("s", each) for each in ran)))
    compiled = compile_text(PROGRAM, "main.flow", options=Options(history=History(where)))
    assert json.loads(dumps(compiled.plan))
    assert all(notice.code == "E0902" for notice in compiled.notices)


@pytest.mark.parametrize("error", [OverflowError("too much"), ValueError("no amount"), ZeroDivisionError()])
def test_what_nothing_can_be_learned_from_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    write(tmp_path / "h", Samples((CallSample(NAME, "llm", "default", "p", "m", 9, 9, seconds=1.0),)))

    def absurd(*_: object) -> None:
        raise error

    monkeypatch.setattr(learned, "expectations", absurd)
    compiled = compile_text(PROGRAM, "main.flow", options=Options(history=History(tmp_path / "h")))
    assert [notice.code for notice in compiled.notices] == ["E0902"]
    assert compiled.plan == PLAIN


def test_a_text_for_a_number_ends_no_compilation(tmp_path: Path) -> None:
    where = tmp_path / "h"
    write(where, Samples((CallSample(NAME, "llm", "default", "p", "m", 9, 9, seconds=1.0),)))
    with sqlite3.connect(where) as base:
        base.execute("UPDATE calls SET kind = 'tool', prompt = 0")
    compiled = compile_text(PROGRAM, "main.flow", options=Options(history=History(where)))
    assert compiled.plan == PLAIN


KERNELS = """\
kernel scaled(x: f32[n], y: f32[n]) -> f32[n]:
    return x * 3.0 + y

flow main(x: f32[n]) -> f32[n]:
    return sort(scaled(x, x))
"""


def history_of(where: Path, seconds: float, **changes: Any) -> History:
    """What runs leave in which the kernel took so many seconds for a million elements."""
    compiled = compile_text(KERNELS, "main.flow").kernels
    assert compiled is not None
    codes = {each.name: each.code for each in compiled.signatures}
    sample = KernelSample(codes["scaled"], this_machine(), "1000000,1000000", threads(), seconds)
    write(where, Samples(kernels=(evolve(sample, **changes),) * 3))
    return History(where)


def time_of(history: History | None) -> tuple[PredictedTime, tuple[Diagnostic, ...]]:
    compiled = compile_text(KERNELS, "main.flow", options=Options(history=history))
    plan = loads(dumps(compiled.plan))
    return kernel_times(plan, KERNELS, "main.flow", Path())["scaled"], compiled.notices


def test_a_kernel_is_expected_to_take_what_it_took_and_an_artifact_knows_it(tmp_path: Path) -> None:
    arguments = [np.zeros(1_000_000, np.float32)] * 2
    plain = time_of(None)[0].prediction(arguments)
    told, notices = time_of(history_of(tmp_path / "h", 10.0 * plain.seconds))
    found = told.prediction(arguments)
    assert found.seconds == pytest.approx(10.0 * plain.seconds, rel=0.3)
    assert (plain.samples, found.samples, notices) == (0, 3, ())
    half = [each[:500_000] for each in arguments]
    assert told.prediction(half).factor == pytest.approx(found.factor, rel=0.2)


@pytest.mark.parametrize("changes", [{"machine": "other x 9"}, {"name": "k" * 24}])
def test_what_another_machine_or_kernel_took_is_not_expected(tmp_path: Path, changes: dict[str, str]) -> None:
    told, notices = time_of(history_of(tmp_path / "h", 0.01, **changes))
    assert (told.correction, notices) == (None, ())


def test_times_that_no_kernel_can_have_are_said_to_be_left_out(tmp_path: Path) -> None:
    history = history_of(tmp_path / "h", 0.01)
    with sqlite3.connect(tmp_path / "h") as base:
        base.execute("UPDATE kernels SET seconds = -seconds WHERE id > 1")
    told, notices = time_of(history)
    assert told.prediction([np.zeros(1_000_000, np.float32)] * 2).samples == 1
    assert [notice.code for notice in notices] == ["E0902"]
    assert "2 left out" in (notices[0].why or "")


def test_the_report_of_a_kernel_says_that_it_is_corrected(tmp_path: Path) -> None:
    checked = check_text(KERNELS, "main.flow")
    assert "corrected" not in explain_kernels(checked)
    told = explain_kernels(checked, Options(history=history_of(tmp_path / "h", 0.01)))
    assert "by 3 calls of it in earlier runs, from" in told
