"""Memory and control flow in kernels: what is read stays what it was, and writes go where the target
shows."""

import numpy as np
import pytest
from xdsl.dialects import scf
from xdsl.dialects.builtin import ModuleOp, i64
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.parser import Parser
from xdsl.utils.exceptions import VerifyException

from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.dialects.array import build, memory
from flowc.dialects.array.kernel import KernelOp, ReturnOp
from flowc.dialects.array.reference import evaluate_kernel
from flowc.dialects.array.slices import parse_slice
from flowc.dialects.array.types import RefType, array_type
from flowc.dialects.registry import context
from flowc.passes.array_memory import settle_reads
from flowc.runtime.kernels import load

VECTOR = array_type("f64", ("n",))


def kernel_with(body: "Builder") -> KernelOp:
    kernel = KernelOp("k", ([RefType(VECTOR), i64], []), None, ("x", "k"))
    results = body(kernel.body.block, *kernel.body.block.args)
    kernel.body.block.add_op(ReturnOp(*results))
    types = [value.type for value in results]
    made = KernelOp("k", ([RefType(VECTOR), i64], types), None, ("x", "k"))
    block = kernel.body.detach_block(0)
    made.body.detach_block(0)
    made.body.add_block(block)
    return made


class Builder:
    """A body: takes the block and its arguments, gives what is returned."""

    def __call__(self, block: Block, x: SSAValue, k: SSAValue) -> list[SSAValue]:
        raise NotImplementedError


def add(block: Block, op: Operation) -> SSAValue:
    block.add_op(op)
    return op.results[0]


class ReadThenWrite(Builder):
    """old = x; x[1:] = x[:-1]; return old, x"""

    def __call__(self, block: Block, x: SSAValue, k: SSAValue) -> list[SSAValue]:
        old = add(block, memory.read(x))
        shorter = add(block, build.slices(add(block, memory.read(x)), parse_slice(":-1")))
        target = add(block, build.slices(add(block, memory.read(x)), parse_slice("1:")))
        block.add_op(memory.write(shorter, target))
        return [old, add(block, memory.read(x))]


class RunningTotal(Builder):
    """for i in range(k): total += x[i]; x[i] = total; return total"""

    def __call__(self, block: Block, x: SSAValue, k: SSAValue) -> list[SSAValue]:
        zero, one = add(block, build.constant(0, "i64")), add(block, build.constant(1, "i64"))
        start = add(block, build.constant(0.0, "f64"))
        inner = Block(arg_types=[i64, start.type])
        place, total = inner.args
        element = add(inner, build.index(add(inner, memory.read(x)), place))
        new = add(inner, build.elementwise("add", [total, element]))
        inner.add_op(memory.write(new, add(inner, build.index(add(inner, memory.read(x)), place))))
        inner.add_op(scf.YieldOp(new))
        loop = scf.ForOp(zero, k, one, [start], Region(inner))
        block.add_op(loop)
        return [loop.results[0]]


class ReadBeforeLoop(Builder):
    """old = x; for i in range(k): total += old[i]; x[1] = total; return total"""

    def __call__(self, block: Block, x: SSAValue, k: SSAValue) -> list[SSAValue]:
        zero, one = add(block, build.constant(0, "i64")), add(block, build.constant(1, "i64"))
        start, old = add(block, build.constant(0.0, "f64")), add(block, memory.read(x))
        inner = Block(arg_types=[i64, start.type])
        place, total = inner.args
        new = add(inner, build.elementwise("add", [total, add(inner, build.index(old, place))]))
        inner.add_op(memory.write(new, add(inner, build.index(add(inner, memory.read(x)), one))))
        inner.add_op(scf.YieldOp(new))
        loop = scf.ForOp(zero, k, one, [start], Region(inner))
        block.add_op(loop)
        return [loop.results[0]]


class Halving(Builder):
    """while k > 1: k = k // 2; x[0] = k; return k"""

    def __call__(self, block: Block, x: SSAValue, k: SSAValue) -> list[SSAValue]:
        before, after = Block(arg_types=[i64]), Block(arg_types=[i64])
        more = add(before, build.elementwise("gt", [before.args[0], add(before, build.constant(1, "i64"))]))
        before.add_op(scf.ConditionOp(more, before.args[0]))
        half = add(
            after, build.elementwise("floordiv", [after.args[0], add(after, build.constant(2, "i64"))])
        )
        first = add(after, build.index(add(after, memory.read(x)), add(after, build.constant(0, "i64"))))
        after.add_op(memory.write(add(after, build.cast(half, "f64")), first))
        after.add_op(scf.YieldOp(half))
        loop = scf.WhileOp([k], [i64], Region(before), Region(after))
        block.add_op(loop)
        return [loop.results[0]]


BODIES = [ReadThenWrite(), RunningTotal(), ReadBeforeLoop(), Halving()]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
@pytest.mark.parametrize("level", [0, 2])
def test_native_code_does_what_the_reference_semantics_say(body: Builder, level: int) -> None:
    kernel = kernel_with(body)
    kernel.verify()
    mine, theirs = np.arange(1.0, 8.0), np.arange(1.0, 8.0)
    expected = evaluate_kernel(kernel, [theirs, 5])
    compiled = compile_kernels(ModuleOp([kernel]), Options(level=level, cached=False))
    found = load(compiled.object_code, compiled.signatures)["k"](mine, 5)
    for a, b in zip(found if isinstance(found, tuple) else (found,), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_memory_and_control_flow_round_trip_through_text(body: Builder) -> None:
    text = str(ModuleOp([kernel_with(body)]))
    again = Parser(context(everything=True), text).parse_module()
    again.verify()
    assert str(again) == text


def test_a_value_that_outlives_a_write_is_copied_once() -> None:
    assert settle_reads(ModuleOp([kernel_with(ReadThenWrite())])) == 1
    assert settle_reads(ModuleOp([kernel_with(ReadBeforeLoop())])) == 1
    assert settle_reads(ModuleOp([kernel_with(RunningTotal())])) == 0


def test_only_what_memory_shows_can_be_written_to() -> None:
    kernel = KernelOp("k", ([VECTOR], []), None, ("x",))
    block = kernel.body.block
    block.add_op(memory.write(add(block, build.constant(1.0, "f64")), block.args[0]))
    block.add_op(ReturnOp())
    with pytest.raises(VerifyException, match=r"array\.read"):
        kernel.verify()


def test_a_value_of_another_dtype_is_not_stored_silently() -> None:
    kernel = KernelOp("k", ([RefType(VECTOR)], []), None, ("x",))
    block = kernel.body.block
    block.add_op(memory.write(add(block, build.constant(1, "i64")), add(block, memory.read(block.args[0]))))
    block.add_op(ReturnOp())
    with pytest.raises(VerifyException, match="dtype"):
        kernel.verify()
