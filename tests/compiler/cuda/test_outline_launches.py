"""Launches become functions: what they take with them, what they are called, and when two are one."""

import pytest
from xdsl.dialects import arith, func, gpu
from xdsl.dialects.builtin import FileLineColLoc, IntAttr, ModuleOp, StringAttr, UnitAttr

from flowc.compiler.opt import opt
from flowc.passes.outline_launches import empty_module, functions_of, outline_launches
from tests.cuda.written import CONSTANTS, SCALE, function_of, launch


def outlined(text: str) -> tuple[func.FuncOp, gpu.ModuleOp]:
    function, kernels = function_of(text), empty_module()
    outline_launches(function, kernels)
    ModuleOp([function, kernels]).verify()
    function.detach()
    return function, kernels


def two(first: str, second: str, sizes: tuple[str, str] = ("c32", "c32"), marks: str = "") -> list[str]:
    """The names of the functions of two launches with these bodies."""
    text = f"""func.func @k(%x: memref<?xf32>, %y: memref<?xf32>, %f: f32, %g: f32) -> i64 {{
      {CONSTANTS}
      {launch(["c1"] * 3, [sizes[0], "c1", "c1"], first, marks=marks)}
      {launch(["c1"] * 3, [sizes[1], "c1", "c1"], second)}
      func.return %zero : i64 }}"""
    return [each.sym_name.data for each in functions_of(outlined(text)[1])]


def stored(value: str, memory: str = "x") -> str:
    return f"memref.store %{value}, %{memory}[%tx] : memref<?xf32>"


def test_what_a_body_takes_from_around_it_becomes_parameters() -> None:
    function, kernels = outlined(SCALE)
    (kernel,) = functions_of(kernels)
    assert [str(type_) for type_ in kernel.function_type.inputs] == [
        "index", "memref<?xf32>", "f32", "memref<?xf32>",
    ]  # fmt: skip
    (call,) = (op for op in function.walk() if isinstance(op, gpu.LaunchFuncOp))
    names = [value.name_hint for value in call.kernelOperands]
    assert names == ["n", "x", "f", "out"]
    assert [argument.name_hint for argument in kernel.body.block.args] == names
    assert not any(isinstance(op, gpu.LaunchOp) for op in function.walk())


def test_constants_stand_in_the_function_again() -> None:
    body = "%v = arith.constant 2.5 : f32\n" + stored("v") + "\n" + stored("half")
    text = f"""func.func @k(%x: memref<?xf32>) -> i64 {{
      {CONSTANTS}
      %half = arith.constant 0.5 : f32
      {launch(["c1"] * 3, ["c32", "c1", "c1"], body)}
      func.return %zero : i64 }}"""
    (kernel,) = functions_of(outlined(text)[1])
    assert [str(type_) for type_ in kernel.function_type.inputs] == ["memref<?xf32>"]
    assert sum(isinstance(op, arith.ConstantOp) for op in kernel.walk()) == 2


def test_known_sizes_of_a_block_are_constants_and_are_said() -> None:
    (kernel,) = functions_of(outlined(SCALE)[1])
    assert kernel.known_block_size is not None
    assert kernel.known_block_size.get_values() == (32, 1, 1)
    assert not any(isinstance(op, gpu.BlockDimOp) for op in kernel.walk())
    asked = [
        type(op) for op in kernel.walk() if isinstance(op, gpu.BlockIdOp | gpu.ThreadIdOp | gpu.GridDimOp)
    ]
    assert asked == [gpu.BlockIdOp, gpu.ThreadIdOp]


def test_unknown_sizes_of_a_block_are_asked_for() -> None:
    body = "%v = memref.load %x[%dy] : memref<?xf32>\n" + stored("v")
    text = f"""func.func @k(%x: memref<?xf32>, %threads: index) -> i64 {{
      {CONSTANTS}
      {launch(["c1"] * 3, ["c32", "threads", "c1"], body)}
      func.return %zero : i64 }}"""
    (kernel,) = functions_of(outlined(text)[1])
    assert kernel.known_block_size is None
    (asked,) = (op for op in kernel.walk() if isinstance(op, gpu.BlockDimOp))
    assert asked.dimension.data == gpu.DimensionEnum.Y


def test_bodies_that_do_the_same_to_other_values_are_one_function() -> None:
    assert two(stored("f"), stored("g", "y")) == ["k_0"]


@pytest.mark.parametrize(
    ("first", "second", "sizes"),
    [
        (stored("f"), "%v = arith.addf %f, %f : f32\n" + stored("v"), ("c32", "c32")),
        (stored("f"), stored("f"), ("c32", "c1")),
        (
            "%v = arith.constant 0.0 : f32\n" + stored("v"),
            "%v = arith.constant -0.0 : f32\n" + stored("v"),
            ("c32", "c32"),
        ),
    ],
    ids=["other work", "other blocks", "another zero"],
)
def test_bodies_that_differ_are_functions_of_their_own(
    first: str, second: str, sizes: tuple[str, str]
) -> None:
    assert two(first, second, sizes) == ["k_0", "k_1"]


def test_marks_of_a_launch_are_those_of_its_function() -> None:
    assert two(stored("f"), stored("f"), marks="device.narrow") == ["k_0", "k_1"]
    text = f"""func.func @k(%x: memref<?xf32>, %f: f32) -> i64 {{
      {CONSTANTS}
      {launch(["c1"] * 3, ["c1"] * 3, stored("f"), marks="device.narrow")}
      func.return %zero : i64 }}"""
    (kernel,) = functions_of(outlined(text)[1])
    assert kernel.attributes["device.narrow"] == UnitAttr()


def overlapping(views: str, used: str) -> bool:
    body = f'"test.op"({used}) : ({", ".join(["memref<?xf32>"] * used.count("%"))}) -> ()'
    text = f"""func.func @k(%x: memref<?xf32>, %y: memref<?xf32>, %on: i1) -> i64 {{
      {CONSTANTS}
      %n = memref.dim %x, %c0 : memref<?xf32>
      {views}
      {launch(["c1"] * 3, ["c1"] * 3, body)}
      func.return %zero : i64 }}"""
    (kernel,) = functions_of(outlined(text)[1])
    return "device.overlap" in kernel.attributes


VIEWS = """
      %v = memref.reinterpret_cast %x to offset: [0], sizes: [%n], strides: [1]
        : memref<?xf32> to memref<?xf32>
      %w = memref.reinterpret_cast %x to offset: [0], sizes: [%n], strides: [1]
        : memref<?xf32> to memref<?xf32>
      %z = arith.select %on, %v, %y : memref<?xf32>
"""


@pytest.mark.parametrize(
    ("used", "wanted"),
    [
        ("%x, %y", False),
        ("%v, %y", False),
        ("%v, %x", True),
        ("%v, %w", True),
        ("%z, %x", True),
        ("%z, %y", True),
    ],
)
def test_a_function_says_where_its_memory_may_overlap(used: str, wanted: bool) -> None:
    assert overlapping(VIEWS, used) == wanted


def test_names_are_words_of_c() -> None:
    text = SCALE.replace("@scale", '@"größe.3"').replace('"scaled"', '"rows of x"')
    (kernel,) = functions_of(outlined(text)[1])
    assert kernel.sym_name.data == "gr__e_3_0_rows_of_x"


def test_functions_of_one_module_share_names_and_bodies() -> None:
    kernels = empty_module()
    for name in ("a", "b"):
        outline_launches(function_of(SCALE.replace("@scale", f"@{name}")), kernels)
    assert [each.sym_name.data for each in functions_of(kernels)] == ["a_0_scaled"]


def test_a_launch_within_a_loop_takes_the_counter_along() -> None:
    text = f"""func.func @k(%x: memref<?xindex>) -> i64 {{
      {CONSTANTS}
      scf.for %round = %c0 to %c32 step %c1 {{
      {launch(["c1"] * 3, ["c32", "c1", "c1"], "memref.store %round, %x[%tx] : memref<?xindex>")}
      }}
      func.return %zero : i64 }}"""
    (kernel,) = functions_of(outlined(text)[1])
    assert [argument.name_hint for argument in kernel.body.block.args] == ["round", "x"]


def test_a_function_stands_where_its_launch_stood() -> None:
    function, kernels = function_of(SCALE), empty_module()
    place = FileLineColLoc(StringAttr("k.flow"), IntAttr(7), IntAttr(3))
    for op in function.walk():
        op.location = place
    outline_launches(function, kernels)
    (kernel,) = functions_of(kernels)
    (call,) = (op for op in function.walk() if isinstance(op, gpu.LaunchFuncOp))
    assert call.location == place
    assert all(op.location == place for op in kernel.walk() if not isinstance(op, gpu.ReturnOp))


def test_the_pass_puts_the_functions_into_the_module() -> None:
    printed = opt(SCALE, "scale.mlir", "outline-launches")
    assert "gpu.container_module" in printed
    assert "@kernels::@scale_0_scaled" in printed
    assert opt(printed, "again.mlir", "outline-launches") == printed
