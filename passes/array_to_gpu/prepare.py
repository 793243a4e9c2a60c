"""What is done to kernels for a device alone, between the preparations of fusion and fusion itself."""

from xdsl.dialects.builtin import ModuleOp, UnitAttr
from xdsl.ir import Operation, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter

from flowc.dialects.array import build, ops
from flowc.dialects.array.types import dtype_of
from flowc.passes.array_to_loops.conditions import MAY_BE_EMPTY


def prepare_for_device(module: ModuleOp) -> None:
    """Takes operators apart for which a device has no form of their own."""
    for op in [op for op in module.walk() if isinstance(op, ops.SoftmaxOp)]:
        _decompose(op)


def _decompose(op: ops.SoftmaxOp) -> None:
    """A softmax as its parts, which a row of threads computes in one go together with what is around it."""
    point = InsertPoint.before(op)
    axis = op.axis.value.data
    dtype = dtype_of(op.result.type)

    def add(new: Operation) -> SSAValue:
        new.location = op.location
        Rewriter.insert_op(new, point)
        return new.results[0]

    source = op.source
    if dtype_of(source.type) != dtype:
        source = add(build.cast(source, dtype))
    wide = source if dtype not in ("f16", "bf16") else add(build.cast(source, "f32"))
    extreme = build.reduce("max", wide, [axis], keepdims=True)
    extreme.attributes[MAY_BE_EMPTY] = UnitAttr()
    top = add(extreme)
    power = add(build.elementwise("exp", [add(build.elementwise("sub", [wide, top]))]))
    total = add(build.reduce("sum", power, [axis], keepdims=True))
    result = add(build.elementwise("div", [power, total]))
    if dtype_of(result.type) != dtype:
        result = add(build.cast(result, dtype))
    op.result.replace_all_uses_with(result)
    Rewriter.erase_op(op)
