"""Products of vectors and matrices."""

from collections.abc import Sequence
from string import ascii_uppercase

import numpy as np
from xdsl.ir import SSAValue

from flowc.compiler.python.numeric.arithmetic import apply, to_dtype, value_of
from flowc.compiler.python.numeric.basic import Range
from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import SHAPES, Refused
from flowc.compiler.python.numeric.functions import elementwise
from flowc.compiler.python.numeric.functions.creation import arange
from flowc.compiler.python.numeric.functions.joining import stack
from flowc.compiler.python.numeric.functions.reductions import amax, stored, total
from flowc.compiler.python.numeric.functions.registry import Implementation, add, implements
from flowc.compiler.python.numeric.functions.shapes import as_array, ravel, reshape, transpose, with_axes
from flowc.compiler.python.numeric.masks import fitting
from flowc.compiler.python.numeric.subscripts import subscript
from flowc.compiler.python.numeric.values import Array
from flowc.dialects.array import build
from flowc.dialects.array.types import is_float, shape_of


@implements(np.matmul)
def matmul(c: Context, x1: object, x2: object, /, out: object = None) -> object:
    """The product of vectors, matrices or stacks of matrices."""
    if (
        isinstance(x1, Array)
        and isinstance(x2, Array)
        and len(x1.shape) > 2 == len(x2.shape)
        and x1.shape[-2] == 1
    ):
        # A stack of rows with one matrix is one matrix of rows.
        result = _inserted(c, matmul(c, _dropped(c, x1, len(x1.shape) - 2), x2), len(x1.shape) - 2)
    else:
        left, right = value_of(c, x1), value_of(c, x2)
        result = c.wrap(c.emit(build.contract(left, _as_deep(c, left, right))))
    return stored(c, result, out)


def _as_deep(c: Context, left: SSAValue, right: SSAValue) -> SSAValue:
    """The right operand of a product; where a mask says how long the contracted axis is, the run compares."""
    inner, shape = shape_of(left.type)[-1:], shape_of(right.type)
    place = max(len(shape) - 2, 0)
    return fitting(c, right, (*shape[:place], *inner, *shape[place + 1 :])) if shape else right


@implements(np.dot)
def dot(c: Context, a: object, b: object, out: object = None) -> object:
    """The product; of a number with an array, each element multiplied."""
    if not isinstance(a, Array) or not isinstance(b, Array):
        return apply(c, "mul", a, b, numpy=True)
    if len(b.shape) > 2 or (len(a.shape) > 2 and len(b.shape) == 2 and len(a.shape) != 2):
        rank = len(a.shape)
        if len(b.shape) > 2:
            raise Refused("`np.dot` of a stack has no native form", help="use `@`, or `np.einsum`")
        rows = reshape(c, a, [-1, c.extent(a, rank - 1)])
        return reshape(c, matmul(c, rows, b), [*c.extents_of(a)[:-1], c.extent(b, 1)])
    return matmul(c, a, b, out)


@implements(np.vdot)
def vdot(c: Context, a: object, b: object, /) -> object:
    """The sum of the products of all elements."""
    return matmul(c, ravel(c, a), ravel(c, b))


@implements(np.inner)
def inner(c: Context, a: object, b: object, /) -> object:
    """The sum of the products of vectors; of matrices, that of each two rows."""
    first, second = as_array(c, a), as_array(c, b)
    if len(first.shape) == len(second.shape) == 1:
        return matmul(c, first, second)
    if len(first.shape) == len(second.shape) == 2:
        return matmul(c, first, transpose(c, second))
    raise Refused("this takes two vectors or two matrices", help="use `@`, or `np.einsum`")


@implements(np.outer)
def outer(c: Context, a: object, b: object, out: object = None) -> object:
    """Every element of one vector with every element of the other."""
    first, second = ravel(c, a), ravel(c, b)
    return apply(c, "mul", with_axes(c, first, 1), second, numpy=True)


def _outer_of(kind: str) -> Implementation:
    def build_outer(c: Context, A: object, B: object, /) -> object:
        rank = len(B.shape) if isinstance(B, Array) else 0
        return apply(c, kind, with_axes(c, A, rank), B, numpy=True)

    build_outer.__doc__ = f"`{kind}` of every element of one with every element of the other."
    return build_outer


for _ufunc, _kind in elementwise.BINARY.items():
    add(_ufunc.outer, _outer_of(_kind))


@implements(np.linalg.norm)
def norm(c: Context, x: object, ord: object = None, axis: object = None, keepdims: object = False) -> object:
    """The Euclidean norm of vectors, of a whole array the Frobenius norm; also 1, inf, -inf and 2 of
    vectors."""
    array = as_array(c, x)
    if ord is None or ord == "fro" or (ord == 2 and (axis is not None or len(array.shape) == 1)):
        floats = array if is_float(array.dtype) else apply(c, "mul", array, 1.0)
        squares = apply(c, "mul", floats, floats, numpy=True)
        return apply(c, "sqrt", total(c, squares, axis, keepdims=keepdims), numpy=True)
    if axis is None and len(array.shape) != 1:
        raise Refused("matrix norms other than Frobenius' have no native form")
    magnitude = apply(c, "abs", array, numpy=True)
    if ord == 1:
        return total(c, magnitude, axis, keepdims=keepdims)
    if ord == np.inf:
        return amax(c, magnitude, axis, keepdims=keepdims)
    raise Refused("this order of norm has no native form", help="write the sum of powers")


@implements(np.einsum)
def einsum(c: Context, subscripts: object, /, *operands: object) -> object:
    """Operands by named axes: products and sums, brought to stacks of matrix products, two at a time."""
    text = c.static(subscripts, "the subscripts")
    if not isinstance(text, str):
        raise Refused("the subscripts are a text such as 'ij,jk->ik'")
    arrays = [as_array(c, operand) for operand in operands]
    terms, output = _terms(text.replace(" ", ""), [len(array.shape) for array in arrays])
    sides = [_without_repeats(c, *side) for side in zip(arrays, terms, strict=True)]
    first: object
    first, names = sides.pop(0)
    while sides:
        nearest = next((k for k, (_, other) in enumerate(sides) if set(other) & set(names)), 0)
        second, other = sides.pop(nearest)
        later = output + "".join(term for _, term in sides)
        kept = output if not sides else "".join(sorted(set(names + other) & set(later)))
        first, names = _einsum_of_two(c, (first, second), (names, other), kept), kept
    return _arranged(c, *_summed(c, first, names, output), output)


def _terms(text: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """The letters of each operand and of the result; `...` as letters of its own."""
    inputs, arrow, output = text.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(ranks):
        raise Refused(f"`{inputs}` names {len(terms)} operands, and there are {len(ranks)}", code=SHAPES)
    letters = "".join(letter for letter in ascii_uppercase if letter not in text)
    extra = [rank - len(term) + 3 for term, rank in zip(terms, ranks, strict=True) if "..." in term]
    if not arrow:
        named = sorted(x for x in set(inputs) - {",", "."} if inputs.count(x) == 1)
        output = "..." * bool(extra) + "".join(named)
    written = [_written(term, rank, letters) for term, rank in zip(terms, ranks, strict=True)]
    return written, output.replace("...", letters[: max(extra, default=0)][::-1])


def _written(term: str, rank: int, letters: str) -> str:
    """A term with `...` as letters, the last axis always the same one."""
    count = rank - len(term.replace("...", ""))
    if count < 0 or (count and "..." not in term):
        raise Refused(f"`{term}` names {len(term)} axes of an array of {rank}", code=SHAPES)
    return term.replace("...", letters[:count][::-1])


def _without_repeats(c: Context, array: Array, names: str) -> tuple[Array, str]:
    """The diagonal along two axes of one name."""
    for name in sorted(set(names)):
        while names.count(name) > 1:
            first, second = names.index(name), names.rindex(name)
            if array.shape[first] != array.shape[second] or array.shape[first] == "":
                c.need_extents(f"the axes named `{name}` have extents that differ or are not known")
            places = arange(c, c.extent(array, first))
            items = [places if axis in (first, second) else Range() for axis in range(len(names))]
            array = as_array(c, subscript(c, array, items))
            rest = names[:first] + names[first + 1 : second] + names[second + 1 :]
            names = rest[:first] + name + rest[first:] if second == first + 1 else name + rest
    return array, names


def _summed(c: Context, array: object, names: str, wanted: str) -> tuple[object, str]:
    gone = tuple(k for k, name in enumerate(names) if name not in wanted)
    left = "".join(name for name in names if name in wanted)
    if not gone:
        return array, left
    dtype = as_array(c, array).dtype
    return c.wrap(to_dtype(c, value_of(c, total(c, array, gone)), dtype)), left


def _arranged(c: Context, array: object, names: str, output: str) -> object:
    if names == output:
        return array
    if set(names) != set(output):
        raise Refused(f"`->{output}` names an axis that no operand has", code=SHAPES)
    return transpose(c, array, [names.index(name) for name in output])


def _einsum_of_two(c: Context, arrays: Sequence[object], terms: Sequence[str], output: str) -> object:
    (first, a), (second, b) = (
        _summed(c, array, term, output + other)
        for array, term, other in zip(arrays, terms, reversed(terms), strict=True)
    )
    shared = [name for name in a if name in b]
    stack = [name for name in shared if name in output]
    inner = [name for name in shared if name not in output]
    left = [name for name in a if name not in shared]
    right = [name for name in b if name not in shared]
    if len(left) <= 1 and len(right) <= 1 and len(inner) == 1:
        rows = _arranged(c, first, a, "".join([*stack, *left, *inner]))
        columns = _arranged(c, second, b, "".join([*stack, *inner, *right]))
        if stack and not left:
            rows = _inserted(c, rows, len(stack))
        if stack and not right:
            columns = with_axes(c, columns, 1)
        made = matmul(c, rows, columns)
        if stack and not right:
            made = reshape_last(c, made)
        if stack and not left:
            made = _dropped(c, made, len(stack))
        return _arranged(c, made, "".join([*stack, *left, *right]), output)
    return _broadcast_einsum(c, (first, a), (second, b), output)


def _inserted(c: Context, array: object, axis: int) -> object:
    return c.view(as_array(c, array), lambda source: build.expand(source, axis))


def _dropped(c: Context, array: object, axis: int) -> object:
    zero = c.constant(0, "i64")
    return c.view(as_array(c, array), lambda source: build.index(source, zero, axis))


def reshape_last(c: Context, array: object) -> object:
    """The last axis, of extent 1, dropped."""
    return _dropped(c, array, len(as_array(c, array).shape) - 1)


def _broadcast_einsum(
    c: Context, first: tuple[object, str], second: tuple[object, str], output: str
) -> object:
    """Every axis side by side, multiplied, and the axes that are not wanted summed."""
    names = output + "".join(sorted(set(first[1] + second[1]) - set(output)))
    sides = []
    for array, own in (first, second):
        ordered = _arranged(c, array, own, "".join(name for name in names if name in own))
        for axis, name in enumerate(names):
            if name not in own and isinstance(ordered, Array):
                ordered = _inserted(c, ordered, axis)
        sides.append(ordered)
    product = apply(c, "mul", *sides, numpy=True)
    return _summed(c, product, names, output)[0]


@implements(np.tensordot)
def tensordot(c: Context, a: object, b: object, axes: object = 2) -> object:
    """Products summed over the last axes of one and the first of the other, or over named ones."""
    first, second = as_array(c, a), as_array(c, b)
    letters = "abcdefghijklmnopqrstuvwxyz"
    names_a = letters[: len(first.shape)]
    names_b = list(letters[len(first.shape) : len(first.shape) + len(second.shape)])
    known = c.static(axes, "the axes")
    if isinstance(known, int):
        pairs = [(len(names_a) - known + k, k) for k in range(known)]
    elif isinstance(known, tuple | list) and len(known) == 2:
        sides = [list(side) if isinstance(side, tuple | list) else [side] for side in known]
        pairs = list(zip(*sides, strict=True))
    else:
        raise Refused("`axes` is a number or a pair of tuples")
    for x, y in pairs:
        names_b[y] = names_a[x]
    gone = {names_a[x] for x, _ in pairs}
    output = "".join(name for name in [*names_a, *names_b] if name not in gone)
    return einsum(c, f"{names_a},{''.join(names_b)}->{output}", first, second)


@implements(np.cross)
def cross(c: Context, a: object, b: object) -> object:
    """The vector product of vectors of three numbers, along the last axis."""
    x, y = as_array(c, a), as_array(c, b)
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        c.need_extents("`cross` takes vectors of three numbers")
    u, v = ([subscript(c, side, [Ellipsis, k]) for k in range(3)] for side in (x, y))
    terms = [
        apply(c, "sub", apply(c, "mul", u[i], v[j]), apply(c, "mul", u[j], v[i]))
        for i, j in ((1, 2), (2, 0), (0, 1))
    ]
    return stack(c, terms, -1)
