"""The operators of the array dialect. All are pure; shapes and dtypes follow `inference`.

The reference semantics of each stands in `reference`, the way to build one in `build`, control of kernels in
`kernel`. The attribute `inline` on any of them says that the value is recomputed where it is used instead of
stored.
"""

from abc import abstractmethod
from typing import ClassVar

from xdsl.dialects.builtin import (
    I64,
    DenseArrayBase,
    FloatAttr,
    IntegerAttr,
    IntegerType,
    StringAttr,
    UnitAttr,
    i64,
)
from xdsl.ir import Attribute, Operation
from xdsl.irdl import (
    IRDLOperation,
    ParsePropInAttrDict,
    base,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from flowc.dialects.array import inference
from flowc.dialects.array.slices import SliceSpec, dynamic_bounds, parse_slice
from flowc.dialects.array.types import ShapeError, array_type, dtype_of, is_array_type, shape_of

FORMAT = "operands `:` functional-type(operands, results) attr-dict"


class ArrayOperation(IRDLOperation):
    """An operator whose result types follow from its operands and attributes."""

    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)
    INTEGER_OPERANDS: ClassVar[tuple[int, ...]] = ()
    """Positions of operands that are i64 scalars: positions and extents."""

    @abstractmethod
    def infer(self) -> tuple[Attribute, ...]:
        """The types of the results; raises ShapeError where the operands do not fit."""

    def verify_(self) -> None:
        """Operands are arrays, and the declared results are what the shape rule gives."""
        for position, operand in enumerate(self.operands):
            if not is_array_type(operand.type):
                raise VerifyException(f"{self.name}: {operand.type} is neither an array nor a number")
            if position in self.INTEGER_OPERANDS and operand.type != i64:
                raise VerifyException(f"{self.name}: operand {position} must be i64, not {operand.type}")
        try:
            inferred = self.infer()
        except ShapeError as error:
            raise VerifyException(f"{self.name}: {error}") from error
        declared = tuple(result.type for result in self.results)
        if len(declared) != len(inferred) or not all(map(refines, declared, inferred)):
            wanted = ", ".join(map(str, inferred))
            raise VerifyException(
                f"{self.name}: results must be ({wanted}), not ({', '.join(map(str, declared))})"
            )


def refines(declared: Attribute, inferred: Attribute) -> bool:
    """Whether a declared type is the inferred one, or says more where that leaves an extent unknown."""
    if not is_array_type(declared) or dtype_of(declared) != dtype_of(inferred):
        return False
    have, want = shape_of(declared), shape_of(inferred)
    return len(have) == len(want) and all(b in ("", a) for a, b in zip(have, want, strict=True))


def agree(first: Attribute, second: Attribute) -> bool:
    """Whether two types have one dtype and rank, and no extents that are known to differ."""
    if not is_array_type(first) or not is_array_type(second) or dtype_of(first) != dtype_of(second):
        return False
    a, b = shape_of(first), shape_of(second)
    return len(a) == len(b) and all(x == y or "" in (x, y) for x, y in zip(a, b, strict=True))


@irdl_op_definition
class ConstantOp(ArrayOperation):
    """A number of any dtype."""

    name = "array.constant"
    value = prop_def(base(IntegerAttr) | base(FloatAttr))
    result = result_def()
    assembly_format = "$value attr-dict `:` type($result)"

    def infer(self) -> tuple[Attribute, ...]:
        return (self.value.type,)


@irdl_op_definition
class ElementwiseOp(ArrayOperation):
    """Applies one scalar operator (see `kinds.arity`) to broadcast operands."""

    name = "array.elementwise"
    kind = prop_def(StringAttr)
    inputs = var_operand_def()
    result = result_def()
    inline = opt_prop_def(UnitAttr)
    assembly_format = f"$kind {FORMAT}"

    def infer(self) -> tuple[Attribute, ...]:
        return (inference.elementwise_type(self.kind.data, self.operand_types),)


@irdl_op_definition
class CastOp(ArrayOperation):
    """Converts elements: to integers towards zero, saturating, NaN to 0; to f16 and bf16 to nearest even."""

    name = "array.cast"
    source = operand_def()
    result = result_def()
    inline = opt_prop_def(UnitAttr)
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        return (array_type(dtype_of(self.result.type), shape_of(self.source.type)),)


@irdl_op_definition
class ReduceOp(ArrayOperation):
    """sum, prod, min, max, mean, any or all over axes; NaN wins a min or max, an empty one is a run-time
    error."""

    name = "array.reduce"
    kind = prop_def(StringAttr)
    axes = prop_def(DenseArrayBase[I64])
    keepdims = opt_prop_def(UnitAttr)
    source = operand_def()
    result = result_def()
    inline = opt_prop_def(UnitAttr)
    assembly_format = f"$kind {FORMAT}"

    def infer(self) -> tuple[Attribute, ...]:
        axes = [int(axis) for axis in self.axes.get_values()]
        return (inference.reduce_type(self.kind.data, self.source.type, axes, self.keepdims is not None),)


@irdl_op_definition
class ArgReduceOp(ArrayOperation):
    """argmax or argmin along an axis: the first of equal extremes, the first NaN if there is one."""

    name = "array.argreduce"
    kind = prop_def(StringAttr)
    axis = prop_def(IntegerAttr[IntegerType])
    keepdims = opt_prop_def(UnitAttr)
    source = operand_def()
    result = result_def()
    assembly_format = f"$kind {FORMAT}"

    def infer(self) -> tuple[Attribute, ...]:
        if self.kind.data not in ("argmax", "argmin"):
            raise ShapeError(f"there is no position reduction `{self.kind.data}`")
        return (inference.argreduce_type(self.source.type, self.axis.value.data, self.keepdims is not None),)


@irdl_op_definition
class ContractOp(ArrayOperation):
    """`left @ right` of vectors, matrices or broadcast stacks of matrices."""

    name = "array.contract"
    left = operand_def()
    right = operand_def()
    result = result_def()
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        return (inference.contract_type(self.left.type, self.right.type),)


@irdl_op_definition
class TransposeOp(ArrayOperation):
    """The axes in the order of `permutation`; a view."""

    name = "array.transpose"
    permutation = prop_def(DenseArrayBase[I64])
    source = operand_def()
    result = result_def()
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        order = [int(axis) for axis in self.permutation.get_values()]
        return (inference.transpose_type(self.source.type, order),)


@irdl_op_definition
class SliceOp(ArrayOperation):
    """`source[start:stop:step, ...]` with Python's rules for absent and excessive bounds; a view."""

    name = "array.slice"
    spec = prop_def(StringAttr)
    source = operand_def()
    bounds = var_operand_def()
    result = result_def()
    assembly_format = f"$spec {FORMAT}"

    @property
    def slices(self) -> SliceSpec:
        """The slices as data."""
        return parse_slice(self.spec.data)

    def infer(self) -> tuple[Attribute, ...]:
        try:
            spec = self.slices
        except ValueError as error:
            raise ShapeError(str(error)) from error
        if dynamic_bounds(spec) != len(self.bounds) or any(bound.type != i64 for bound in self.bounds):
            raise ShapeError(f"slice {self.spec.data!r} needs {dynamic_bounds(spec)} bounds of type i64")
        return (inference.slice_type(self.source.type, spec),)


@irdl_op_definition
class IndexOp(ArrayOperation):
    """`source[i]` along an axis, which disappears; negative positions count from the end."""

    name = "array.index"
    INTEGER_OPERANDS: ClassVar[tuple[int, ...]] = (1,)
    axis = prop_def(IntegerAttr[IntegerType])
    source = operand_def()
    index = operand_def()
    result = result_def()
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        return (inference.index_type(self.source.type, self.axis.value.data),)


@irdl_op_definition
class GatherOp(ArrayOperation):
    """`source[indices]` along axis 0 for an array of integers; negative ones count from the end."""

    name = "array.gather"
    source = operand_def()
    indices = operand_def()
    result = result_def()
    inline = opt_prop_def(UnitAttr)
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        return (inference.gather_type(self.source.type, self.indices.type),)


@irdl_op_definition
class ExpandOp(ArrayOperation):
    """A new axis of extent 1 before `axis`; a view."""

    name = "array.expand"
    axis = prop_def(IntegerAttr[IntegerType])
    source = operand_def()
    result = result_def()
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        return (inference.expand_type(self.source.type, self.axis.value.data),)


@irdl_op_definition
class BroadcastOp(ArrayOperation):
    """`source` stretched to the extents given, one i64 per axis of the result; of a number, an array full of
    it.

    An axis that is 1 long stretches, also where only the run knows that it is; one whose extent has a name is
    as long as the result's.
    """

    name = "array.broadcast"
    source = operand_def()
    extents = var_operand_def(i64)
    result = result_def()
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        shape = shape_of(self.result.type)
        if len(shape) != len(self.extents):
            raise ShapeError(f"{len(shape)} axes need as many extents, not {len(self.extents)}")
        return (inference.broadcast_type(self.source.type, shape),)


@irdl_op_definition
class SoftmaxOp(ArrayOperation):
    """exp(x - max) / sum(exp(x - max)) along an axis."""

    name = "array.softmax"
    axis = prop_def(IntegerAttr[IntegerType])
    source = operand_def()
    result = result_def()
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        return (inference.softmax_type(self.source.type, self.axis.value.data),)


@irdl_op_definition
class TopKOp(ArrayOperation):
    """The k largest along the last axis in falling order, and their positions.

    Equal values: the lower position first. NaN counts as the largest. k outside 0..n is a run-time error.
    """

    name = "array.topk"
    INTEGER_OPERANDS: ClassVar[tuple[int, ...]] = (1,)
    source = operand_def()
    count = operand_def()
    values = result_def()
    indices = result_def()
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        shape = shape_of(self.values.type)
        if not shape:
            raise ShapeError("the values of `topk` are an array")
        return inference.topk_types(self.source.type, shape[-1])


@irdl_op_definition
class ConcatOp(ArrayOperation):
    """Arrays joined along an axis they have; to stack them along a new one, expand each first."""

    name = "array.concat"
    axis = prop_def(IntegerAttr[IntegerType])
    inputs = var_operand_def()
    result = result_def()
    inline = opt_prop_def(UnitAttr)
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        return (inference.concat_type(self.operand_types, self.axis.value.data),)


@irdl_op_definition
class IotaOp(ArrayOperation):
    """0, 1, ... below an i64 extent."""

    name = "array.iota"
    INTEGER_OPERANDS: ClassVar[tuple[int, ...]] = (0,)
    extent = operand_def()
    result = result_def()
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        shape = shape_of(self.result.type)
        if len(shape) != 1:
            raise ShapeError("an iota has one axis")
        return (inference.iota_type(shape[0]),)


@irdl_op_definition
class DimOp(ArrayOperation):
    """The extent of an axis, as i64."""

    name = "array.dim"
    axis = prop_def(IntegerAttr[IntegerType])
    source = operand_def()
    result = result_def(i64)
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        inference.normalise_axis(self.axis.value.data, len(shape_of(self.source.type)))
        return (i64,)


def is_view(op: Operation) -> bool:
    """Whether the op only renames positions, so that its value never needs storage of its own."""
    return isinstance(op, TransposeOp | SliceOp | IndexOp | ExpandOp | BroadcastOp | IotaOp)
