"""Scatters whose result goes back to the memory that they change: when it is changed where it is."""

from collections.abc import Callable

import pytest
from xdsl.dialects import memref
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, SSAValue

from flowc.dialects.array import build, irregular, irregular_build, memory
from flowc.dialects.array.reshape import reshape
from flowc.dialects.array.types import array_type
from flowc.passes.array_to_loops import array_to_loops
from flowc.passes.array_to_loops.overlap import scatters_in_place
from flowc.passes.fuse_array import fuse_array
from flowc.testing.strategies.kernels import Add, as_module, make_kernel

Body = Callable[[Add, SSAValue, SSAValue, SSAValue], SSAValue]


def store(value: SSAValue, target: SSAValue) -> None:
    assert isinstance(target.owner, Operation)
    block = target.owner.parent
    assert isinstance(block, Block)
    write = memory.write(value, target)
    write.location = target.owner.location
    block.add_op(write)


def straight(add: Add, x: SSAValue, at: SSAValue, v: SSAValue) -> SSAValue:
    ref = add(memory.variable(x))
    base = add(memory.read(ref))
    store(add(irregular_build.scatter("set", base, at, v)), base)
    return add(memory.read(ref))


def seen_otherwise(add: Add, x: SSAValue, at: SSAValue, v: SSAValue) -> SSAValue:
    ref = add(memory.variable(add(build.expand(x, 0))))
    base = add(memory.read(ref))
    extents = [add(build.dim(base, axis)) for axis in (0, 1)]
    flat = add(reshape(base, [extents[1]], ("",)))
    made = add(irregular_build.scatter("sum", flat, at, v))
    store(add(reshape(made, extents, (1, "n"))), base)
    return add(build.index(add(memory.read(ref)), add(build.constant(0, "i64"))))


def from_itself(add: Add, x: SSAValue, at: SSAValue, v: SSAValue) -> SSAValue:
    ref = add(memory.variable(x))
    base = add(memory.read(ref))
    own = add(build.elementwise("add", [add(build.gather(base, at)), v]))
    store(add(irregular_build.scatter("set", base, at, own)), base)
    return add(memory.read(ref))


def to_another(add: Add, x: SSAValue, at: SSAValue, v: SSAValue) -> SSAValue:
    ref, other = add(memory.variable(x)), add(memory.variable(x))
    made = add(irregular_build.scatter("set", add(memory.read(ref)), at, v))
    store(made, add(memory.read(other)))
    return add(memory.read(other))


def wanted_twice(add: Add, x: SSAValue, at: SSAValue, v: SSAValue) -> SSAValue:
    ref = add(memory.variable(x))
    base = add(memory.read(ref))
    made = add(irregular_build.scatter("set", base, at, v))
    store(made, base)
    return add(build.elementwise("add", [made, add(memory.read(ref))]))


def read_in_between(add: Add, x: SSAValue, at: SSAValue, v: SSAValue) -> SSAValue:
    ref = add(memory.variable(x))
    base = add(memory.read(ref))
    made = add(irregular_build.scatter("set", base, at, v))
    total = add(build.reduce("sum", base))
    store(made, base)
    return add(build.elementwise("add", [add(memory.read(ref)), total]))


def lowered(body: Body) -> tuple[bool, ModuleOp]:
    """Whether the one scatter is done in place, and the kernel's loops."""
    parameters = {
        "x": array_type("f64", ("n",)),
        "at": array_type("i64", ("m",)),
        "v": array_type("f64", ("m",)),
    }
    module = as_module(make_kernel(parameters, body))
    fuse_array(module)
    (scatter,) = (op for op in module.walk() if isinstance(op, irregular.ScatterOp))
    in_place = scatters_in_place(scatter)
    array_to_loops(module)
    return in_place, module


@pytest.mark.parametrize("body", [straight, seen_otherwise])
def test_a_scatter_back_to_its_own_memory_needs_no_other(body: Body) -> None:
    in_place, module = lowered(body)
    assert in_place
    variable = 0 if body is straight else 1  # one that is not returned whole has memory of its own
    assert sum(isinstance(op, memref.AllocOp) for op in module.walk()) == variable


@pytest.mark.parametrize("body", [from_itself, to_another, wanted_twice, read_in_between])
def test_a_scatter_is_made_apart_where_what_was_there_is_still_read(body: Body) -> None:
    in_place, module = lowered(body)
    assert not in_place
    assert any(isinstance(op, memref.AllocOp) for op in module.walk())
