"""Which of its forms the entry of a kernel calls: dense or strided, narrow or wide; and what follows a narrow
one that stops."""

import ctypes
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from xdsl.dialects import func

from flowc.compiler.backends.cuda.module import DeviceModule, emit_module
from flowc.compiler.backends.llvm import kernels_of
from flowc.dialects.array.kernel import KernelOp
from flowc.passes.array_to_gpu import TOO_WIDE
from flowc.runtime import processor
from tests.cuda.recording import Recorder, loaded, run
from tests.cuda.written import CONSTANTS, Sites, function_of, launch, module_of

HEAD = "kernel k(x: i8[n, m]) -> i8[n, m]:\n    return x\n"
TYPES = {"contiguous": "memref<?x?xi8>", "rows": "memref<?x?xi8, strided<[?, 1]>>"}
TYPES["any"] = "memref<?x?xi8, strided<[?, ?]>>"


def lowered(kernel: KernelOp, name: str, layouts: Sequence[str], narrow: bool) -> tuple[func.FuncOp, Sites]:
    """A launch named by the form; narrow code stops where the array has 7 rows."""
    mark = f"{layouts[0]}_{'narrow' if narrow else 'wide'}"
    type_ = TYPES[layouts[0]]
    stop = f"loops.require %few else {TOO_WIDE}" if narrow else ""
    body = f'"test.op"() {{form = "{mark}"}} : () -> ()'
    text = f"""func.func @k(%x: {type_}, %out: memref<?x?xi8>) -> i64 {{
      {CONSTANTS}
      %n = memref.dim %x, %c0 : {type_}
      %c7 = arith.constant 7 : index
      %few = arith.cmpi ne, %n, %c7 : index
      {stop}
      {launch(["c1"] * 3, ["c1"] * 3, body, marks=f'device.name = "{mark}"')}
      func.return %zero : i64 }}"""
    return function_of(text), Sites()


def called(made: DeviceModule, x: Any, out: Any = None) -> list[str]:
    """The forms that a call launches."""
    recorder = Recorder()
    run(made, recorder, (x,), None if out is None else (out,))
    return [made.functions[each.function].split("_", 2)[2] for each in recorder.launches]


def made_of(text: str = HEAD, layouts: tuple[str, ...] | None = None) -> DeviceModule:
    return emit_module(kernels_of(module_of(text)), processor.host(), layouts, lowered)


@pytest.fixture(scope="module")
def made() -> DeviceModule:
    return made_of()


def test_there_is_a_wide_form_behind_the_narrow_ones(made: DeviceModule) -> None:
    assert [name.split("_", 2)[2] for name in made.functions] == [
        "contiguous_narrow", "any_narrow", "any_wide",
    ]  # fmt: skip


def test_the_first_form_that_fits_is_called(made: DeviceModule) -> None:
    x = np.zeros((4, 6), np.int8)
    assert called(made, x) == ["contiguous_narrow"]
    assert called(made, x.T) == ["any_narrow"]
    assert called(made, x[:, ::-2]) == ["any_narrow"]
    assert called(made, x[:1, :2]) == ["contiguous_narrow"]


def test_narrow_code_that_stops_is_followed_by_wide_code(made: DeviceModule) -> None:
    """What stops it is memory of its own, so the next narrow form would stop too."""
    assert called(made, np.zeros((7, 2), np.int8)) == ["any_wide"]


@pytest.mark.parametrize(
    ("shape", "strides", "wanted"),
    [
        ((1 << 15, 1 << 15), (0, 0), "any_wide"),
        (((1 << 15) - 1, 1 << 15), (0, 0), "any_narrow"),
        ((2, 1), (1 << 30, 1), "any_wide"),
        ((2, 1), ((1 << 30) - 1, 1), "any_narrow"),
        ((2, 1), (-(1 << 30), 1), "any_wide"),
        ((0, 1 << 40), (0, 0), "any_narrow"),
    ],
    ids=["as many", "almost", "as far", "almost as far", "backwards", "none"],
)
def test_large_arrays_are_for_wide_code(
    made: DeviceModule, shape: tuple[int, int], strides: tuple[int, int], wanted: str
) -> None:
    recorder = Recorder()
    status(made, recorder, shape, strides)
    assert [made.functions[each.function].split("_", 2)[2] for each in recorder.launches] == [wanted]


def status(made: DeviceModule, recorder: Recorder, shape: tuple[int, int], strides: tuple[int, int]) -> int:
    """A call with words that claim an array of this shape; nothing of it is touched."""
    cell = ctypes.c_void_p(64)
    words = [ctypes.addressof(cell), ctypes.addressof(cell), 0, *shape, *strides, *shape]
    with loaded(made, recorder) as native:
        return native(struct.pack(f"{len(words)}q", *words))


def test_code_for_one_layout_has_a_narrow_and_a_wide_form() -> None:
    made = made_of(layouts=("rows",))
    assert len(made.functions) == 2
    x = np.zeros((4, 6), np.int8)
    assert called(made, x[:, :3]) == ["rows_narrow"]
    assert called(made, np.zeros((7, 3), np.int8)) == ["rows_wide"]
