"""outline-kernels keeps meaning and order, and makes one launch of what belongs together."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects import func, test
from xdsl.dialects.builtin import FileLineColLoc, IntAttr, ModuleOp, StringAttr, UnknownLoc, i64
from xdsl.ir import Block, Operation, Region, SSAValue

from flowc.dialects.array import KernelOp, LaunchOp, build
from flowc.dialects.array.reference import evaluate
from flowc.dialects.array.types import array_type
from flowc.passes.outline_kernels import OutlineKernelsPass, outline_kernels
from flowc.passes.pipelines import optimise

VECTOR = array_type("f64", (4,))


def flow(body: Callable[[Callable[[Operation], SSAValue], SSAValue], Sequence[SSAValue]]) -> ModuleOp:
    """A function of one vector whose body is built by `body(add, argument)`."""
    block = Block(arg_types=[VECTOR])

    def add(op: Operation) -> SSAValue:
        op.location = FileLineColLoc(StringAttr("f.flow"), IntAttr(len(block.ops) + 1), IntAttr(1))
        block.add_op(op)
        return op.results[0]

    returned = body(add, block.args[0])
    block.add_op(func.ReturnOp(*returned))
    return ModuleOp([func.FuncOp("main", ([VECTOR], [value.type for value in returned]), Region(block))])


def opaque(*operands: SSAValue) -> Operation:
    """An op that is no array operator: stands for a call."""
    return test.TestOp(operands, [VECTOR])


def run(module: ModuleOp, argument: Any) -> list[Any]:
    """The results of `main`; an opaque op adds its operands and one, and its calls are checked to keep their
    order."""
    kernels = {op.sym_name.data: op for op in module.ops if isinstance(op, KernelOp)}
    main = next(op for op in module.ops if isinstance(op, func.FuncOp))
    values: dict[SSAValue, Any] = {main.body.block.args[0]: argument}
    for op in main.body.block.ops:
        inputs = [values[operand] for operand in op.operands]
        if isinstance(op, func.ReturnOp):
            return inputs
        if isinstance(op, test.TestOp):
            results: Sequence[Any] = [sum(inputs, np.zeros(4)) + 1]
        else:
            results = evaluate(op, inputs, kernels=kernels)
        values.update(zip(op.results, results, strict=True))
    raise AssertionError("main returns nothing")


def launches(module: ModuleOp) -> int:
    return sum(isinstance(op, LaunchOp) for op in module.walk())


def test_connected_operators_become_one_kernel() -> None:
    def body(add: Any, x: SSAValue) -> Sequence[SSAValue]:
        square = add(build.elementwise("mul", [x, x]))
        return [add(build.elementwise("sqrt", [add(build.reduce("sum", square))]))]

    module = flow(body)
    assert outline_kernels(module) == 1
    module.verify()
    assert launches(module) == 1


def test_a_call_between_operators_separates_two_kernels() -> None:
    def body(add: Any, x: SSAValue) -> Sequence[SSAValue]:
        first = add(build.elementwise("exp", [x]))
        return [add(build.elementwise("add", [first, add(opaque(first))]))]

    module = flow(body)
    assert outline_kernels(module) == 2
    module.verify()


def test_the_pass_says_how_many_kernels_it_made() -> None:
    module = flow(lambda add, x: [add(build.elementwise("exp", [x]))])
    fired = [optimise(module, (OutlineKernelsPass(),)).statistics[0].fired for _ in range(2)]
    assert fired == [1, 0]


def test_constants_travel_into_the_kernel() -> None:
    def body(add: Any, x: SSAValue) -> Sequence[SSAValue]:
        return [add(build.elementwise("mul", [x, add(build.constant(2.0, "f64"))]))]

    module = flow(body)
    outline_kernels(module)
    kernel = next(op for op in module.ops if isinstance(op, KernelOp))
    assert len(kernel.function_type.inputs) == 1


def test_a_computed_extent_reaches_its_kernel_as_an_argument() -> None:
    def body(add: Any, x: SSAValue) -> Sequence[SSAValue]:
        count = add(build.cast(add(build.reduce("sum", x)), "i64"))
        return [add(build.topk(x, count))]

    module = flow(body)
    assert outline_kernels(module) == 2
    kernels = [op for op in module.ops if isinstance(op, KernelOp)]
    assert kernels[1].function_type.inputs.data == (VECTOR, i64)


def test_names_already_taken_are_not_used_again() -> None:
    module = flow(lambda add, x: [add(build.elementwise("exp", [x]))])
    outline_kernels(module)
    main = next(op for op in module.ops if isinstance(op, func.FuncOp))
    block = main.body.block
    new = build.elementwise("exp", [block.args[0]])
    block.insert_op_before(new, block.last_op or new)
    block.last_op.operands[0] = new.results[0]  # type: ignore[union-attr]
    assert outline_kernels(module) == 1
    names = [op.sym_name.data for op in module.ops if isinstance(op, KernelOp)]
    assert len(names) == len(set(names)) == 2


@st.composite
def flows(draw: Any) -> ModuleOp:
    """A mixture of array operators and opaque calls."""

    def body(add: Any, x: SSAValue) -> Sequence[SSAValue]:
        pool = [x]
        for _ in range(draw(st.integers(1, 15))):
            a, b = draw(st.sampled_from(pool)), draw(st.sampled_from(pool))
            kind = draw(st.sampled_from(["add", "maximum", "call", "call2", "neg"]))
            if kind.startswith("call"):
                pool.append(add(opaque(*((a, b) if kind == "call2" else (a,)))))
            else:
                pool.append(add(build.elementwise(kind, [a] if kind == "neg" else [a, b])))
        return draw(st.lists(st.sampled_from(pool), min_size=1, max_size=3))

    return flow(body)


@settings(deadline=None)
@given(flows())
def test_outlining_keeps_the_results_and_the_order_of_calls(module: ModuleOp) -> None:
    argument = np.array([1.0, -2.0, 0.5, 3.0])
    calls = [op for op in module.walk() if isinstance(op, test.TestOp)]
    wanted = run(module, argument)
    outline_kernels(module)
    module.verify()
    assert [op for op in module.walk() if isinstance(op, test.TestOp)] == calls
    for got, value in zip(run(module, argument), wanted, strict=True):
        np.testing.assert_array_equal(got, value)


@settings(deadline=None)
@given(flows())
def test_every_op_keeps_a_source_line(module: ModuleOp) -> None:
    outline_kernels(module)
    for op in module.walk():
        if isinstance(op, LaunchOp) or op.name.startswith("array."):
            assert not isinstance(op.location, UnknownLoc), op
