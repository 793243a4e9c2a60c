"""What a message says of values that an operator cannot take together: what each is, where it comes from, and
the smallest change that makes them fit."""

import ast
from collections.abc import Sequence
from contextlib import AbstractContextManager

from attrs import frozen

from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import SHAPES, UNSUPPORTED, Operand, Refused, misfit
from flowc.compiler.python.numeric.values import Array, Listed, Masked, Number
from flowc.compiler.python.source import File
from flowc.dialects.array import memory, ops
from flowc.dialects.array.types import Extent, ShapeError, dtype_of, is_float, shape_of, shape_text

PYTHONS = {"bool": "bool", "i64": "int", "f64": "float"}
"""What Python calls its own numbers, by the dtype in which they travel."""
OPERATORS = (ast.BinOp, ast.AugAssign)
"""The nodes of operators between two values."""
BITS = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.LShift, ast.RShift, ast.Invert)
"""The operators that whole numbers alone have."""


@frozen
class beside_operands(AbstractContextManager["beside_operands", None]):
    """Has a problem of an operator say what its operands are.

    A problem of an operand itself has its place already.
    """

    c: Context
    file: File
    node: ast.expr | ast.AugAssign
    operands: Sequence[tuple[ast.expr, object]]

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Adds to the problem what it lacks."""
        if isinstance(error, ShapeError):
            refused = misfit(error, self.file, self.node)
            self._describe(refused)
            raise refused from error
        if isinstance(error, Refused) and error.place is None and isinstance(self.node, OPERATORS):
            self._describe(error)

    def _describe(self, refused: Refused) -> None:
        if refused.code not in (SHAPES, UNSUPPORTED):
            return
        refused.operands = tuple(
            Operand(self.file, node, f"this is {described(value)}{_origin(self.file, node, value)}")
            for node, value in self.operands
            if not isinstance(value, int | float)
        )
        known = [_extent(self.c, extent) for extent in refused.conflict if isinstance(extent, str)]
        refused.why = refused.why or ", ".join(filter(None, known))
        refused.help = refused.help or _fix(self.node, refused.conflict, self.operands)


def described(value: object) -> str:
    """The type of a value as a person reads it."""
    match value:
        case Array():
            return f"`{value.dtype}{shape_text(value.shape)}`"
        case Number(weak=True):
            return f"a number of Python's, `{PYTHONS[value.dtype]}`"
        case Number():
            return f"`{value.dtype}`"
        case Masked(values=values):
            return f"what a mask picks of `{dtype_of(values.type)}{shape_text(shape_of(values.type))}`"
        case Listed():
            return "a list as long as only the run knows"
        case bool() | int() | float() | None:
            return f"`{value}`"
        case str():
            return "a text"
    name = getattr(value, "__name__", "")
    return f"`{name}`" if name else f"a {type(value).__name__}"


def _origin(file: File, node: ast.expr, value: object) -> str:
    """Where an array comes from, unless what stands there says so."""
    if isinstance(value, Number) and value.parameter:
        return ", an argument"
    if not isinstance(value, Array):
        return ""
    if value.storage.parameter:
        own = isinstance(node, ast.Name) and node.id == value.storage.parameter
        return ", an argument" if own else f", of the argument `{value.storage.parameter}`"
    site = value.storage.origin[-2] if len(value.storage.origin) > 1 else None
    if isinstance(node, ast.Name) and isinstance(site, tuple) and site[0] == file.path:
        return f", made in line {site[1] - file.offset}"
    return ""


def _extent(c: Context, name: str) -> str:
    """Which axis of which argument gives an extent its name."""
    number = c.extents.get(name)
    if number is None or not isinstance(number.value.owner, ops.DimOp):
        return ""
    dim = number.value.owner
    source = dim.source
    while isinstance(source.owner, ops.TransposeOp | memory.ReadOp):
        source = source.owner.operands[0]
    return f"{name} is `{source.name_hint}.shape[{dim.axis.value.data}]`" if source.name_hint else ""


def _fix(node: ast.AST, conflict: Sequence[Extent], operands: Sequence[tuple[ast.expr, object]]) -> str:
    """The smallest change after which the operands of an operator may fit."""
    arrays = [(ast.unparse(part), value) for part, value in operands if isinstance(value, Array)]
    if not conflict:
        return _other_dtype(node, arrays)
    if len(arrays) != 2:
        return ""
    (left, first), (right, second) = arrays
    if isinstance(node, OPERATORS) and isinstance(node.op, ast.MatMult):
        return f"`{left} @ {right}.T`" if first.shape[-1] == second.shape[-1] else ""
    for (long, whole), (short, part) in (arrays, arrays[::-1]):
        if len(part.shape) == 1 and len(whole.shape) == 2 and whole.shape[0] == part.shape[0]:
            return f"`{short}[:, None]` has an element for each row of `{long}`"
    if len(second.shape) == 2 and second.shape[::-1] == first.shape:
        return f"`{right}.T` has the shape of `{left}`"
    if isinstance(node, ast.Call):
        return ""
    return "slice one, or keep an axis of extent 1 (`keepdims=True`): equal extents fit, and 1 beside any"


def _other_dtype(node: ast.AST, arrays: Sequence[tuple[str, Array]]) -> str:
    """What to write where an operator has no form for a dtype: bits of floats, differences of bools."""
    operator = getattr(node, "op", None)
    floats = [text for text, value in arrays if is_float(value.dtype)]
    if floats and isinstance(operator, BITS):
        return f"make whole numbers of it: `{floats[0]}.astype(np.int64)`"
    bools = [text for text, value in arrays if value.dtype == "bool"]
    if bools and isinstance(operator, ast.USub):
        return f"write `~{bools[0]}`"
    return f"write `{' ^ '.join(bools)}`" if len(bools) == 2 and isinstance(operator, ast.Sub) else ""
