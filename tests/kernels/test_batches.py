"""Kernels of one module are compiled for one layout of all their arrays."""

from xdsl.dialects.builtin import ModuleOp, StringAttr

from flowc.compiler.backends import llvm
from flowc.dialects.array import KernelOp, build
from flowc.dialects.array.types import array_type
from flowc.testing.strategies.kernels import make_kernel

ROWS = array_type("f32", ("n", "m"))


def kernels() -> list[KernelOp]:
    """One kernel of one argument, and one of two."""
    found = [
        make_kernel({"x": ROWS}, lambda add, x: add(build.elementwise("neg", [x]))),
        make_kernel({"x": ROWS, "y": ROWS}, lambda add, x, y: add(build.elementwise("add", [x, y]))),
    ]
    for number, kernel in enumerate(found):
        kernel.properties["sym_name"] = StringAttr(f"k{number}")
    return found


def forms(layouts: str | None) -> tuple[llvm.KernelObject, list[int]]:
    """The code of both, and for how many layouts there is code of each."""
    code = llvm.compile_kernels(ModuleOp(kernels()), llvm.Options(0, True, False, layouts=layouts))
    return code, [
        sum(f"i64 @flowc_{name}.{number}(" in code.llvm_ir for number in range(3)) for name in ("k0", "k1")
    ]


def test_one_word_is_for_the_arrays_of_every_kernel() -> None:
    code, count = forms("contiguous")
    assert count == [1, 1]
    assert [each.layouts for each in code.signatures] == [("contiguous",), ("contiguous",) * 2]


def test_without_a_word_there_is_code_for_every_layout() -> None:
    code, count = forms(None)
    assert count == [3, 3]
    assert [each.layouts for each in code.signatures] == [(), ()]
