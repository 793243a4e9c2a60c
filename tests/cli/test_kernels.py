"""Kernels on the command line: compiled ahead, for which processors, and what became of them."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import flowc
from flowc.cli import main
from flowc.runtime import kernel_artifact, processor
from flowc.runtime.artifact import read
from flowc.runtime.errors import FlowError

PROGRAM = """
kernel squashed(x: f32[n, m], y: f32[n, m]) -> f32[n, m]:
    return tanh(x * y + 1.0) * 0.5

flow main(x: f32[n, m]) -> f32[n, m]:
    return squashed(x, x)
"""

MODULE = """
import numpy as np
import flowc

@flowc.jit
def softened(x, axis=1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)

def plain(x):
    return x
"""

x86 = pytest.mark.skipif(
    not processor.host().triple.startswith("x86_64"), reason="levels are those of x86-64"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWC_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "main.flow").write_text(PROGRAM)
    (tmp_path / "soft_kernels.py").write_text(MODULE)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def compiled(*words: str) -> str:
    done = run("compile", "main.flow", *words)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def test_a_program_is_compiled_ahead_once() -> None:
    assert "squashed: compiled in" in run("warm", "main.flow").stderr
    assert "squashed: were in the cache" in run("warm", "main.flow").stderr


def test_a_function_is_compiled_ahead_for_the_types_given() -> None:
    first = run("warm", "soft_kernels.py:softened", "x=f32[n,384]")
    assert first.stderr.startswith("softened(x: f32[n,384]): compiled in"), first.stderr
    assert "was in the cache" in run("warm", "soft_kernels.py:softened", "x=f32[rows, 384]").stderr
    assert "compiled in" in run("warm", "soft_kernels:softened", "x=f32[n,384]", "axis=0").stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("soft_kernels.py:softened",), "the type of `x` is missing"),
        (("soft_kernels.py:softened", "y=f32[n]"), "has no parameter `y`"),
        (("soft_kernels.py:softened", "x=f33[n]"), "`f33[n]` is no type"),
        (("soft_kernels.py:softened", "x=f32[n+1]"), "is no type"),
        (("soft_kernels.py:missing", "x=f32[n]"), "has no `missing`"),
        (("soft_kernels.py:plain", "x=f32[n]"), "no function under @flowc.jit"),
        (("nowhere.py:plain",), "nowhere.py cannot be imported"),
        (("no.such.module:plain",), "cannot be imported"),
        (("main.flow", "x=f32[n]"), "is no function"),
    ],
)
def test_what_cannot_be_compiled_ahead_is_said(words: tuple[str, ...], message: str) -> None:
    done = run("warm", *words)
    assert done.exit_code == 2
    assert "error[E0689]" in done.stderr
    assert message in done.stderr


@x86
def test_code_for_a_level_has_no_wider_registers() -> None:
    if not processor.runs("avx512"):
        pytest.skip("this processor has no AVX-512 to compare with")
    assert re.search(r"%zmm\d", compiled("--emit=asm", "--target-cpu=avx512"))
    middle = compiled("--emit=asm", "--target-cpu=avx2")
    assert re.search(r"%ymm\d", middle)
    assert not re.search(r"%zmm\d|%k[1-7]\b", middle)
    least = compiled("--emit=asm", "--target-cpu=baseline")
    assert re.search(r"%xmm\d", least)
    assert not re.search(r"%[yz]mm\d|\bv\w+ps\b", least)


@x86
def test_an_artifact_has_code_for_every_level_and_each_gives_the_result(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled()
    names = zipfile.ZipFile("main.flowc").namelist()
    wanted = {f"kernels/{level}.o" for level in processor.LEVELS if level != processor.DOTS}
    assert wanted == {name for name in names if name.endswith(".o")}
    x = np.linspace(-1, 1, 15, dtype=np.float32).reshape(3, 5)
    wanted = np.tanh(x * x + 1) * 0.5
    for level in [each for each in processor.LEVELS if each != processor.DOTS and processor.runs(each)]:
        monkeypatch.setattr(processor, "runs", lambda each, level=level: each == level)
        for view in (x, x[:, ::2], x.T, x[:, 1:4]):
            expected = wanted if view is x else np.tanh(view * view + 1) * 0.5
            found = flowc.load("main.flowc")["squashed"](view, view)
            np.testing.assert_allclose(found, expected, rtol=2e-6)


@x86
@pytest.mark.usefixtures("unoptimised_here")
def test_an_artifact_for_narrow_numbers_has_code_for_processors_that_multiply_them(folder: Path) -> None:
    (folder / "main.flow").write_text(
        "kernel scores(a: bf16[n, k], b: bf16[k, m]) -> bf16[n, m]:\n    return a @ b\n"
    )
    compiled()
    artifact = read(folder / "main.flowc")
    assert {f"{level}.o" for level in processor.LEVELS} <= set(artifact.kernels)


def test_an_artifact_for_another_processor_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled()
    artifact = read(folder / "main.flowc")
    monkeypatch.setattr(processor, "runs", lambda level: False)
    with pytest.raises(FlowError) as caught:
        kernel_artifact.kernels_in(artifact, "main.flowc")
    assert caught.value.problem.code == "E0643"


def test_an_artifact_for_this_processor_alone_runs_here(folder: Path) -> None:
    compiled("--target-cpu=native")
    assert "kernels/native.o" in zipfile.ZipFile("main.flowc").namelist()
    x = np.ones((2, 2), np.float32)
    np.testing.assert_allclose(
        flowc.load("main.flowc")["squashed"](x, x), np.tanh(x * x + 1) * 0.5, rtol=2e-6
    )


def test_kernels_of_a_program_are_loaded_as_functions() -> None:
    kernel = flowc.load("main.flow")["squashed"]
    x, out = np.ones((2, 3), np.float32), np.empty((2, 3), np.float32)
    assert kernel(x, x, out=out) is out
    np.testing.assert_array_equal(out, kernel(x, x))


def test_kernels_of_a_program_run_by_their_reference_semantics_too() -> None:
    kernel = flowc.load("main.flow", mode="interpret")["squashed"]
    x, out = np.ones((2, 3), np.float32), np.empty((2, 3), np.float32)
    np.testing.assert_allclose(kernel(x, x), flowc.load("main.flow")["squashed"](x, x), rtol=2e-6)
    assert kernel(x, x, out=out) is out
    np.testing.assert_array_equal(out, kernel(x, x))
    with pytest.raises(FlowError, match="E0756"):
        kernel(x, x[:1])
    with pytest.raises(FlowError, match="E0755"):
        kernel(x)


def test_an_artifact_is_not_interpreted() -> None:
    compiled()
    with pytest.raises(ValueError, match="native code alone"):
        flowc.load("main.flowc", mode="interpret")


def test_an_explanation_says_what_became_of_each_kernel() -> None:
    done = run("compile", "main.flow", "--explain")
    assert done.exit_code == 0
    assert "squashed(x: f32[n, m], y: f32[n, m])" in done.stderr
    assert re.search(r"loop 1 +mul x2, add, tanh", done.stderr)
    assert "instructions:" in done.stderr
    assert re.search(r"sizes +n = 1,000, m = 1,000\n", done.stderr)
    assert re.search(r"memory +12 MB, 1.00 times the least possible", done.stderr)
    assert "predicted" in done.stderr
    assert "measured" in done.stderr


def test_an_explanation_tries_no_kernel_that_is_too_large_or_fails() -> None:
    Path("large.flow").write_text(
        "kernel total(x: f32[n, 2000000000]) -> f32[n]:\n    return sum(x, axis=1)\n\n"
        "kernel past(x: f32[n]) -> f32:\n    return x[2000000]\n\n"
        "flow main(x: f32[n]) -> f32:\n    return past(x)\n"
    )
    done = run("compile", "large.flow", "--explain")
    assert done.exit_code == 0, done.stderr
    assert done.stderr.count("loop 1") == 2
    assert "sizes" not in done.stderr
