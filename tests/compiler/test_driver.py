"""The driver: every stage prints, levels agree, time is accounted for."""

import json

import pytest

from flowc.compiler import driver
from flowc.compiler.diagnostics.model import CompileError
from flowc.dialects.text import parse_module

PROGRAM = """\
tool work(i: int) -> int pure

kernel double(x: f32[n]) -> f32[n]:
    return x + x

flow main(n: int, x: f32[k]) -> f32[k]:
    y = work(n) + 60 * 60
    return double(x) * y
"""


@pytest.fixture(scope="module")
def compiled() -> driver.Compiled:
    return driver.compile_text(PROGRAM, "main.flow")


def test_a_compiled_program_has_a_plan_and_its_kernels(compiled: driver.Compiled) -> None:
    assert set(compiled.plan.functions) == {"main"}
    assert compiled.kernels is not None
    assert {each.name for each in compiled.kernels.signatures} == {"double", "main.0"}
    assert compiled.plan.source == "main.flow"


def test_every_stage_has_its_time(compiled: driver.Compiled) -> None:
    stages = [each.stage for each in compiled.timings]
    assert stages[:2] == ["check", "lower"]
    assert stages[-3:] == ["verify", "plan", "native"]
    assert all(each.milliseconds >= 0 for each in compiled.timings)


@pytest.mark.parametrize("form", driver.EMIT_FORMS)
def test_every_form_prints(compiled: driver.Compiled, form: str) -> None:
    text = driver.emit(compiled.checked, form)
    wanted = {
        "tree": "Callable",
        "flow": 'flow.apply "mul"',
        "opt": "attributes {parallel}",
        "plan": 'plan.kernel "kernel" "double"',
        "llvm": "define",
        "asm": "ret",
        "cuda": "__global__",
        "json": '"functions"',
    }
    assert wanted[form] in text


@pytest.mark.parametrize("form", ["flow", "opt", "plan"])
def test_ir_that_is_printed_can_be_read(compiled: driver.Compiled, form: str) -> None:
    text = driver.emit(compiled.checked, form)
    again = parse_module(text)
    again.verify()
    assert parse_module(driver.print_ir(again)).is_structurally_equivalent(again)


def test_the_json_form_is_json(compiled: driver.Compiled) -> None:
    assert json.loads(driver.emit(compiled.checked, "json"))["functions"]


def test_a_pipeline_replaces_that_of_the_level(compiled: driver.Compiled) -> None:
    plain = driver.emit(compiled.checked, "opt", driver.Options(pipeline=""))
    folded = driver.emit(compiled.checked, "opt", driver.Options(pipeline="constant-fold"))
    assert 'flow.apply "mul"' in plain
    assert "flow.constant 3600" in folded
    assert "parallel" not in folded


def test_a_pipeline_that_cannot_run_is_a_diagnostic(compiled: driver.Compiled) -> None:
    with pytest.raises(CompileError) as caught:
        driver.emit(compiled.checked, "opt", driver.Options(pipeline="nonsense"))
    assert caught.value.diagnostics[0].code == "E0691"


def test_each_pass_can_be_watched() -> None:
    seen: list[tuple[str, bool]] = []
    watch = driver.Options(watch=lambda name, text: seen.append((name, "flow.func @main" in text)))
    driver.compile_text(PROGRAM, "main.flow", options=watch)
    assert ("parallelise", True) in seen
    assert all(shown for _, shown in seen)


def test_programs_without_kernels_have_no_native_code() -> None:
    compiled = driver.compile_text("flow main(n: int) -> int:\n    return n\n", "main.flow")
    assert compiled.kernels is None
    assert driver.emit(compiled.checked, "llvm") == ""
