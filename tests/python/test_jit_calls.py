"""Calls of `@jit` functions around the mathematics: buffers, defaults, modes, the cache, explanations."""

import copy
import functools
import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flowc
from flowc.compiler.kernel_report import registers
from flowc.compiler.python.fingerprint import fingerprint
from flowc.compiler.python.jit import Jit

FACTOR = 2.0


@flowc.jit
def scaled(x, y, weight=1.0):
    return x * y + weight


@flowc.jit
def softmax_of(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@flowc.jit
def along(x, axis=0):
    return x.sum(axis=axis)


@flowc.jit
def by_factor(x):
    return x * FACTOR


@flowc.jit
def scaled_by(x, factor):
    return x * factor


X = np.arange(6, dtype=np.float32).reshape(2, 3)


def fresh(function: Any, **options: Any) -> Any:
    """The same function without any code."""
    return Jit(function.function) if not options else flowc.jit(**options)(function.function)


def test_results_go_to_the_buffer_given() -> None:
    out = np.empty((2, 3), np.float32)
    assert scaled(X, X, out=out) is out
    np.testing.assert_array_equal(out, X * X + 1)
    assert scaled(X, X, weight=3.0, out=out) is out
    np.testing.assert_array_equal(out, X * X + 3)
    softmax_of(X, out=out[:, ::-1])
    np.testing.assert_allclose(out[:, ::-1], softmax_of(X))


def test_a_buffer_may_be_an_argument() -> None:
    x = X.copy()
    softmax_of(x, out=x)
    np.testing.assert_array_equal(x, softmax_of(X))


def test_a_buffer_that_does_not_fit_is_refused_with_a_code() -> None:
    with pytest.raises(flowc.FlowError, match="E0760"):
        scaled(X, X, out=np.empty((2, 3)))


def test_a_parameter_called_out_is_the_functions_own() -> None:
    @flowc.jit
    def shifted(x, out):
        return x + out

    np.testing.assert_array_equal(shifted(X, out=X), X + X)


def test_defaults_and_keywords_take_the_same_code() -> None:
    function = fresh(scaled)
    for _ in range(2):
        np.testing.assert_array_equal(function(X, X), X * X + 1)
        np.testing.assert_array_equal(function(X, y=X, weight=1.0), X * X + 1)
        np.testing.assert_array_equal(function(X, X, 4.0), X * X + 4)
    assert len(function.specialisations) == 1


def test_remembered_calls_tell_fixed_values_shapes_and_layouts_apart() -> None:
    x = np.arange(12.0).reshape(3, 4)
    for _ in range(2):
        np.testing.assert_array_equal(along(x), x.sum(axis=0))
        np.testing.assert_array_equal(along(x, 1), x.sum(axis=1))
        np.testing.assert_array_equal(along(x, axis=-1), x.sum(axis=1))
        np.testing.assert_array_equal(along(x.T, 1), x.sum(axis=0))
        np.testing.assert_array_equal(along(x[:, ::2]), x[:, ::2].sum(axis=0))
        np.testing.assert_array_equal(along(x[:, 1:3]), x[:, 1:3].sum(axis=0))


def test_later_calls_with_a_number_of_numpys_read_the_number_and_skip_the_types(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    function = fresh(scaled_by)
    numbers = [np.float32(2), np.array(3.0, np.float32), np.array(4.0, ">f4")]
    for number in numbers:
        assert function(X, number).dtype == np.float32
    monkeypatch.setattr(function, "_run", None)  # which works the types out
    for number in (*numbers, np.float32(-0.5), np.array(7.0, np.float32)):
        np.testing.assert_array_equal(function(X, number), X * number.astype(np.float32))


def test_a_number_that_lies_in_a_file_is_told_from_an_array_that_does(tmp_path: Path) -> None:
    function = fresh(scaled_by)
    for shape in ((), X.shape, (), X.shape[1:]):
        mapped = np.memmap(tmp_path / "numbers", np.float32, "w+", shape=shape)
        mapped[...] = 3
        np.testing.assert_array_equal(function(X, mapped), X * 3)


def test_one_piece_of_code_is_made_for_each_layout() -> None:
    function = fresh(softmax_of)
    y = np.arange(20, dtype=np.float32).reshape(4, 5)
    for view in (y, y[:, :3], y.T, y[::-1], y[::-1, ::-1]):
        np.testing.assert_allclose(function(view), softmax_of.function(view), rtol=1e-6)
    layouts = [(types[0].turned, types[0].layout) for types in function.specialisations]
    assert sorted(layouts) == [(False, "any"), (False, "contiguous"), (False, "rows"), (True, "contiguous")]


def test_arrays_in_other_byte_orders_or_at_odd_addresses_are_read_right() -> None:
    odd = np.frombuffer(b"\0" + X.tobytes(), np.uint8)[1:].view(np.float32).reshape(X.shape)
    wanted = X * X + 1
    for view in (X, odd, X.astype(">f4"), np.memmap.view(X, np.ndarray)):
        np.testing.assert_array_equal(scaled(view, view), wanted)


@pytest.mark.parametrize(
    "bad",
    [
        np.array(["a"]),
        np.array([1, "a"], dtype=object),
        np.zeros(2, np.dtype([("a", "f4"), ("b", "i8")])),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
        np.ma.masked_array([1.0], mask=[True]),
        np.zeros(2, np.complex64),
        {"a": 1},
        [1.0],
    ],
)
def test_what_is_no_array_of_numbers_is_refused_with_a_code(bad: Any) -> None:
    with pytest.raises(flowc.FlowError) as caught:
        scaled(bad, X)
    assert caught.value.problem.code == "E0093"
    assert caught.value.problem.help


class Tensor:
    """What another library calls an array: its `size` is a method."""

    ndim, shape = 2, (1000, 3)

    def size(self) -> int:
        raise AssertionError


def test_an_array_of_another_library_is_refused_with_a_code() -> None:
    with pytest.raises(flowc.FlowError, match="E0093") as caught:
        scaled(Tensor(), X)
    assert "is a Tensor" in caught.value.problem.message


def test_interpreting_runs_the_python_itself() -> None:
    lines: list[object] = []

    @flowc.jit(mode="interpret")
    def traced(x):
        lines.append(x)
        return x.tolist()

    assert traced(X) == X.tolist()
    assert lines[0] is X


def test_interpreting_fills_buffers_too() -> None:
    out = np.empty((2, 3), np.float32)
    assert fresh(softmax_of, mode="interpret")(X, out=out) is out
    np.testing.assert_allclose(out, softmax_of(X), rtol=1e-6)


@pytest.mark.parametrize(
    "options", [{"level": 0}, {"level": 1}, {"precise": True}, {"reproducible": True}, {}]
)
def test_every_way_to_compile_gives_the_same_values(options: dict[str, Any]) -> None:
    function = fresh(softmax_of, **options)
    rows = np.random.default_rng(0).standard_normal((5, 37)).astype(np.float32)
    np.testing.assert_allclose(function(rows), softmax_of.function(rows), rtol=1e-5)


def test_options_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="interpret"):
        flowc.jit(mode="compile")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="level"):
        flowc.jit(level=7)


def test_calls_from_many_threads_compile_once_and_agree() -> None:
    function = fresh(scaled)
    inputs = [np.full((3, 4), k, np.float64) for k in range(64)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda x: function(x, x), inputs))
    for x, got in zip(inputs, results, strict=True):
        np.testing.assert_array_equal(got, x * x + 1)
    assert len(function.specialisations) == 1


@pytest.fixture
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLOWC_CACHE_DIR", str(tmp_path))
    return tmp_path / "kernels"


def origins(function: Any) -> list[str]:
    return [each.origin for each in function.specialisations.values()]


@pytest.mark.usefixtures("private_cache")
def test_the_next_process_finds_the_code_on_disk() -> None:
    first, second = fresh(scaled), fresh(scaled)
    np.testing.assert_array_equal(first(X, X), second(X, X))
    assert (origins(first), origins(second)) == (["compiled"], ["cache"])


def test_a_function_is_kept_on_disk_once(private_cache: Path) -> None:
    fresh(by_factor)(X)
    before = set(private_cache.iterdir())
    fresh(scaled)(X, X)
    assert len(set(private_cache.iterdir()) - before) == 1


@pytest.mark.usefixtures("private_cache")
def test_code_with_arrays_from_around_is_found_by_their_form_whatever_they_hold() -> None:
    def using(table: np.ndarray[Any, Any]) -> Any:
        @flowc.jit
        def looked_up(x):  # type: ignore[no-untyped-def]
            return table[x]

        return looked_up

    x = np.array([2, 0])
    functions = [using(np.array(table)) for table in ([1.0, 2.0, 3.0], [5.0, 6.0, 7.0], [1, 2, 3], [1.0] * 9)]
    assert [list(function(x)) for function in functions] == [[3.0, 1.0], [7.0, 5.0], [3, 1], [1.0, 1.0]]
    assert [origins(function)[0] for function in functions] == ["compiled", "cache", "compiled", "compiled"]


@pytest.mark.usefixtures("private_cache")
def test_code_for_one_array_of_two_names_is_not_code_for_two_arrays() -> None:
    def using(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> Any:
        @flowc.jit
        def summed(x):  # type: ignore[no-untyped-def]
            return x + first + second

        return summed

    one, other = np.ones(3), np.ones(3)
    np.testing.assert_array_equal(using(one, one)(np.zeros(3)), [2.0, 2.0, 2.0])
    function = using(one, other)
    function(np.zeros(3))
    other[:] = 5
    np.testing.assert_array_equal(function(np.zeros(3)), [6.0, 6.0, 6.0])


def test_a_function_goes_to_other_processes_by_its_name() -> None:
    assert pickle.loads(pickle.dumps(scaled)) is scaled
    assert copy.deepcopy(scaled) is scaled


@pytest.mark.parametrize("bad", [len, np.exp, 3, Jit, functools.partial(divmod, 3), scaled])
def test_what_is_no_python_function_is_refused_where_it_is_decorated(bad: Any) -> None:
    with pytest.raises(TypeError, match="compiles Python functions"):
        flowc.jit(bad)


@pytest.mark.usefixtures("private_cache")
def test_modes_and_values_of_globals_do_not_share_code(monkeypatch: pytest.MonkeyPatch) -> None:
    np.testing.assert_array_equal(fresh(by_factor)(X), 2 * X)
    assert origins_after(fresh(by_factor, level=0)) == ["compiled"]
    assert origins_after(fresh(by_factor, precise=True)) == ["compiled"]
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    np.testing.assert_array_equal(fresh(by_factor)(X), 3 * X)


def origins_after(function: Any) -> list[str]:
    function(X)
    return origins(function)


def test_damaged_entries_are_made_anew(private_cache: Path) -> None:
    fresh(scaled)(X, X)
    for entry in private_cache.iterdir():
        entry.write_bytes(entry.read_bytes()[:-9] + b"\0" * 9)
    function = fresh(scaled)
    np.testing.assert_array_equal(function(X, X), X * X + 1)
    assert origins(function) == ["compiled"]


PROGRAM = """
import json, sys
import numpy as np
import flowc

@flowc.jit
def program(x):
    return np.exp(x) - x.mean()

value = program(np.ones(4))
origins = [each.origin for each in program.specialisations.values()]
unneeded = ("llvmlite.binding", "xdsl", "lark", "ml_dtypes", "flowc.compiler.syntax")
print(json.dumps([origins, [name for name in unneeded if name in sys.modules], value.tolist()]))
"""


def run(path: Path) -> Any:
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


def test_processes_share_code_until_the_function_changes(tmp_path: Path, private_cache: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    with ThreadPoolExecutor(2) as pool:
        first, beside = pool.map(run, [path] * 2)
    again = run(path)
    assert first[2] == beside[2] == again[2]
    assert again[:2] == [["cache"], []]  # and nothing is imported that only compiling needs
    path.write_text("# a comment above moves every line\n" + PROGRAM)
    assert run(path)[0] == ["cache"]
    path.write_text(PROGRAM.replace("np.exp(x) -", "np.exp(x) +"))
    assert run(path)[0] == ["compiled"]


def test_a_fingerprint_follows_what_a_function_refers_to() -> None:
    def make(constant: Any) -> Any:
        def inner(x: Any) -> Any:
            return x + constant

        return lambda x: inner(x) * 2

    table = np.arange(3)
    same = [fingerprint(make(table)), fingerprint(make(np.arange(3)))]
    assert same[0] == same[1] is not None
    others = [2, 2.0, True, None, "2", (2, 2.0), np.arange(4), np.arange(3.0), np.float32(2), np.sin, np]
    found = [fingerprint(make(other)) for other in others]
    assert len({*found, same[0]}) == len(others) + 1
    assert None not in found
    assert fingerprint(make(object())) is None


def test_an_explanation_names_loops_vectors_bytes_and_times() -> None:
    function = fresh(softmax_of)
    text = function.explain(np.ones((64, 64), np.float32))
    assert text.startswith("softmax_of(x: f32[n0, n0])\n")
    for wanted in (
        "max, sub, exp, sum, div",
        "1.00 times the least",
        "layouts    x contiguous",
        "predicted",
        "measured",
    ):
        assert wanted in text
    assert "for the first call" in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_an_explanation_says_why_code_was_made_again() -> None:
    function = fresh(softmax_of)
    x = np.ones((4, 6), np.float32)
    function(x)
    assert "a new dtype of `x`: f64 after f32" in function.explain(x.astype(float))
    assert "a new layout of `x`: columns after contiguous" in function.explain(x.T)
    assert "a new layout of `x`: any after contiguous" in function.explain(x[::-1, ::-1])
    assert "other extents of 1 in `x`" in function.explain(x[:1])
    assert "other extents that are equal" in function.explain(np.ones((5, 5), np.float32))


def test_machine_code_uses_the_vectors_that_the_report_counts() -> None:
    listing = (
        "\tvaddps %zmm1, %zmm2, %zmm3\n\tvextractf64x4 $1, %zmm0, %ymm1\n\tvmovss %xmm0, (%rax)\n\tret\n"
    )
    assert registers(listing) == {512: 2, 128: 1}


@flowc.jit
def bump(x, y):
    x += y


def test_an_array_that_is_changed_in_place_may_lie_anyhow() -> None:
    memory = np.zeros((6, 8), np.float32)
    for view in (memory, memory[::2, 1::3], memory.T, memory[::-1]):
        before = view.copy()
        assert bump(view, np.float32(2) + np.zeros(view.shape, np.float32)) is None
        np.testing.assert_array_equal(view, before + 2)


@pytest.mark.parametrize(
    ("x", "code"),
    [
        (np.broadcast_to(np.float64(1), (6,)), "E0761"),
        (np.frombuffer(bytes(48)), "E0761"),
        (np.zeros(6, ">f8"), "E0755"),
        (np.frombuffer(bytearray(49), np.uint8)[1:].view(np.float64), "E0755"),
    ],
)
def test_an_array_that_cannot_be_changed_in_place_is_refused(x: Any, code: str) -> None:
    bump(np.zeros(6), np.ones(6))  # the same shape and strides, and remembered
    with pytest.raises(flowc.FlowError) as caught:
        bump(x, np.ones(6))
    assert caught.value.problem.code == code
    assert caught.value.problem.help


def test_an_array_that_is_changed_may_not_overlap_another_argument() -> None:
    x = np.zeros(7)
    bump(x[:3], x[3:6])  # side by side is fine
    for pair in ((x, x), (x[1:], x[:-1]), (x[:4], x[3:])):
        with pytest.raises(flowc.FlowError, match="E0762"):
            bump(*pair)


@flowc.jit
def greatest(x):
    return flowc.topk(x, 2)


@flowc.jit
def listed(x):
    return [x + 1.0, x.sum()]


@pytest.mark.parametrize("mode", ["native", "interpret"])
def test_buffers_are_given_for_several_results_whatever_they_are_put_into(mode: Any) -> None:
    top, both = (flowc.jit(mode=mode)(each.function) for each in (greatest, listed))
    x, values, places = np.array([1.0, 5.0, 3.0]), np.empty(2), np.empty(2, np.int64)
    found = top(x, out=(values, places))
    assert found.values is values
    assert found.indices is places
    assert (values.tolist(), places.tolist()) == ([5.0, 3.0], [1, 2])
    whole, total = both(x, out=(None, np.empty(())))
    assert (whole.tolist(), float(total)) == ([2.0, 6.0, 4.0], 9.0)
    with pytest.raises(flowc.FlowError, match="E0760"):
        top(x, out=(values, places, places))


@pytest.mark.parametrize(
    "options", [{"precise": "no"}, {"reproducible": 1}, {"level": True}, {"level": 3}, {"mode": "fast"}]
)
def test_an_option_that_is_none_of_its_choices_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        flowc.jit(**options)
    if "level" not in options:
        with pytest.raises(ValueError, match=next(iter(options))):
            flowc.kernel(**options)


def totals(x: Any) -> Any:
    return x.sum(axis=1)


def test_lengths_of_short_rows_make_no_more_variants_than_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowc.compiler.python.jit.MOST_VARIANTS", 3)
    function = flowc.jit(totals)
    for columns in range(2, 9):
        x = np.ones((2000, columns), np.float32)
        np.testing.assert_array_equal(function(x), x.sum(axis=1))
    assert len(function.specialisations) == 4  # three lengths, and one for all others
