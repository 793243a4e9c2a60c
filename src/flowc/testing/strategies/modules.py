"""Modules of the IR for tests: what the compiler makes of programs and kernels, and what may become of that.

Modules out of operations by their recipes stand in `operations`. They all verify; one that is mutated has one
thing changed, and may be valid or not.
"""

import re

from hypothesis import strategies as st
from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, IntegerAttr, ModuleOp, StringAttr, UnitAttr, f64, i1, i64
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.rewriter import Rewriter

from flowc.compiler import syntax
from flowc.compiler.backends.plan import select
from flowc.compiler.checker import check
from flowc.compiler.diagnostics.model import Source
from flowc.compiler.driver import room
from flowc.compiler.lower import lower
from flowc.dialects.array import KernelOp, ShapeError
from flowc.dialects.flow.attributes import EffectItem, EffectsAttr, JsonAttr, LimitsAttr
from flowc.dialects.flow.types import IntType, ListType, StrType
from flowc.passes.array_memory import settle_reads
from flowc.passes.array_to_gpu import lower_kernel
from flowc.passes.array_to_gpu.prepare import prepare_for_device
from flowc.passes.array_to_gpu.unsupported import Unsupported
from flowc.passes.array_to_loops import array_to_loops
from flowc.passes.fuse_array import fuse_kernels, prepare_to_fuse
from flowc.passes.outline_launches import OutlineLaunchesPass
from flowc.passes.pipelines import O3, optimise
from flowc.passes.round_halves import round_halves
from flowc.testing.strategies import kernels
from flowc.testing.strategies.choices import Choices
from flowc.testing.strategies.programs import typed_programs

MACHINES = ("array", "fused", "loops", "device")


def lowered_module(program: syntax.Program, passes: int = 0) -> ModuleOp:
    """The IR of a program after so many passes of -O3; after one more than all, in the plan dialect."""
    with room():
        module = lower(check(program, Source("generated.flow", "")))
        optimise(module, O3[:passes], verify=False)
        return select(module) if passes > len(O3) else module


def kernel_at(module: ModuleOp, stage: str, layout: str = "rows") -> ModuleOp:
    """Kernels on their way to a machine: fused, as loops, or as launches on a device.

    Raises ShapeError and Unsupported for what has no form for devices.
    """
    made = module.clone()
    if stage in ("loops", "fused"):
        settle_reads(made)
        round_halves(made)
        prepare_to_fuse(made)
        fuse_kernels(made)
    if stage == "loops":
        array_to_loops(made, 256, layout)
    return _for_device(made, layout) if stage == "device" else made


def _for_device(made: ModuleOp, layout: str) -> ModuleOp:
    settle_reads(made)
    round_halves(made)
    prepare_to_fuse(made)
    prepare_for_device(made)
    fuse_kernels(made)
    for kernel in [op for op in made.ops if isinstance(op, KernelOp)]:
        layouts = [layout] * len(kernel.body.block.args)
        function, _ = lower_kernel(kernel, kernel.sym_name.data, layouts)
        made.body.block.insert_op_before(function, kernel)
        made.body.block.erase_op(kernel)
    OutlineLaunchesPass().apply(Context(), made)
    return made


@st.composite
def lowered_programs(draw: st.DrawFn) -> ModuleOp:
    """What the compiler has of a typed program after some of its passes."""
    return lowered_module(draw(typed_programs(8)), draw(st.integers(0, len(O3) + 1)))


def drawn_lowering(choices: Choices) -> ModuleOp:
    """What the compiler has of a kernel on its way to a processor or to a device."""
    module = kernels.drawn_kernel(choices).module
    stage, layout = choices.one(MACHINES), choices.one(("contiguous", "rows", "any"))
    try:
        return kernel_at(module, stage, layout)
    except (ShapeError, Unsupported):
        return module


# ---- one thing changed

ODD: tuple[Attribute, ...] = (
    UnitAttr(), StringAttr("nothing"), StringAttr(""), IntegerAttr(-1, i64), IntegerAttr(10**6, i64), i1, f64,
    JsonAttr.of(None), JsonAttr.of([{"hole": 1}]), JsonAttr.of({"a": []}), EffectsAttr(()), IntType(),
    ArrayAttr([StringAttr("add"), StringAttr("nothing")]), LimitsAttr((("calls", 1),)), StrType(),
    EffectsAttr((EffectItem("writes", "x"),)), ListType(StrType()),
)  # fmt: skip
"""Attributes that few places expect."""


def mutated_module(choices: Choices, module: ModuleOp) -> ModuleOp:
    """A module with an attribute, an operand or the type of a result changed."""
    changed = module.clone()
    every = [op for op in changed.walk() if op is not changed]
    if every:
        change = choices.one((_change_property, _change_property, _change_operand, _change_type, _leave_out))
        change(choices, choices.one(every), every)
    return changed


def _change_property(choices: Choices, op: Operation, every: list[Operation]) -> None:
    """Another value for a property: that of an operation beside, or one that nobody expects; or none."""
    if not op.properties:
        return
    name = choices.one([*op.properties])
    known = [each.properties[name] for each in every if name in each.properties]
    value = choices.one([None, *ODD, *known[:20]])
    if value is None:
        del op.properties[name]
    else:
        op.properties[name] = value


def _change_operand(choices: Choices, op: Operation, every: list[Operation]) -> None:
    """Another value of the module, whose type may be another one."""
    values: list[SSAValue] = [value for each in every for value in each.results]
    if op.operands and values:
        op.operands[choices.number(0, len(op.operands) - 1)] = choices.one(values)


def _change_type(choices: Choices, op: Operation, every: list[Operation]) -> None:
    """Another type for a result."""
    types = [value.type for each in every for value in each.results]
    if op.results:
        made = type(op).create(
            operands=op.operands,
            result_types=[choices.one([*types, IntType(), i1, i64]) for _ in op.results],
            properties=op.properties,
            attributes=op.attributes,
            regions=[op.detach_region(region) for region in list(op.regions)],
        )
        Rewriter.replace_op(op, made)


def _leave_out(choices: Choices, op: Operation, every: list[Operation]) -> None:
    """An operand less, or an operation that nobody needs."""
    if op.operands and choices.flag():
        op.operands = op.operands[:-1]
    elif not any(result.uses for result in op.results) and (block := op.parent_block()) is not None:
        block.detach_op(op)


def mutated_words(choices: Choices, text: str) -> str:
    """Text of a module with a few words of it left out, doubled, traded or replaced."""
    words = _WORD.findall(text)
    for _ in range(choices.number(1, 3)):
        if not words:
            break
        at, other = (choices.number(0, len(words) - 1) for _ in range(2))
        match choices.number(0, 3):
            case 0:
                del words[at]
            case 1:
                words.insert(at, words[other])
            case 2:
                words[at], words[other] = words[other], words[at]
            case _:
                words[at] = choices.one(_ODD_WORDS)
    return "".join(words)


_WORD = re.compile(r'"[^"\n]*"|\w+|\s+|.')
_ODD_WORDS = ("", "{", ">", "-1", "9" * 20, "0x7f", '"', '"x"', "%0", "i64", "none", "?", "é", "@k")
