"""Compiled kernels against NumPy: the same numbers in, medians of several rounds, both warm."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
from attrs import frozen
from xdsl.dialects.builtin import FunctionType, ModuleOp
from xdsl.ir import Attribute, Operation, SSAValue

from benchmarks.measure import Row, Table, interleaved, seconds
from flowc.compiler.backends.llvm import compile_kernels
from flowc.dialects.array import KernelOp, ReturnOp, build
from flowc.dialects.array.types import array_type
from flowc.runtime.kernels import Kernel, load

Add = Callable[[Operation], SSAValue]
ROUNDS = 15


@frozen
class Case:
    """One kernel, its NumPy counterpart and the arguments of both."""

    name: str
    parameters: Mapping[str, Attribute]
    body: Callable[..., Sequence[SSAValue]]
    numpy: Callable[..., Any]
    arguments: Sequence[Any]


def compiled(case: Case) -> Kernel:
    """The kernel of a case, ready to call."""
    types = list(case.parameters.values())
    kernel = KernelOp("case", (types, []), arg_names=list(case.parameters))
    block = kernel.body.block

    def add(op: Operation) -> SSAValue:
        block.add_op(op)
        return op.results[0]

    results = case.body(add, *block.args)
    block.add_op(ReturnOp(*results))
    kernel.properties["function_type"] = FunctionType.from_lists(types, [value.type for value in results])
    code = compile_kernels(ModuleOp([kernel]))
    return load(code.object_code, code.signatures)["case"]


def _gelu(add: Add, a: SSAValue, b: SSAValue, c: SSAValue) -> Sequence[SSAValue]:
    def number(value: float) -> SSAValue:
        return add(build.constant(value, "f32"))

    def op(kind: str, *operands: SSAValue) -> SSAValue:
        return add(build.elementwise(kind, operands))

    x = op("add", op("mul", a, b), c)
    cubic = op("mul", number(0.044715), op("mul", x, op("mul", x, x)))
    inner = op("mul", number(0.7978845608), op("add", x, cubic))
    return [op("mul", op("mul", number(0.5), x), op("add", number(1.0), op("tanh", inner)))]


def _gelu_numpy(a: Any, b: Any, c: Any) -> Any:
    x = a * b + c
    return (
        np.float32(0.5) * x * (1 + np.tanh(np.float32(0.7978845608) * (x + np.float32(0.044715) * x * x * x)))
    )


def _softmax_numpy(x: Any) -> Any:
    power = np.exp(x - x.max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


def _normalised(add: Add, x: SSAValue) -> SSAValue:
    square = add(build.elementwise("mul", [x, x]))
    total = add(
        build.elementwise(
            "add", [add(build.reduce("sum", square, [1], True)), add(build.constant(1e-6, "f32"))]
        )
    )
    return add(build.elementwise("div", [x, add(build.elementwise("sqrt", [total]))]))


def _cosine(add: Add, q: SSAValue, r: SSAValue) -> Sequence[SSAValue]:
    return [add(build.contract(_normalised(add, q), add(build.transpose(_normalised(add, r)))))]


def _cosine_numpy(q: Any, r: Any) -> Any:
    def unit(x: Any) -> Any:
        return x / np.sqrt((x * x).sum(axis=1, keepdims=True) + np.float32(1e-6))

    return unit(q) @ unit(r).T


def _nearest(add: Add, q: SSAValue, r: SSAValue) -> Sequence[SSAValue]:
    best = build.topk(_cosine(add, q, r)[0], add(build.constant(10, "i64")))
    add(best)
    return [best.values, best.indices]


def _nearest_numpy(q: Any, r: Any) -> Any:
    scores = _cosine_numpy(q, r)
    best = np.argpartition(-scores, 10, axis=1)[:, :10]
    values = np.take_along_axis(scores, best, axis=1)
    order = np.argsort(-values, axis=1)
    return np.take_along_axis(values, order, axis=1), np.take_along_axis(best, order, axis=1)


def _layernorm(add: Add, x: SSAValue, g: SSAValue, b: SSAValue) -> Sequence[SSAValue]:
    centred = add(build.elementwise("sub", [x, add(build.reduce("mean", x, [1], True))]))
    square = add(build.elementwise("mul", [centred, centred]))
    variance = add(build.reduce("mean", square, [1], True))
    root = add(
        build.elementwise(
            "sqrt", [add(build.elementwise("add", [variance, add(build.constant(1e-5, "f32"))]))]
        )
    )
    scaled = add(build.elementwise("mul", [add(build.elementwise("div", [centred, root])), g]))
    return [add(build.elementwise("add", [scaled, b]))]


def _layernorm_numpy(x: Any, g: Any, b: Any) -> Any:
    centred = x - x.mean(axis=1, keepdims=True)
    variance = (centred * centred).mean(axis=1, keepdims=True)
    return centred / np.sqrt(variance + np.float32(1e-5)) * g + b


def _dot(add: Add, a: SSAValue, b: SSAValue) -> Sequence[SSAValue]:
    wide = [add(build.cast(value, "i32")) for value in (a, b)]
    return [add(build.reduce("sum", add(build.elementwise("mul", wide))))]


def cases(scale: float = 1.0) -> list[Case]:
    """The cases; a smaller `scale` shrinks the long axes, for a quick look."""
    rng = np.random.default_rng(0)

    def size(n: int) -> int:
        return max(int(n * scale), 64)

    def floats(*shape: int) -> Any:
        return rng.standard_normal(shape, dtype=np.float32)

    vector, matrix = array_type("f32", ("n",)), array_type("f32", ("n", "m"))
    queries, rows = array_type("f32", ("q", "d")), array_type("f32", ("n", "d"))
    n, side, many = size(10_000_000), size(4096), size(200_000)
    gate = [floats(side), floats(side)]
    bytes_ = [rng.integers(-9, 9, n, dtype=np.int8) for _ in range(2)]
    one = {"x": matrix}
    return [
        Case("gelu(a*b+c), 1e7 f32", {"a": vector, "b": vector, "c": vector}, _gelu, _gelu_numpy,
             [floats(n) for _ in range(3)]),
        Case("row softmax, 4096 x 4096 f32", one, lambda add, x: [add(build.softmax(x))], _softmax_numpy,
             [floats(side, side)]),
        Case("cosine, 1 x 200k x 384 f32", {"q": queries, "r": rows}, _cosine, _cosine_numpy,
             [floats(1, 384), floats(many, 384)]),
        Case("cosine and top 10, 64 x 100k x 384", {"q": queries, "r": rows}, _nearest, _nearest_numpy,
             [floats(64, 384), floats(many // 2, 384)]),
        Case("matmul 1024^3 f32", {"a": matrix, "b": array_type("f32", ("m", "k"))},
             lambda add, a, b: [add(build.contract(a, b))], lambda a, b: a @ b,
             [floats(size(1024), size(1024)), floats(size(1024), size(1024))]),
        Case("layernorm, 4096 x 4096 f32", one | {name: array_type("f32", ("m",)) for name in "gb"},
             _layernorm, _layernorm_numpy, [floats(side, side), *gate]),
        Case("sum, 1e7 f32", {"a": vector}, lambda add, a: [add(build.reduce("sum", a))], np.sum,
             [floats(n)]),
        Case("dot of i8 in i32, 1e7", {"a": array_type("i8", ("n",)), "b": array_type("i8", ("n",))}, _dot,
             lambda a, b: (a.astype(np.int32) * b.astype(np.int32)).sum(), bytes_),
        Case("a + 1, 1000 f32", {"a": vector},
             lambda add, a: [add(build.elementwise("add", [a, add(build.constant(1.0, "f32"))]))],
             lambda a: a + np.float32(1), [floats(1000)]),
    ]  # fmt: skip


def run(*, quick: bool = False) -> Table:
    """A row per case: medians in milliseconds, and how many times as long NumPy takes."""
    rows: list[Row] = []
    for case in cases(0.02 if quick else 1.0):
        kernel = compiled(case)
        figures = interleaved(
            {
                "flowc": lambda kernel=kernel, case=case: seconds(lambda: kernel(*case.arguments)),
                "numpy": lambda case=case: seconds(lambda: case.numpy(*case.arguments)),
            },
            3 if quick else ROUNDS,
        )
        ours, theirs = (median(figures[name]) * 1e3 for name in ("flowc", "numpy"))
        rows.append(
            {
                "kernel": case.name,
                "flowc_ms": round(ours, 3),
                "numpy_ms": round(theirs, 3),
                "numpy/flowc": round(theirs / ours, 2),
            }
        )
    note = "flowc uses one thread here; NumPy's matrix product uses every core. Outputs are fresh in both."
    return Table("kernels", "Native kernels against NumPy", tuple(rows), note)
