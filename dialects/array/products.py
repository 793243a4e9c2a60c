"""Operators built of products: attention and convolution.

| flowc | operator | builder |
|---|---|---|
| `flowc.attention(q, k, v, causal, window, mask, scale)` | AttentionOp | `attention` |
| `flowc.conv2d(x, w, stride, padding)` | ConvolveOp | `convolve` |

The builders stand in `products_build`, the reference semantics in `products_reference`.
"""

from xdsl.dialects.builtin import (
    I64,
    ArrayAttr,
    DenseArrayBase,
    FloatAttr,
    IntegerAttr,
    IntegerType,
    StringAttr,
    UnitAttr,
)
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import (
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    var_operand_def,
)

from flowc.dialects.array import products_inference as inference
from flowc.dialects.array.kinds import arity
from flowc.dialects.array.ops import FORMAT, ArrayOperation


@irdl_op_definition
class AttentionOp(ArrayOperation):
    """`softmax(scale * query @ key.T) @ value` for each head of a stack: queries [..., h, s, d], keys
    [..., g, t, d] and values [..., g, t, e] give [..., h, s, e].

    h is a multiple of g: as many neighbouring heads of queries share a head of keys. The last query stands
    at the last key: query i at position i + t - s. With `causal` it sees no key after its position, with
    `window` w only those less than w away. A query that sees nothing gives zeros. What it does not see has
    the weight 0: whether that is multiplied with an infinite or NaN value, which gives NaN, is left open.

    `steps` change the scores before that, one after the other: each is the kind of an elementwise operator
    that takes the score first, and the next of `others` if it takes two. A `where` takes one of `others` as
    its condition, which says what is seen. They broadcast to [..., h, s, t].

    With `hidden` it is the softmax to the letter: that is the score of what a condition hides, and a query
    whose scores are all -inf gives NaN.
    """

    name = "array.attention"
    query = operand_def()
    key = operand_def()
    value = operand_def()
    scale = operand_def()
    others = var_operand_def()
    steps = opt_prop_def(ArrayAttr[StringAttr])
    causal = opt_prop_def(UnitAttr)
    window = opt_prop_def(IntegerAttr[IntegerType])
    hidden = opt_prop_def(FloatAttr)
    result = result_def()
    assembly_format = FORMAT

    def changes(self) -> list[tuple[str, SSAValue | None]]:
        """The steps by kind, each with what it takes beside the score."""
        others = iter(self.others)
        kinds = [kind.data for kind in self.steps or ()]
        return [(kind, None if arity[kind] == 1 else next(others)) for kind in kinds]

    def infer(self) -> tuple[Attribute, ...]:
        kinds = [kind.data for kind in self.steps or ()]
        inference.check_steps(kinds, len(self.others))
        steps = [(kind, None if other is None else other.type) for kind, other in self.changes()]
        window = self.window.value.data if self.window is not None else None
        types = (self.query.type, self.key.type, self.value.type)
        return (inference.attention_type(types, self.scale.type, steps, window),)


@irdl_op_definition
class ConvolveOp(ArrayOperation):
    """`result[n, i, j, o] = sum over a, b, c of x[n, i*s + a - p, j*t + b - q, c] * w[a, b, c, o]`, x being
    zero outside: images of channels last, and a filter for each output channel.

    `stride` is (s, t), `padding` (p, p', q, q'): what is added above, below, left and right.
    """

    name = "array.convolve"
    stride = prop_def(DenseArrayBase[I64])
    padding = prop_def(DenseArrayBase[I64])
    source = operand_def()
    filter = operand_def()
    result = result_def()
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        stride, padding = self.stride.get_values(), self.padding.get_values()
        return (inference.convolve_type(self.source.type, self.filter.type, stride, padding),)
