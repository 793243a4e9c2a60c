"""`flowc opt`: our passes and xDSL's over IR text, and hostile text refused at once."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowc.compiler.diagnostics.model import CompileError
from flowc.compiler.opt import opt

IR = """\
flow.func @main(n %n: !flow.int) -> !flow.int effects<> {
  %a = flow.constant 20 : !flow.int
  %b = flow.constant 22 : !flow.int
  %c = flow.apply "add"(%a, %b) : (!flow.int, !flow.int) -> !flow.int
  flow.return %c : !flow.int
}
"""


def code_of(text: str, pipeline: str = "") -> str:
    with pytest.raises(CompileError) as caught:
        opt(text, "main.mlir", pipeline)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.code


def test_our_passes_run_over_text() -> None:
    result = opt(IR, "main.mlir", "constant-fold,dce")
    assert "flow.constant 42" in result
    assert "flow.apply" not in result
    assert opt(result, "main.mlir") == result


def test_the_passes_of_xdsl_run_too() -> None:
    text = "func.func @f(%x: i32) -> i32 {\n  %y = arith.addi %x, %x : i32\n  func.return %x : i32\n}\n"
    assert "arith.addi" not in opt(text, "main.mlir", "canonicalize")


def test_the_passes_over_kernels_run_one_by_one() -> None:
    text = "kernel grown(x: f32[n]) -> f32[n]:\n    return exp(x) * 2.0\n"
    fused = opt(text, "main.flow", "fuse-array")
    assert "array.kernel @grown" in fused
    assert "{inline}" in fused
    assert opt(fused, "main.mlir") == fused
    loops = opt(fused, "main.mlir", "array-to-loops{layout=contiguous}")
    assert "func.func @grown" in loops
    assert "array." not in loops
    assert opt(loops, "main.mlir") == loops


def test_a_program_is_lowered_first() -> None:
    assert "flow.func @main" in opt("flow main(n: int) -> int:\n    return n\n", "main.flow", "canonicalise")


def test_locations_are_kept_where_they_are_asked_for() -> None:
    program = "flow main(n: int) -> int:\n    return n + 1\n"
    printed = opt(program, "main.flow", "canonicalise", locations=True)
    assert 'loc("main.flow":2:' in printed
    assert opt(printed, "main.mlir", locations=True) == printed


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('"' + "a" * 200_000, "E0693"),
        ('flow.constant "' + "a\\q" * 1000 + '"', "E0693"),
        ("flow.func @f" + "{" * 100_000, "E0693"),
        ("!flow.list<" * 100_000, "E0693"),
        ("%0 = flow.constant " + "1" * 1_000_000, "E0693"),
        ("nonsense", "E0693"),
        ("builtin.module { ^0: }", "E0693"),
        ("\x00", "E0693"),
        (IR.replace("%c :", "%n :").replace("-> !flow.int effects", "-> !flow.str effects"), "E0694"),
        (IR + IR, "E0694"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else None,
)
def test_hostile_text_ends_at_once_in_a_diagnostic(text: str, code: str) -> None:
    start = time.perf_counter()
    assert code_of(text) == code
    assert time.perf_counter() - start < 1


def test_what_a_pass_cannot_do_is_a_diagnostic() -> None:
    assert code_of(IR, "apply-pdl-interp") == "E0696"
    assert code_of(IR, "nothing-of-this-name") == "E0691"


ALPHABET = st.sampled_from(
    ["flow.", "func", "@a", "%x", "{", "}", "(", ")", '"', "<", ">", "!", "^", ":", "=", "1", "\n"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ALPHABET, max_size=30).map("".join))
@example("%0 = ")
@example('"builtin.module"() ({')
def test_no_text_ends_in_a_traceback(text: str) -> None:
    found = None
    try:
        opt(text, "main.mlir")
    except CompileError as error:
        found = error.diagnostics[0].code
    assert found in (None, "E0693", "E0694")


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(IR) - 1), st.sampled_from(["", '"', "{", "%", "!", "\\", "é", "1"]))
def test_a_changed_character_never_ends_in_a_traceback(position: int, character: str) -> None:
    test_no_text_ends_in_a_traceback.hypothesis.inner_test(IR[:position] + character + IR[position + 1 :])
