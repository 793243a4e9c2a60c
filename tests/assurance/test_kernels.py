"""The campaigns of kernels pass, and a compiler that is wrong, dies or writes elsewhere fails them."""

import ctypes
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, StringAttr

from flowc.compiler.backends import cuda, llvm
from flowc.dialects.array import ops
from flowc.passes.hoist_transposes import HoistTransposesPass
from tests.assurance.campaign import Tally
from tests.assurance.campaigns import kernels
from tests.assurance.lowered import CountedLowering, count_loops
from tests.kernels import batches
from tests.kernels.batches import How, check

Change = Callable[[ModuleOp], None]


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    for sizes in ("MANY", "SOME"):
        monkeypatch.setattr(kernels, sizes, 12)
    monkeypatch.setattr(batches, "ATTEMPTS", 3)


def test_a_module_of_kernels_means_what_the_reference_says() -> None:
    tally = Tally()
    draw = kernels.drawing(Random(3))
    examples = kernels.drawn(Random(5), draw, 12, "contiguous", tally)
    assert check(examples, How(word="contiguous"), draw) > 8
    assert tally.operations["array.return"] == 12
    assert tally.pairs


def test_what_kernels_become_is_counted() -> None:
    tally = Tally()
    module = kernels.together(kernels.drawn(Random(5), kernels.drawing(Random(3)), 3, "contiguous", Tally()))
    count_loops(module.clone(), 1, "contiguous", tally)
    assert tally.operations["func.return"] == 3
    assert {name.split(".")[0] for name in tally.operations} & {"memref", "scf", "loops"}
    on_device = Tally()
    options = cuda.Options(level=1, architectures=(), cached=False)
    cuda.compile_lowered(module, options, CountedLowering(on_device))
    assert on_device.operations["func.return"] >= 3
    assert on_device.operations["gpu.terminator"] + on_device.operations["gpu.return"]


def test_kernels_keep_their_meaning_from_pass_to_pass() -> None:
    tally = Tally()
    for seed in (3, 4):
        kernels.passed(Random(seed), tally)
    assert tally.tried == {"kernels": 24, "modules": 2}
    assert tally.passes["fuse-array"]


def add_for_sub(module: ModuleOp) -> None:
    exchanged = {"add": "sub", "maximum": "minimum", "lt": "le", "exp": "exp2"}
    for op in module.walk():
        if isinstance(op, ops.ElementwiseOp):
            op.properties["kind"] = StringAttr(exchanged.get(op.kind.data, op.kind.data))


def other_axis(module: ModuleOp) -> None:
    for op in module.walk():
        if isinstance(op, ops.ConstantOp) and isinstance(op.value, IntegerAttr) and op.value.value.data == 1:
            op.properties["value"] = IntegerAttr(2, op.value.type)


@pytest.mark.parametrize("change", [add_for_sub, other_axis])
def test_a_compiler_that_takes_one_operator_for_another_is_caught(
    change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = llvm.compile_kernels

    def wrong(module: ModuleOp, options: llvm.Options) -> llvm.KernelObject:
        change(module)
        return right(module, options)

    monkeypatch.setattr(llvm, "compile_kernels", wrong)
    with pytest.raises(AssertionError, match=r"array\.kernel[\s\S]*choices"):
        caught(How(word="contiguous"))


def caught(how: How) -> None:
    """Checks kernels until one of a few modules fails."""
    for seed in range(4):
        draw = kernels.drawing(Random(3))
        check(kernels.drawn(Random(seed), draw, 12, how.word, Tally()), how, draw)


def test_code_that_leaves_its_arrays_kills_its_process_and_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def beyond(kernel: Any, *arguments: Any) -> Any:
        for each in arguments:
            if np.ndim(each) and each.size and each.flags.c_contiguous:
                ctypes.string_at(each.ctypes.data + each.nbytes, 1)
        return kernel(*arguments)

    right = batches.run
    monkeypatch.setattr(batches, "run", lambda kernel, each: right(lambda *a, **k: beyond(kernel, *a), each))
    with pytest.raises(AssertionError, match="died of SIGSEGV"):
        caught(How(word="contiguous"))


def test_a_pass_that_changes_the_meaning_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HoistTransposesPass, "apply", lambda self, context, module: add_for_sub(module))
    with pytest.raises(AssertionError, match=r"after hoist-transposes: .* instead of"):
        passed_on()


def passed_on() -> None:
    """Checks the passes until one of a few modules fails."""
    for seed in range(4):
        kernels.passed(Random(seed), Tally())
