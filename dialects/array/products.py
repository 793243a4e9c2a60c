"""Operators built of products: attention and convolution.

| flowc | operator | builder |
|---|---|---|
| `flowc.attention(q, k, v, causal, window, mask, scale)` | AttentionOp | `attention` |
| `flowc.conv2d(x, w, stride, padding)` | ConvolveOp | `convolve` |

The builders stand in `products_build`, the reference semantics in `products_reference`.
"""

from xdsl.dialects.builtin import I64, DenseArrayBase, FloatAttr, IntegerAttr, IntegerType, UnitAttr
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, opt_operand_def, opt_prop_def, prop_def, result_def

from flowc.dialects.array import products_inference as inference
from flowc.dialects.array.ops import FORMAT, ArrayOperation


@irdl_op_definition
class AttentionOp(ArrayOperation):
    """`softmax(scale * query @ key.T + mask) @ value` for each head of a stack: queries [..., h, s, d], keys
    [..., g, t, d] and values [..., g, t, e] give [..., h, s, e].

    h is a multiple of g: as many neighbouring heads of queries share a head of keys. The last query stands
    at the last key: query i at position i + t - s. With `causal` it sees no key after its position, with
    `window` w only those less than w away. A mask broadcasts to [..., h, s, t]; a boolean one says what is
    seen, any other is added. A query that sees nothing gives zeros.

    With `hidden` it is the softmax to the letter: that is the score of what a boolean mask hides, and a query
    whose scores are all -inf gives NaN.
    """

    name = "array.attention"
    query = operand_def()
    key = operand_def()
    value = operand_def()
    scale = operand_def()
    mask = opt_operand_def()
    causal = opt_prop_def(UnitAttr)
    window = opt_prop_def(IntegerAttr[IntegerType])
    hidden = opt_prop_def(FloatAttr)
    result = result_def()
    assembly_format = FORMAT

    def infer(self) -> tuple[Attribute, ...]:
        mask = self.mask.type if self.mask is not None else None
        window = self.window.value.data if self.window is not None else None
        types = (self.query.type, self.key.type, self.value.type)
        return (inference.attention_type(types, self.scale.type, mask, window),)


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
