"""fuse-array and array-to-loops: what they do, and that their IR reads back, verifies and keeps its lines."""

from typing import Any

from hypothesis import given, settings
from xdsl.context import Context
from xdsl.dialects import arith, func, llvm, math, memref, scf, vector
from xdsl.dialects.builtin import Builtin, FileLineColLoc, IntAttr, ModuleOp, StringAttr, UnknownLoc
from xdsl.ir import SSAValue
from xdsl.parser import Parser

from flowc.dialects.array import Array, build
from flowc.dialects.array.slices import parse_slice
from flowc.dialects.array.types import array_type
from flowc.dialects.loops import Loops
from flowc.passes.array_to_loops import array_to_loops
from flowc.passes.fuse_array import fuse_array
from flowc.testing.strategies.kernels import Program, as_module, make_kernel, programs

LINE = FileLineColLoc(StringAttr("k.flow"), IntAttr(1), IntAttr(1))
VECTOR = array_type("f32", ("n",))
MATRIX = array_type("f32", ("n", "m"))


def parsed(text: str) -> ModuleOp:
    context = Context()
    for dialect in (
        Builtin,
        Array,
        arith.Arith,
        func.Func,
        llvm.LLVM,
        Loops,
        math.Math,
        memref.MemRef,
        scf.Scf,
        vector.Vector,
    ):
        context.load_dialect(dialect)
    return Parser(context, text).parse_module()


def count(module: ModuleOp, name: str) -> int:
    return sum(op.name == name for op in module.walk())


def test_a_chain_of_elementwise_operators_becomes_one_loop_without_temporaries() -> None:
    def body(add: Any, x: SSAValue) -> SSAValue:
        y = add(build.elementwise("exp", [add(build.elementwise("mul", [x, x]))]))
        return add(build.elementwise("add", [y, x]))

    module = as_module(make_kernel({"x": array_type("f32", (1000,))}, body))
    assert fuse_array(module) == 2
    array_to_loops(module)
    assert count(module, "scf.for") == 1
    assert count(module, "memref.store") == 1
    assert count(module, "memref.alloc") == 0


def test_operators_that_are_not_marked_share_a_loop_where_positions_agree() -> None:
    def body(add: Any, x: SSAValue) -> SSAValue:
        return add(build.elementwise("exp", [add(build.elementwise("mul", [x, x]))]))

    module = as_module(make_kernel({"x": array_type("f32", (1000,))}, body))
    array_to_loops(module)
    assert count(module, "scf.for") == 1
    assert count(module, "memref.store") == 1
    assert count(module, "memref.alloc") == count(module, "memref.dealloc") == 0


def test_a_costly_producer_of_two_consumers_is_stored() -> None:
    def body(add: Any, x: SSAValue) -> list[SSAValue]:
        y = add(build.elementwise("tanh", [x]))
        return [add(build.reduce("sum", y)), add(build.reduce("max", y))]

    assert fuse_array(as_module(make_kernel({"x": VECTOR}, body))) == 0


def test_a_cheap_producer_of_two_consumers_is_recomputed() -> None:
    def body(add: Any, x: SSAValue) -> list[SSAValue]:
        y = add(build.elementwise("neg", [x]))
        return [add(build.reduce("sum", y)), add(build.reduce("max", y))]

    assert fuse_array(as_module(make_kernel({"x": VECTOR}, body))) == 1


def test_a_row_repeated_over_many_rows_is_computed_once() -> None:
    def body(add: Any, x: SSAValue, y: SSAValue) -> SSAValue:
        return add(build.elementwise("mul", [x, add(build.elementwise("exp", [y]))]))

    types = {"x": MATRIX, "y": array_type("f32", ("m",))}
    assert fuse_array(as_module(make_kernel(types, body))) == 0


def test_a_transposed_operand_of_a_product_is_never_copied_as_a_whole() -> None:
    def body(add: Any, x: SSAValue, y: SSAValue) -> SSAValue:
        scaled = add(build.elementwise("mul", [y, add(build.constant(2.0, "f32"))]))
        return add(build.contract(x, add(build.transpose(scaled))))

    module = as_module(make_kernel({"x": MATRIX, "y": array_type("f32", ("k", "m"))}, body))
    assert fuse_array(module) == 1


def test_long_chains_of_shifted_sums_stay_of_bounded_size() -> None:
    def body(add: Any, x: SSAValue) -> SSAValue:
        for _ in range(12):
            parts = [add(build.slices(x, parse_slice(text))) for text in ("1:", ":-1")]
            x = add(build.elementwise("add", parts))
        return x

    module = as_module(make_kernel({"x": VECTOR}, body))
    fuse_array(module)
    array_to_loops(module)
    assert sum(1 for _ in module.walk()) < 20_000


@settings(deadline=None)
@given(programs())
def test_the_loops_of_any_kernel_verify_and_read_back_as_printed(program: Program) -> None:
    fuse_array(program.module)
    program.module.verify()
    assert str(parsed(str(program.module))) == str(program.module)
    array_to_loops(program.module)
    program.module.verify()
    text = str(program.module)
    again = parsed(text)
    again.verify()
    assert str(again) == text


@settings(deadline=None)
@given(programs())
def test_every_op_of_the_loops_knows_a_source_line(program: Program) -> None:
    kernel = program.kernel
    kernel.location = LINE
    array_to_loops(program.module)
    for op in program.module.walk():
        if op is not program.module:
            assert not isinstance(op.location, UnknownLoc), op.name
