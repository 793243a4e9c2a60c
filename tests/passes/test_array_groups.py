"""Groups of stages: what shares a loop, what is never stored, and that tiles do not change results."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from xdsl.dialects import memref, scf
from xdsl.dialects.builtin import MemRefType, ModuleOp
from xdsl.ir import Attribute, Operation, SSAValue

from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.dialects.array import build
from flowc.dialects.array.faults import KernelFault
from flowc.dialects.array.kinds import REDUCTIONS
from flowc.dialects.array.reference import evaluate_kernel
from flowc.dialects.array.types import ShapeError, array_type, dtype_of
from flowc.dialects.loops import ParallelOp, StreamOp
from flowc.passes import kernel_choices
from flowc.passes.array_to_loops import array_to_loops, positions, ranking, reductions, streams, tiles, tiling
from flowc.passes.fuse_array import fuse_array
from flowc.runtime.errors import FlowError
from flowc.runtime.kernels import load
from flowc.testing.oracles.tolerance import assert_close
from flowc.testing.strategies.kernels import Program, array_of, as_module, make_kernel, programs

pytestmark = pytest.mark.usefixtures("unoptimised")

VECTOR = array_type("f32", ("n",))
MATRIX = array_type("f32", ("n", "m"))
ROW = array_type("f32", ("m",))
QUERIES = array_type("f32", ("q", "m"))
SIZES = (0, 1, 2, 3, 17, 65, 1025)

Add = Callable[[Operation], SSAValue]


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Many chunks and tiles even where there are few elements."""
    with monkeypatch.context() as patch:
        for module, name, value in (
            (tiling, "CHUNK_PICOSECONDS", 1),
            (tiles, "SMALL_PICOSECONDS", 0),
            (tiling, "TILE", 4),
            (kernel_choices, "DEFAULT", kernel_choices.Choices(strip=4)),
            (tiling, "EIGHTS", 1),
            (reductions, "BLOCK", 4),
            (positions, "BLOCK", 4),
            (ranking, "BLOCK", 3),
        ):
            patch.setattr(module, name, value)
        yield


def elementwise(add: Add, kind: str, *operands: SSAValue) -> SSAValue:
    return add(build.elementwise(kind, operands))


def softmax(add: Add, x: SSAValue) -> SSAValue:
    top = add(build.reduce("max", x, [1], True))
    power = elementwise(add, "exp", elementwise(add, "sub", x, top))
    return elementwise(add, "div", power, add(build.reduce("sum", power, [1], True)))


def layernorm(add: Add, x: SSAValue, gain: SSAValue) -> SSAValue:
    centred = elementwise(add, "sub", x, add(build.reduce("mean", x, [1], True)))
    variance = add(build.reduce("mean", elementwise(add, "mul", centred, centred), [1], True))
    return elementwise(
        add, "mul", elementwise(add, "mul", centred, elementwise(add, "rsqrt", variance)), gain
    )


def normalised(add: Add, x: SSAValue) -> SSAValue:
    total = add(build.reduce("sum", elementwise(add, "mul", x, x), [1], True))
    return elementwise(add, "div", x, elementwise(add, "sqrt", total))


def nearest(add: Add, q: SSAValue, r: SSAValue) -> Sequence[SSAValue]:
    scores = add(build.contract(normalised(add, q), add(build.transpose(normalised(add, r)))))
    best = build.topk(scores, add(build.constant(3, "i64")))
    add(best)
    return [best.values, best.indices]


def assignment(add: Add, x: SSAValue, c: SSAValue) -> SSAValue:
    products = add(build.contract(x, add(build.transpose(c))))
    norms = add(build.reduce("sum", elementwise(add, "mul", c, c), [1]))
    twice = elementwise(add, "mul", products, add(build.constant(2.0, "f32")))
    return add(build.argreduce("argmin", elementwise(add, "sub", norms, twice), 1))


def scores(add: Add, r: SSAValue, q: SSAValue) -> SSAValue:
    norms = elementwise(add, "sqrt", add(build.reduce("sum", elementwise(add, "mul", r, r), [1])))
    return elementwise(add, "div", add(build.contract(r, q)), norms)


def moments(add: Add, x: SSAValue) -> Sequence[SSAValue]:
    return [add(build.reduce("sum", x)), add(build.reduce("sum", elementwise(add, "mul", x, x)))]


def entropy(add: Add, x: SSAValue) -> SSAValue:
    shares = softmax(add, x)
    parts = elementwise(add, "mul", shares, elementwise(add, "log", shares))
    return add(build.reduce("mean", add(build.reduce("sum", parts, [1]))))


def both_ways(add: Add, x: SSAValue) -> Sequence[SSAValue]:
    return [add(build.reduce("sum", x, [1])), add(build.reduce("max", x, [0]))]


def lowered(types: dict[str, Attribute], body: Callable[..., Any]) -> ModuleOp:
    module = as_module(make_kernel(types, body))
    fuse_array(module)
    array_to_loops(module, layout="contiguous")
    module.verify()
    return module


def count(module: ModuleOp, kind: type[Operation]) -> int:
    return sum(isinstance(op, kind) for op in module.walk())


def whole_temporaries(module: ModuleOp) -> list[memref.AllocOp]:
    """Memory that is allocated outside the parallel loops and has two unknown extents or more."""
    found = []
    for op in module.walk():
        if isinstance(op, memref.AllocOp) and not isinstance(op.parent_op(), ParallelOp):
            assert isinstance(op.memref.type, MemRefType)
            if list(op.memref.type.get_shape()).count(-1) > 1:
                found.append(op)
    return found


@pytest.mark.parametrize(
    ("types", "body"),
    [
        ({"x": MATRIX}, softmax),
        ({"x": MATRIX, "g": ROW}, layernorm),
        ({"x": MATRIX}, entropy),
        ({"r": MATRIX, "q": ROW}, scores),
        ({"x": VECTOR}, moments),
        ({"x": MATRIX}, moments),
    ],
)
def test_what_goes_row_by_row_is_one_parallel_loop(types: dict[str, Attribute], body: Any) -> None:
    module = lowered(types, body)
    assert count(module, ParallelOp) == 1
    assert whole_temporaries(module) == []


def test_a_number_cast_between_two_stages_does_not_part_them() -> None:
    def body(add: Add, a: SSAValue, b: SSAValue) -> SSAValue:
        x = elementwise(add, "exp", elementwise(add, "mul", a, b))
        half = add(build.cast(add(build.constant(0.5, "f64")), "f32"))
        return elementwise(add, "mul", elementwise(add, "mul", half, x), elementwise(add, "add", x, a))

    module = lowered({"a": VECTOR, "b": VECTOR}, body)
    assert count(module, ParallelOp) == 1
    assert count(module, memref.AllocOp) == 0


def test_the_norm_of_a_query_does_not_turn_rows_into_columns() -> None:
    def body(add: Add, r: SSAValue, q: SSAValue) -> SSAValue:
        norm = elementwise(add, "sqrt", add(build.reduce("sum", elementwise(add, "mul", q, q))))
        return elementwise(add, "div", scores(add, r, q), norm)

    module = lowered({"r": MATRIX, "q": ROW}, body)
    assert count(module, ParallelOp) == 2, "one for the query, one for the rows"
    assert whole_temporaries(module) == []


def test_rows_that_are_streamed_go_out_in_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LARGE_BYTES", 1000)
    for types, body in CASES[:2]:
        kernel = make_kernel(types, body)
        run = native(kernel, 2)
        for m in (1, 15, 64, 511, 512, 513, 1300):
            arguments = [
                array_of("f32", [{"n": 37, "m": m}[name] for name in names(type_)], m)
                for type_ in types.values()
            ]
            compare(kernel, run, arguments)
            out = np.full((37, m + 1), 7, np.float32).ravel()[3 : 3 + 37 * m].reshape(37, m)
            np.testing.assert_array_equal(run(*arguments, out=out), run(*arguments))


@pytest.mark.parametrize("offsets", [(0, 0, 0), (3, 3, 3), (0, 5, 0), (16, 1, 2)])
def test_results_whose_lines_lie_otherwise_are_streamed_all_or_none(
    monkeypatch: pytest.MonkeyPatch, offsets: tuple[int, ...]
) -> None:
    monkeypatch.setattr(streams, "LARGE_BYTES", 1000)

    def body(add: Add, x: SSAValue) -> Sequence[SSAValue]:
        wide = add(build.cast(x, "f64"))
        return [elementwise(add, "mul", x, x), elementwise(add, "exp", wide), elementwise(add, "lt", x, wide)]

    kernel = make_kernel({"x": VECTOR}, body)
    run = native(kernel, 2)
    for length in (0, 1, 63, 64, 65, 1000, 2051):
        x = array_of("f32", (length,), length)
        wanted = run(x)
        compare(kernel, run, [x])
        kinds = [value.dtype for value in wanted]
        memory = [np.full(64 + length + 64, 1, kind) for kind in kinds]
        out = tuple(whole[offset : offset + length] for whole, offset in zip(memory, offsets, strict=True))
        for got, value in zip(run(x, out=out), wanted, strict=True):
            np.testing.assert_array_equal(got, value)
        for whole, offset in zip(memory, offsets, strict=True):
            assert (whole[:offset] == 1).all()
            assert (whole[offset + length :] == 1).all()


@pytest.mark.alike(2)
@pytest.mark.parametrize("shape", [(3, 5000), (5000, 3), (0, 2000), (700, 1500), (1, 513)])
def test_columns_are_reduced_whichever_side_is_the_larger(shape: tuple[int, int]) -> None:
    def body(add: Add, x: SSAValue) -> Sequence[SSAValue]:
        return [
            add(build.reduce("mean", x, [0])),
            add(build.reduce("sum", elementwise(add, "mul", x, x), [0])),
        ]

    check(make_kernel({"x": MATRIX}, body), array_of("f32", shape, 1))
    best = make_kernel({"x": MATRIX}, lambda add, x: add(build.argreduce("argmax", x, 0)))
    if shape[0]:
        check(best, array_of("f32", shape, 2))


def nearest_rows(add: Add, r: SSAValue, q: SSAValue) -> Sequence[SSAValue]:
    norms = elementwise(add, "sqrt", add(build.reduce("sum", elementwise(add, "mul", r, r), [1], True)))
    scores = elementwise(add, "div", add(build.contract(r, add(build.transpose(q)))), norms)
    best = build.topk(add(build.transpose(scores)), add(build.constant(3, "i64")))
    add(best)
    return [best.values, best.indices]


@pytest.mark.alike(2)
@pytest.mark.parametrize("shape", [(300, 7), (7, 300), (65, 65), (3, 1), (60, 0)])
def test_norms_of_the_rows_go_along_with_a_product_whichever_side_is_long(shape: tuple[int, int]) -> None:
    rows, queries = shape
    kernel = make_kernel({"r": MATRIX, "q": QUERIES}, nearest_rows)
    check(kernel, 1 + np.abs(array_of("f32", (rows, 33), 1)), array_of("f32", (queries, 33), 2))


def test_the_product_of_rows_and_queries_is_not_stored_where_only_the_best_are_wanted() -> None:
    assert whole_temporaries(lowered({"r": MATRIX, "q": QUERIES}, nearest_rows)) == []


def test_rows_and_columns_of_one_matrix_are_reduced_in_one_sweep() -> None:
    assert count(lowered({"x": MATRIX}, both_ways), ParallelOp) == 1


def test_sums_of_one_source_share_their_loop() -> None:
    module = lowered({"x": VECTOR}, moments)
    inner = [op for op in module.walk() if isinstance(op, scf.ForOp) and len(op.results) == 2]
    assert any(all(str(result.type) == "f32" for result in op.results) for op in inner)


def test_a_value_whose_uses_share_its_loop_is_not_stored() -> None:
    def body(add: Add, a: SSAValue, b: SSAValue) -> SSAValue:
        x = elementwise(add, "exp", elementwise(add, "mul", a, b))
        return elementwise(add, "mul", x, elementwise(add, "add", x, a))

    module = lowered({"a": VECTOR, "b": VECTOR}, body)
    stored = [op for op in module.walk() if isinstance(op, memref.StoreOp)]
    assert len(stored) == 2, "the result in lines of the cache, and what is left over"


def test_scores_are_never_stored_on_their_way_to_the_best() -> None:
    module = lowered({"q": QUERIES, "r": MATRIX}, nearest)
    for op in module.walk():
        if isinstance(op, memref.AllocOp):
            assert isinstance(op.memref.type, MemRefType)
            assert len(op.memref.type.get_shape()) < 4


def test_large_results_are_streamed_and_small_ones_are_not() -> None:
    def double(add: Add, x: SSAValue) -> SSAValue:
        return elementwise(add, "add", x, x)

    assert count(lowered({"x": VECTOR}, double), StreamOp) == 1
    assert count(lowered({"x": array_type("f32", (1000,))}, double), StreamOp) == 0


def test_a_large_temporary_of_halves_is_streamed_as_it_is_held() -> None:
    def below_the_largest(add: Add, x: SSAValue) -> SSAValue:
        power = elementwise(add, "pow", x, x)
        return elementwise(add, "sub", power, add(build.reduce("max", power, [0])))

    module = lowered({"x": array_type("f16", ("n",))}, below_the_largest)
    lines = {str(op.vector.type) for op in module.walk() if isinstance(op, StreamOp)}
    assert lines == {"vector<16xf32>", "vector<32xf16>"}


@pytest.mark.parametrize(("kind", "line"), [("exp", "<16 x float>"), ("sqrt", "<16 x float>")])
def test_what_is_streamed_goes_from_registers_to_memory_by_whole_lines(kind: str, line: str) -> None:
    kernel = make_kernel({"x": VECTOR}, lambda add, x: elementwise(add, kind, x))
    options = Options(cached=False, listing=True, layouts=("contiguous",))
    text = compile_kernels(as_module(kernel), options).llvm_ir
    past = [row for row in text.splitlines() if "!nontemporal" in row]
    assert len(past) == 1
    assert f"store {line}" in past[0]
    count, element = line.strip("<>").split(" x ")
    assert f"alloca [{count} x {element}]" not in text


@pytest.mark.parametrize("layout", ["contiguous", "any"])
@pytest.mark.parametrize("kind", ["exp", "sin", "isnan"])
def test_lines_of_any_kind_are_made_without_a_word_from_llvm(
    kind: str, layout: str, capfd: pytest.CaptureFixture[str]
) -> None:
    x = array_type("f64", ("n",))
    kernel = make_kernel({"x": x}, lambda add, x: elementwise(add, kind, x))
    text = compile_kernels(as_module(kernel), Options(cached=False, listing=True, layouts=(layout,))).llvm_ir
    assert "!nontemporal" in text
    assert capfd.readouterr().err == ""


def native(kernel: Any, level: int = 0) -> Any:
    code = compile_kernels(as_module(kernel), Options(level=level, cached=False))
    return load(code.object_code, code.signatures)["k"]


def check(kernel: Any, *arguments: Any, level: int = 1) -> None:
    wanted = evaluate_kernel(kernel, arguments)
    got = native(kernel, level)(*arguments)
    for value, array, reference in zip(
        kernel.returned, got if isinstance(got, tuple) else (got,), wanted, strict=True
    ):
        assert_close(array, reference, dtype_of(value.type), 4)


CASES: list[tuple[dict[str, Attribute], Any]] = [
    ({"x": MATRIX}, softmax),
    ({"x": MATRIX, "g": ROW}, layernorm),
    ({"r": MATRIX, "q": ROW}, scores),
    ({"x": MATRIX}, both_ways),
    ({"x": MATRIX}, moments),
    ({"x": MATRIX, "q": QUERIES}, assignment),
]


@pytest.mark.parametrize(("types", "body"), CASES)
def test_groups_give_what_the_reference_gives_for_odd_extents(types: dict[str, Attribute], body: Any) -> None:
    kernel = make_kernel(types, body)
    run = native(kernel, 2)
    for n in SIZES:
        for m in (1, 3, 65):
            extents = {"n": n, "m": m, "q": 5}
            arguments = [
                array_of("f32", [extents[name] for name in names(type_)], n + m) for type_ in types.values()
            ]
            arguments[0] = np.asfortranarray(arguments[0])
            compare(kernel, run, arguments)


def names(type_: Attribute) -> list[str]:
    from flowc.dialects.array.types import shape_of

    return [str(extent) for extent in shape_of(type_)]


def compare(kernel: Any, run: Any, arguments: Sequence[Any]) -> None:
    with np.errstate(all="ignore"):
        try:
            wanted = evaluate_kernel(kernel, tuple(arguments))
        except (KernelFault, ValueError):
            with pytest.raises(FlowError):
                run(*arguments)
            return
    got = run(*arguments)
    for value, array, reference in zip(
        kernel.returned, got if isinstance(got, tuple) else (got,), wanted, strict=True
    ):
        assert_close(array, reference, dtype_of(value.type), 4)


@pytest.mark.alike(2)
@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("shape", [(7, 300), (300, 7), (3, 4), (65, 65)])
def test_the_nearest_are_found_whichever_side_is_the_larger(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(shape))
    queries, rows = (rng.standard_normal((count, 10)).astype(np.float32) for count in shape)
    check(make_kernel({"q": QUERIES, "r": MATRIX}, nearest), queries, rows)
    check(make_kernel({"x": MATRIX, "c": QUERIES}, assignment), queries, rows)


@pytest.mark.alike(5)
@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("dtype", ["f64", "f32", "i32", "bool"])
@pytest.mark.parametrize("kind", REDUCTIONS)
def test_partial_results_of_chunks_combine_in_order(kind: str, dtype: str) -> None:
    types = {"x": array_type(dtype, ("n", "m"))}
    for axes in ([0], [1], [0, 1]):
        kernel = make_kernel(types, lambda add, x, axes=axes: add(build.reduce(kind, x, axes, axes == [0])))
        run = native(kernel)
        for shape in ((1, 1), (23, 9), (3, 40), (0, 4)):
            compare(kernel, run, [array_of(dtype, shape, 5, special=dtype == "f32")])


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("axis", [0, 1])
def test_the_first_extreme_of_all_chunks_wins_and_a_nan_beats_all(axis: int) -> None:
    def body(add: Add, x: SSAValue) -> Sequence[SSAValue]:
        return [add(build.argreduce(kind, x, axis, axis == 0)) for kind in ("argmin", "argmax")]

    kernel = make_kernel({"x": MATRIX}, body)
    run = native(kernel)
    for seed in range(4):
        for special in (False, True):
            compare(kernel, run, [array_of("f32", (23, 9), seed, special)])
            compare(kernel, run, [np.full((23, 9), np.inf, np.float32)])


@pytest.mark.usefixtures("small_tiles")
def test_equal_values_rank_by_position_and_nan_ranks_first() -> None:
    def body(add: Add, x: SSAValue) -> Sequence[SSAValue]:
        best = build.topk(x, add(build.constant(5, "i64")))
        add(best)
        return [best.values, best.indices]

    for type_, shape in ((VECTOR, (40,)), (MATRIX, (6, 40))):
        kernel = make_kernel({"x": type_}, body)
        run = native(kernel)
        for seed in range(4):
            compare(kernel, run, [array_of("f32", shape, seed, special=seed > 1)])
        compare(kernel, run, [np.full(shape, -np.inf, np.float32)])


@pytest.mark.parametrize("stored", [False, True])
def test_rows_are_ranked_by_a_sum_of_each_in_the_loop_that_takes_it(stored: bool) -> None:
    def body(add: Add, x: SSAValue) -> Sequence[SSAValue]:
        power = elementwise(add, "exp", x)
        totals = add(build.reduce("sum", power, [1]))
        best = build.topk(totals, add(build.constant(3, "i64")))
        add(best)
        worst = add(build.argreduce("argmin", totals, 0))
        return [best.values, best.indices, worst, *([power] if stored else [])]

    assert count(lowered({"x": MATRIX}, body), ParallelOp) == 1
    kernel = make_kernel({"x": MATRIX}, body)
    run = native(kernel, 2)
    for rows in (3, 64, 1000):
        compare(kernel, run, [array_of("f32", (rows, 5), rows)])


@pytest.mark.parametrize("result", [0, 1])
@pytest.mark.parametrize("shape", [("n",), ("m", "n")])
def test_what_reads_either_result_of_a_ranking_waits_for_its_end(shape: Sequence[str], result: int) -> None:
    def body(add: Add, x: SSAValue) -> SSAValue:
        best = build.topk(x, add(build.constant(1, "i64")))
        add(best)
        at = add(build.cast(best.results[result], "f32"))
        moved = elementwise(add, "add", elementwise(add, "abs", x), elementwise(add, "sub", x, at))
        return elementwise(add, "add", moved, moved)

    kernel = make_kernel({"x": array_type("f32", shape)}, body)
    run = native(kernel, 2)
    for extents in ((3, 5)[: len(shape)], (70, 90)[: len(shape)]):
        compare(kernel, run, [array_of("f32", extents, 1)])


@pytest.mark.usefixtures("small_tiles")
@settings(
    max_examples=max(settings.default.max_examples // 2, 1) if settings.default else 50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(programs())
def test_tiles_and_chunks_of_any_size_give_what_the_reference_gives(program: Program) -> None:
    try:
        run = native_of(program)
    except ShapeError:
        return
    compare(program.kernel, run, program.arguments)


def native_of(program: Program) -> Any:
    code = compile_kernels(program.module, Options(level=0, cached=False))
    return load(code.object_code, code.signatures)["k"]
