"""Code for devices written by hand, for tests of what comes behind the lowering."""

from collections.abc import Sequence

from attrs import frozen
from xdsl.dialects import func
from xdsl.dialects.builtin import LocationAttr, ModuleOp

from flowc.compiler.backends.cuda import DeviceObject, Options, compile_lowered
from flowc.compiler.backends.cuda.module import Lower
from flowc.compiler.driver import Options as DriverOptions
from flowc.compiler.driver import check_text, kernels_module
from flowc.dialects.registry import context
from flowc.dialects.text import parse_module

IDENTITIES = ("bx", "by", "bz", "tx", "ty", "tz", "gx", "gy", "gz", "dx", "dy", "dz")
"""What the body of a launch calls its block and thread ids, the sizes of the grid and those of a block."""


@frozen
class Sites:
    """A lowering's places in the program: none."""

    sites: Sequence[LocationAttr] = ()


def launch(grid: Sequence[str], block: Sequence[str], body: str, shared: str = "", marks: str = "") -> str:
    """The text of a gpu.launch; sizes are names of values, three each."""
    sizes = [*grid, *block, *([shared] if shared else [])]
    types = ", ".join(["index"] * 6 + (["i32"] if shared else []))
    identities = ", ".join(f"%{name}: index" for name in IDENTITIES)
    return f"""
  "gpu.launch"({", ".join(f"%{size}" for size in sizes)})
      <{{operandSegmentSizes = array<i32: 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, {int(bool(shared))}>}}> ({{
    ^bb0({identities}):
{body}
      "gpu.terminator"() : () -> ()
  }}) {{{marks}}} : ({types}) -> ()"""


def parsed(text: str) -> ModuleOp:
    """A verified module of IR text."""
    module = parse_module(text, ctx=context(everything=True))
    module.verify()
    return module


def function_of(text: str) -> func.FuncOp:
    """The only function of a module of IR text, taken out of it."""
    (function,) = parsed(text).ops
    assert isinstance(function, func.FuncOp)
    function.detach()
    return function


def lowering(text: str) -> Lower:
    """A lowering that gives hand-written code, whatever the kernel says."""
    return lambda kernel, name, layouts, narrow: (function_of(text), Sites())


def module_of(text: str) -> ModuleOp:
    """The kernels of a .flow program."""
    return kernels_module(check_text(text, "kernels.flow"), DriverOptions())


def by_hand(
    kernel: str, text: str, layouts: tuple[str, ...], architectures: tuple[str, ...] = ()
) -> DeviceObject:
    """A kernel's head, as .flow text with any body, compiled with hand-written code."""
    options = Options(architectures=architectures, layouts=layouts, cached=False)
    return compile_lowered(module_of(kernel), options, lowering(text))


CONSTANTS = """
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c32 = arith.constant 32 : index
  %zero = arith.constant 0 : i64
"""

SCALE = f"""
func.func @scale(%x: memref<?xf32>, %f: f32, %out: memref<?xf32>) -> i64 {{
{CONSTANTS}
  %n = memref.dim %x, %c0 : memref<?xf32>
  %c31 = arith.constant 31 : index
  %more = arith.addi %n, %c31 : index
  %blocks = arith.divui %more, %c32 : index
{
    launch(
        ["blocks", "c1", "c1"],
        ["c32", "c1", "c1"],
        '''
      %start = arith.muli %bx, %dx : index
      %i = arith.addi %start, %tx : index
      %inside = arith.cmpi slt, %i, %n : index
      scf.if %inside {
        %v = memref.load %x[%i] : memref<?xf32>
        %w = arith.mulf %v, %f : f32
        memref.store %w, %out[%i] : memref<?xf32>
      }''',
        marks='device.name = "scaled"',
    )
}
  func.return %zero : i64
}}
"""
"""`scale(x: f32[n], f: f32) -> f32[n]`: a thread for each element."""
