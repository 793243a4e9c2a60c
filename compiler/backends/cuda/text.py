"""A `gpu.module` as readable CUDA C++: loops and branches stay what they are, values become typed locals.

The text compiles with NVRTC, and with a C++ compiler against the header in `emulation`.
"""

from collections.abc import Iterable
from math import prod

from xdsl.dialects import arith, gpu, memref, scf, vector
from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    DenseArrayBase,
    IndexType,
    MemRefType,
    StridedLayoutAttr,
    StringAttr,
    VectorType,
)
from xdsl.ir import Attribute, Block, BlockArgument, Operation, SSAValue

from flowc.compiler.backends.cuda import (
    text_arithmetic,
    text_constants,
    text_conversions,
    text_device,
    text_memory,
)
from flowc.compiler.backends.cuda.text_helpers import preamble
from flowc.compiler.backends.cuda.text_memory import row_major
from flowc.compiler.backends.cuda.text_state import Buffer, KernelWriter, Writer, bare, c_type, is_number
from flowc.dialects import device, loops

MANY_ROUNDS = 32
"""A loop of at most so many rounds, known now, is written out by the compiler."""
_MOST_THREADS = 1024
"""Threads of a block that any device has."""


def print_module(module: gpu.ModuleOp) -> str:
    """The text of all kernels of a module, in order, with the functions of ours that they call."""
    kernels, helpers = [], set[str]()
    for op in module.body.block.ops:
        if isinstance(op, gpu.FuncOp):
            w = KernelWriter()
            kernels.append(_kernel(w, op))
            helpers |= w.helpers
    return "\n".join([preamble(helpers), *kernels])


def kernel_name(function: gpu.FuncOp) -> str:
    """The name of a kernel in the text, and so in what NVRTC makes of it."""
    name = function.sym_name
    assert isinstance(name, StringAttr)
    return name.data


def _kernel(w: KernelWriter, function: gpu.FuncOp) -> str:
    name, block = kernel_name(function), function.body.block
    w.taken[name] = 1
    narrow = device.NARROW in function.attributes
    parameters = _parameters(w, function, narrow)
    _strides(w, block.args)
    write_block(w, block)
    index = "int" if narrow else "long long"
    unsigned = "unsigned" if narrow else "unsigned long long"
    return "\n".join(
        [
            f'extern "C" __global__ void {_bounds(function)}{name}({", ".join(parameters)}) {{',
            f"  using idx = {index};",
            f"  using uidx = {unsigned};",
            *w.lines,
            "}",
            f"FLOWC_KERNEL({name}, {'true' if w.together else 'false'}, {_threads(function)})",
            "",
        ]
    )


def _bounds(function: gpu.FuncOp) -> str:
    known = isinstance(function.known_block_size, DenseArrayBase)
    return f"__launch_bounds__({_threads(function)}) " if known else ""


def _threads(function: gpu.FuncOp) -> int:
    """The most threads of a block that a function is launched with."""
    sizes = function.known_block_size
    return prod(sizes.get_values()) if isinstance(sizes, DenseArrayBase) else _MOST_THREADS


def _parameters(w: KernelWriter, function: gpu.FuncOp, narrow: bool) -> list[str]:
    """Of a memref a pointer, then its dynamic extents, then its dynamic strides; numbers as they are."""
    written = _written(function)
    restrict = "" if device.OVERLAP in function.attributes else "__restrict__ "
    texts = []
    for argument in function.body.block.args:
        name = w.name(argument, "p")
        if isinstance(argument.type, MemRefType):
            kind = c_type(argument.type.get_element_type()).replace("idx", "long long")
            texts.append(f"{'' if argument in written else 'const '}{kind} *{restrict}{name}")
            texts += _layout(w, argument, argument.type, name, narrow)
        elif isinstance(argument.type, IndexType):
            texts.append(f"long long {name}")
            w.values[argument] = f"(idx){name}" if narrow else name
        elif isinstance(argument.type, VectorType):
            raise ValueError(f"a kernel takes no {argument.type}")
        else:
            texts.append(f"{c_type(argument.type)} {name}")
            w.values[argument] = name
    return texts


def _layout(
    w: KernelWriter, argument: SSAValue, type_: MemRefType[Attribute], name: str, narrow: bool
) -> list[str]:
    """The parameters that say how a memref lies."""
    texts = []

    def parameter(stem: str) -> str:
        full = w.fresh(f"{name}_{stem}")
        texts.append(f"long long {full}")
        return f"(idx){full}" if narrow else full

    shape = type_.get_shape()
    extents = [parameter(f"n{i}") if n == DYNAMIC_INDEX else str(n) for i, n in enumerate(shape)]
    strides: list[str] = []
    if isinstance(type_.layout, StridedLayoutAttr):
        given = type_.layout.get_strides()
        strides = [parameter(f"s{i}") if s is None else str(s) for i, s in enumerate(given or ())]
    w.buffers[argument] = Buffer(name, tuple(extents), tuple(strides), type_.get_element_type())
    return texts


def _strides(w: KernelWriter, arguments: Iterable[BlockArgument]) -> None:
    """The strides of memory without gaps, which no parameter says."""
    for argument in arguments:
        buffer = w.buffers.get(argument)
        if buffer is not None and not buffer.strides:
            strides = row_major(w, buffer.extents, buffer.pointer)
            w.buffers[argument] = Buffer(buffer.pointer, buffer.extents, strides, buffer.element)


def _written(function: gpu.FuncOp) -> set[SSAValue]:
    """The arguments whose memory the kernel may change."""
    found: set[SSAValue] = set()
    for op in function.walk():
        if isinstance(op, memref.StoreOp | memref.AtomicRMWOp):
            _roots(op.memref, found)
        elif isinstance(op, vector.StoreOp):
            _roots(op.base, found)
        elif isinstance(op, device.CompareExchangeOp):
            _roots(op.memory, found)
    return found


def _roots(value: SSAValue, found: set[SSAValue]) -> None:
    found.add(value)
    if isinstance(value.owner, memref.ReinterpretCastOp):
        _roots(value.owner.source, found)
    elif isinstance(value.owner, arith.SelectOp):
        _roots(value.owner.lhs, found)
        _roots(value.owner.rhs, found)


def write_block(w: KernelWriter, block: Block) -> None:
    """Writes the ops of a block in order."""
    for op in block.ops:
        writer = _writers.get(type(op))
        if writer is None:
            raise ValueError(f"no CUDA form for {op.name}")
        if not isinstance(op, arith.ConstantOp):
            w.place(op)
        writer(w, op)


def _inner(w: KernelWriter, block: Block) -> None:
    w.depth += 1
    write_block(w, block)
    w.depth -= 1


def _variables(w: KernelWriter, values: Iterable[SSAValue], stem: str) -> list[str]:
    """Names for values that change, or are known only at the end of a region."""
    names = []
    for value in values:
        if isinstance(value.type, MemRefType):
            raise ValueError("memory is not carried through control flow")
        names.append(w.name(value, stem))
    return names


def _for(w: KernelWriter, op: scf.ForOp) -> None:
    counter, *carried = op.body.block.args
    names = _variables(w, carried, "carried")
    for name, argument, start in zip(names, carried, op.iter_args, strict=True):
        w.do(f"{c_type(argument.type)} {name} = {w.operand(start)};")
        w.values[argument] = name
    low, high, step = (w.operand(value) for value in (op.lb, op.ub, op.step))
    _unrolling(w, op, low, high, step)
    i = w.values[counter] = w.name(counter, "i")
    following = f"++{i}" if step == "1" else f"{i} += {step}"
    w.do(f"for ({c_type(counter.type)} {i} = {low}; {i} < {high}; {following}) {{")
    _inner(w, op.body.block)
    _assign(w, names, op.body.block)
    w.do("}")
    for result, name in zip(op.results, names, strict=True):
        w.values[result] = name


def _unrolling(w: KernelWriter, op: scf.ForOp, low: str, high: str, step: str) -> None:
    """`loops.plain` and `loops.rolled` keep a loop one; else a short one is written out."""
    if loops.PLAIN in op.attributes or loops.ROLLED in op.attributes:
        w.do("#pragma unroll 1")
    elif all(map(is_number, (low, high, step))) and len(range(int(low), int(high), int(step))) <= MANY_ROUNDS:
        w.do("#pragma unroll")


def _assign(w: KernelWriter, names: list[str], block: Block) -> None:
    """The values that a block yields, all at once, to the variables of these names."""
    last = block.last_op
    assert isinstance(last, scf.YieldOp)
    w.depth += 1
    texts = [w.operand(value) for value in last.operands]
    for position, value in enumerate(last.operands):
        if (
            texts[position] in names and texts[position] != names[position]
        ):  # it may have its next value by then
            kept = w.fresh(f"{texts[position]}_before")
            w.do(f"const {c_type(value.type)} {kept} = {texts[position]};")
            texts[position] = kept
    for name, text in zip(names, texts, strict=True):
        if name != text:
            w.do(f"{name} = {text};")
    w.depth -= 1


def _if(w: KernelWriter, op: scf.IfOp) -> None:
    names = _variables(w, op.results, "chosen")
    for name, result in zip(names, op.results, strict=True):
        w.do(f"{c_type(result.type)} {name};")
        w.values[result] = name
    w.do(f"if ({bare(w.operand(op.cond))}) {{")
    _inner(w, op.true_region.block)
    _assign(w, names, op.true_region.block)
    if op.false_region.blocks and (names or len(op.false_region.block.ops) > 1):
        w.do("} else {")
        _inner(w, op.false_region.block)
        _assign(w, names, op.false_region.block)
    w.do("}")


def _while(w: KernelWriter, op: scf.WhileOp) -> None:
    before, after = op.before_region.block, op.after_region.block
    names = _variables(w, before.args, "carried")
    for name, argument, start in zip(names, before.args, op.arguments, strict=True):
        w.do(f"{c_type(argument.type)} {name} = {w.operand(start)};")
        w.values[argument] = name
    passed = _variables(w, op.results, "passed")
    for name, result, argument in zip(passed, op.results, after.args, strict=True):
        w.do(f"{c_type(result.type)} {name};")
        w.values[result] = w.values[argument] = name
    w.do("while (true) {")
    _inner(w, before)
    condition = before.last_op
    assert isinstance(condition, scf.ConditionOp)
    w.depth += 1
    for name, value in zip(passed, condition.args, strict=True):
        w.do(f"{name} = {w.operand(value)};")
    w.do(f"if (!{w.operand(condition.condition)}) break;")
    w.depth -= 1
    _inner(w, after)
    _assign(w, names, after)
    w.do("}")


def _nothing(w: KernelWriter, op: Operation) -> None:
    """A terminator, which the op around it has written."""


_writers: dict[type[Operation], Writer] = {
    **text_constants.writers,
    **text_arithmetic.writers,
    **text_conversions.writers,
    **text_memory.writers,
    **text_device.writers,
    scf.ForOp: _for,
    scf.IfOp: _if,
    scf.WhileOp: _while,
    scf.YieldOp: _nothing,
    scf.ConditionOp: _nothing,
    gpu.ReturnOp: _nothing,
}
