"""Object code becomes part of the process as LLVM would have it, without LLVM."""

import ctypes
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from llvmlite import binding

from flowc.compiler.backends.llvm.target import assemble
from flowc.runtime.errors import FlowError
from flowc.runtime.native import linking
from flowc.runtime.native.linking import Linked, link
from flowc.runtime.native.llvm import linked_by_llvm
from flowc.runtime.processor import host

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not host().triple.startswith("x86_64"), reason="other code is left to LLVM"
)

Linker = Callable[..., Linked]


def object_code(text: str) -> bytes:
    return assemble(f'target triple = "{host().triple}"\n{text}', host()).object_code


def function(linked: Linked, name: str, *types: type) -> Callable[..., Any]:
    return ctypes.CFUNCTYPE(*types)(linked.addresses[name])


@pytest.fixture(params=["here", "by LLVM"])
def linker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Linker:
    """Both ways; the first without the second."""
    if request.param == "by LLVM":
        return lambda *given: Linked(*linked_by_llvm(*given))
    monkeypatch.setitem(sys.modules, "flowc.runtime.native.llvm", None)
    return link


TABLE = """
@table = internal constant [5 x i32] [i32 3, i32 1, i32 4, i32 1, i32 5]
define i64 @at(i64 %place) {
  %address = getelementptr [5 x i32], ptr @table, i64 0, i64 %place
  %value = load i32, ptr %address
  %wide = sext i32 %value to i64
  ret i64 %wide
}
define double @scaled(double %x) {
  %y = call double @twice(double %x)
  %z = fadd double %y, 0.1
  ret double %z
}
define internal double @twice(double %x) noinline {
  %y = fmul double %x, 0x400199999999999A
  ret double %y
}
"""


def test_constants_and_functions_of_the_code_itself_are_found(linker: Linker) -> None:
    linked = linker(object_code(TABLE), ["at", "scaled"], {})
    at = function(linked, "at", ctypes.c_int64, ctypes.c_int64)
    assert [at(place) for place in range(5)] == [3, 1, 4, 1, 5]
    assert function(linked, "scaled", ctypes.c_double, ctypes.c_double)(3.0) == 3.0 * 2.2 + 0.1


COUNTER = """
@zeros = internal global [600 x i64] zeroinitializer, align 128
@start = internal global i64 41, align 8
define i64 @next(i64 %place) {
  %one = load i64, ptr @start
  %more = add i64 %one, 1
  store i64 %more, ptr @start
  %address = getelementptr [600 x i64], ptr @zeros, i64 0, i64 %place
  %old = load i64, ptr %address
  store i64 %more, ptr %address
  ret i64 %old
}
define i64 @alignment() {
  %address = ptrtoint ptr @zeros to i64
  %odd = and i64 %address, 127
  ret i64 %odd
}
"""


def test_memory_of_the_code_begins_as_written_and_keeps_what_is_stored(linker: Linker) -> None:
    linked = linker(object_code(COUNTER), ["next", "alignment"], {})
    following = function(linked, "next", ctypes.c_int64, ctypes.c_int64)
    assert [following(place) for place in (0, 599, 0, 599)] == [0, 0, 42, 43]
    assert function(linked, "alignment", ctypes.c_int64)() == 0


CALLS = """
declare double @sin(double)
declare i64 @ours(i64)
define double @root(double %x) {
  %y = call double @sin(double %x)
  ret double %y
}
define i64 @asked(i64 %x) {
  %y = call i64 @ours(i64 %x)
  %z = add i64 %y, 1
  ret i64 %z
}
"""


def test_code_calls_the_functions_of_the_system_and_those_it_is_given(linker: Linker) -> None:
    ours = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda x: 10 * x)
    known = {"ours": ctypes.cast(ours, ctypes.c_void_p).value or 0}
    linked = linker(object_code(CALLS), ["root", "asked"], known)
    assert function(linked, "root", ctypes.c_double, ctypes.c_double)(27.0) == math.sin(27.0)
    assert function(linked, "asked", ctypes.c_int64, ctypes.c_int64)(4) == 41


def test_a_function_that_nobody_has_is_named() -> None:
    with pytest.raises(FlowError, match="cannot be loaded") as caught:
        link(object_code(CALLS), ["root"], {})
    assert (caught.value.problem.code, "`ours`" in str(caught.value)) == ("E0695", True)


POINTERS = """
@first = internal global i64 7
@place = internal global ptr @first
define i64 @through() {
  %address = load volatile ptr, ptr @place
  %value = load i64, ptr %address
  ret i64 %value
}
"""


def test_what_is_not_understood_is_left_to_llvm(monkeypatch: pytest.MonkeyPatch) -> None:
    linked = link(object_code(POINTERS), ["through"], {})
    assert function(linked, "through", ctypes.c_int64)() == 7
    assert isinstance(linked.memory, binding.ExecutionEngine)
    monkeypatch.setattr(linking.sys, "platform", "other")
    assert isinstance(link(object_code(TABLE), ["at"], {}).memory, binding.ExecutionEngine)


def test_code_can_be_run_and_not_be_changed() -> None:
    linked = link(object_code(COUNTER), ["next"], {})
    lines = [line.split()[:2] for line in Path("/proc/self/maps").read_text().splitlines()]
    spans = [(*(int(end, 16) for end in span.split("-")), rights) for span, rights in lines]
    (found,) = (rights for low, high, rights in spans if low <= linked.addresses["next"] < high)
    assert found == "r-xp"
