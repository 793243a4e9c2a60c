"""The array dialect: type rules, verifiers, assembly that reads back, reference semantics."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, ModuleOp, i64
from xdsl.ir import Operation, SSAValue
from xdsl.parser import Parser
from xdsl.traits import is_side_effect_free
from xdsl.utils.exceptions import VerifyException

from flowc.dialects.array import Array, LaunchOp, ShapeError, build, irregular_build
from flowc.dialects.array.faults import KernelFault
from flowc.dialects.array.kinds import arity, operand_dtype, result_dtype
from flowc.dialects.array.reference import evaluate, evaluate_kernel, numpy_dtypes
from flowc.dialects.array.slices import AxisSlice, SliceSpec, parse_slice
from flowc.dialects.array.types import array_type, broadcast, promote, shape_of
from flowc.testing.strategies.kernels import DTYPES, Program, array_of, as_module, make_kernel, programs


def parsed(text: str) -> ModuleOp:
    context = Context()
    context.load_dialect(Builtin)
    context.load_dialect(Array)
    return Parser(context, text).parse_module()


def every_op(
    add: Callable[[Operation], SSAValue], x: SSAValue, v: SSAValue, i: SSAValue
) -> Sequence[SSAValue]:
    """A body in which each operator of the dialect stands once at least."""
    results = [
        build.elementwise("add", [x, v]),
        build.cast(x, "bf16"),
        build.reduce("mean", x, [1], keepdims=True),
        build.argreduce("argmin", x, 0),
        build.transpose(x, [1, 0]),
        build.slices(x, parse_slice("1:$0, ::-1"), [i]),
        build.index(x, i, 1),
        build.expand(v, 0),
        build.softmax(x, 0),
        build.topk(x, i),
        irregular_build.scan("sum", x, 1),
        build.concat([x, x], 1),
        build.iota(i),
        build.dim(x, 0),
        build.constant(0.5, "f16"),
        build.broadcast(v, ("", "m"), [i, i]),
    ]
    values = [add(op) for op in results]
    positions = values[12]
    values.append(add(build.gather(x, positions)))
    values.append(add(build.contract(x, add(build.transpose(x)))))
    return values


EVERY = {"x": array_type("f32", ("n", "m")), "v": array_type("f32", ("m",)), "i": i64}


def test_every_operator_reads_back_as_it_is_printed() -> None:
    module = as_module(make_kernel(EVERY, every_op))
    again = parsed(str(module))
    again.verify()
    assert str(again) == str(module)
    assert again.is_structurally_equivalent(module)


def test_every_operator_is_free_of_side_effects() -> None:
    kernel = make_kernel(EVERY, every_op)
    assert all(is_side_effect_free(op) for op in kernel.body.block.ops)


@settings(deadline=None)
@given(programs())
def test_generated_kernels_read_back_as_they_are_printed(program: Program) -> None:
    assert str(parsed(str(program.module))) == str(program.module)


def test_a_launch_reads_back_and_must_fit_its_kernel() -> None:
    kernel = make_kernel({"x": i64}, lambda add, x: x)
    module = ModuleOp([kernel])
    constant = build.constant(3, "i64")
    module.body.block.add_ops([constant, LaunchOp("k", [constant.result], [i64])])
    module.verify()
    assert str(parsed(str(module))) == str(module)
    module.body.block.add_op(LaunchOp("k", [], [i64]))
    with pytest.raises(VerifyException, match="needs 1 arguments, has 0"):
        module.verify()


def test_a_result_type_that_the_rule_does_not_give_is_refused() -> None:
    kernel = make_kernel({"x": array_type("f32", ("n",))}, lambda add, x: add(build.elementwise("exp", [x])))
    text = str(ModuleOp([kernel])).replace("-> tensor<?xf32", "-> tensor<?xf64")
    text = text.replace("return %0 : tensor<?xf32", "return %0 : tensor<?xf64")
    with pytest.raises(VerifyException, match=r"array.elementwise: results must be"):
        parsed(text).verify()


def test_a_result_type_may_say_more_than_the_rule_knows() -> None:
    def body(add: Any, x: SSAValue, k: SSAValue) -> SSAValue:
        op = build.topk(x, k, "k")
        add(op)
        return op.values

    kernel = make_kernel({"x": array_type("f32", ("n",)), "k": i64}, body)
    as_module(kernel)
    assert shape_of(kernel.function_type.outputs.data[0]) == ("k",)


@pytest.mark.parametrize("first", DTYPES)
@pytest.mark.parametrize("second", DTYPES)
def test_promotion_is_numpys_where_numpy_has_one(first: str, second: str) -> None:
    try:
        wanted = np.promote_types(numpy_dtypes[first], numpy_dtypes[second])
    except TypeError:
        narrow = {first, second} in ({"f16", "bf16"}, {"i16", "bf16"})
        wanted = numpy_dtypes["f32" if narrow else "f64"]
    assert numpy_dtypes[promote(first, second)] == wanted == numpy_dtypes[promote(second, first)]


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != "bf16"])
@pytest.mark.parametrize(
    "kind", ["add", "div", "floordiv", "mod", "exp", "sqrt", "abs", "floor", "lt", "isnan"]
)
def test_result_dtypes_are_numpys(kind: str, dtype: str) -> None:
    names = {"div": "true_divide", "floordiv": "floor_divide", "lt": "less"}
    values = [np.ones(1, numpy_dtypes[dtype])] * arity[kind]
    wanted = getattr(np, names.get(kind, kind))(*values).dtype
    assert numpy_dtypes[result_dtype(kind, [dtype] * arity[kind])] == wanted


def test_bools_have_no_difference() -> None:
    with pytest.raises(ShapeError, match="`sub` has no form for bool"):
        operand_dtype("sub", ["bool", "bool"])


def test_names_broadcast_only_with_themselves_and_with_1() -> None:
    assert broadcast([("n", 1), (3, "n", 4)]) == (3, "n", 4)
    assert broadcast([("",), ("n",)]) == ("n",)
    with pytest.raises(ShapeError, match=r"\[n\] and \[m\] do not broadcast: n is not m"):
        broadcast([("n",), ("m",)])


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (("n", "d"), ("m", "d"), "inner extents d and m differ"),
        ((2, 3), (4, 5), "inner extents 3 and 4 differ"),
        ((), ("n",), "multiply by a number"),
    ],
)
def test_a_product_of_unfitting_shapes_says_which_extents_differ(left: Any, right: Any, message: str) -> None:
    def body(add: Any, a: SSAValue, b: SSAValue) -> SSAValue:
        return add(build.contract(a, b))

    with pytest.raises(ShapeError, match=message):
        make_kernel({"a": array_type("f32", left), "b": array_type("f32", right)}, body)


bounds = st.none() | st.integers(-20, 20) | st.sampled_from(["$0", "$1"])
steps = st.integers(-5, 5).filter(bool)


@given(st.lists(st.builds(AxisSlice, bounds, bounds, steps), max_size=4))
def test_slices_read_back_as_they_are_written(axes: list[AxisSlice]) -> None:
    spec = SliceSpec(tuple(axes))
    assert parse_slice(str(spec)) == spec


@pytest.mark.parametrize(
    ("value", "dtype"), [(300, "i8"), (1 << 31, "i32"), (1 << 63, "i64"), (0.5, "i32"), (-129, "i8")]
)
def test_a_number_that_does_not_fit_is_refused(value: float, dtype: str) -> None:
    with pytest.raises(ShapeError):
        build.constant(value, dtype)


def test_evaluate_gives_numpys_softmax() -> None:
    kernel = make_kernel({"x": array_type("f64", ("n", 3))}, lambda add, x: add(build.softmax(x)))
    x = array_of("f64", (4, 3), 1)
    (got,) = evaluate_kernel(kernel, [x])
    power = np.exp(x)
    np.testing.assert_allclose(got, power / power.sum(axis=1, keepdims=True))


def test_evaluate_finds_the_kernel_of_a_launch() -> None:
    kernel = make_kernel({"x": i64}, lambda add, x: add(build.elementwise("neg", [x])))
    launch = LaunchOp("k", [kernel.body.block.args[0]], [i64])
    assert evaluate(launch, [5], kernels={"k": kernel})[0] == -5


def test_an_extent_that_happens_to_be_1_stretches_only_beside_one_that_is_said() -> None:
    def beside_said(add: Any, x: SSAValue, y: SSAValue) -> SSAValue:
        return add(build.elementwise("add", [x, add(build.slices(y, parse_slice("::2")))]))

    def beside_unsaid(add: Any, x: SSAValue, y: SSAValue) -> SSAValue:
        return beside_said(add, add(build.slices(x, parse_slice("::2"))), y)

    types = {"x": array_type("f64", ("n",)), "y": array_type("f64", ("m",))}
    (result,) = evaluate_kernel(make_kernel(types, beside_said), [np.ones(3), np.ones(2)])
    assert result.tolist() == [2, 2, 2]
    for body, x in [(beside_said, np.ones(1)), (beside_unsaid, np.ones(6))]:
        y = np.ones(2 if body is beside_unsaid else 6)
        with pytest.raises(KernelFault, match="extents"):
            evaluate_kernel(make_kernel(types, body), [x, y])
