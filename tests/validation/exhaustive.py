"""The operators of lowered kernels on whole arrays of NumPy: where a domain is small, all of it is tried."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from xdsl.dialects import arith, scf
from xdsl.dialects.builtin import Float32Type, Float64Type, FloatAttr, IndexType, IntegerAttr, IntegerType
from xdsl.ir import Attribute, Block, Operation, SSAValue

Array = Any


def dtype_of(type_: Attribute, double: str = "f8") -> Any:
    """The NumPy dtype of a held type; whole numbers are signed. `double` is what stands for f64."""
    if isinstance(type_, IntegerType):
        return np.dtype(np.bool_ if type_.width.data == 1 else f"i{type_.width.data // 8}")
    return np.dtype({IndexType: "i8", Float32Type: "f4", Float64Type: double}[type(type_)])


def run(block: Block, arguments: Sequence[Array], double: str = "f8") -> dict[SSAValue, Array]:
    """The values of all operators of a block on arrays for its arguments."""
    values: dict[SSAValue, Array] = dict(zip(block.args, arguments, strict=True))
    with np.errstate(all="ignore"):
        _run(block, values, double)
    return values


def _run(block: Block, values: dict[SSAValue, Array], double: str) -> list[Array]:
    for op in block.ops:
        if isinstance(op, scf.YieldOp):
            return [values[value] for value in op.operands]
        if isinstance(op, scf.ForOp):
            carried = [values[value] for value in op.iter_args]
            for counter in range(*(int(values[bound]) for bound in (op.lb, op.ub, op.step))):
                values.update(zip(op.body.block.args, [np.int64(counter), *carried], strict=True))
                carried = _run(op.body.block, values, double)
            values.update(zip(op.results, carried, strict=True))
            continue
        target = dtype_of(op.results[0].type, double)
        found = (
            _constant(op)
            if isinstance(op, arith.ConstantOp)
            else _result(op, [values[v] for v in op.operands])
        )
        values[op.results[0]] = np.asarray(found).astype(target)
    return []


def _constant(op: arith.ConstantOp) -> int | float:
    assert isinstance(op.value, IntegerAttr | FloatAttr)
    number: int | float = op.value.value.data
    return number


def _result(op: Operation, given: Sequence[Array]) -> Array:
    if isinstance(op, arith.CmpiOp):
        return _COMPARED[op.predicate.value.data](*given)
    return _OPERATORS[type(op)](*given)


def _truncated(a: Array, b: Array) -> Array:
    """The quotient towards zero; a division that traps in hardware must not be asked for."""
    assert np.all(b != 0)
    low = np.iinfo(a.dtype).min
    assert not np.any((a == low) & (b == -1))
    return np.sign(a) * np.sign(b) * (np.abs(a.astype(np.int64)) // np.abs(b.astype(np.int64)))


def _bits(a: Array) -> Array:
    return a.view(a.dtype.str.replace("i", "u")) if a.dtype.kind == "i" else a


def _unsigned(function: Callable[..., Array]) -> Callable[..., Array]:
    def on_bits(*given: Array) -> Array:
        return function(*map(_bits, given))

    return on_bits


def _divided(function: Callable[..., Array]) -> Callable[..., Array]:
    def checked(a: Array, b: Array) -> Array:
        assert np.all(b != 0)
        return function(_bits(a), _bits(b))

    return checked


def _same(a: Array) -> Array:
    return a


_COMPARED: tuple[Callable[..., Array], ...] = (
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    *map(_unsigned, (np.less, np.less_equal, np.greater, np.greater_equal)),
)  # fmt: skip
_OPERATORS: dict[type[Operation], Callable[..., Array]] = {
    arith.AddiOp: np.add, arith.SubiOp: np.subtract, arith.MuliOp: np.multiply, arith.DivSIOp: _truncated,
    arith.DivUIOp: _divided(np.floor_divide), arith.RemUIOp: _divided(np.mod),
    arith.AndIOp: np.bitwise_and, arith.OrIOp: np.bitwise_or, arith.XOrIOp: np.bitwise_xor,
    arith.ShRUIOp: _unsigned(np.right_shift), arith.SelectOp: np.where, arith.DivfOp: np.divide,
    arith.SIToFPOp: _same, arith.FPToSIOp: np.trunc, arith.TruncIOp: _same, arith.ExtSIOp: _same,
    arith.ExtUIOp: _bits, arith.AddfOp: np.add, arith.SubfOp: np.subtract,
}  # fmt: skip
