"""Python expressions as expressions of the language: one function a kind, dispatched by a table."""

import ast
import enum
import types
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from attrs import define

from flowc.compiler.diagnostics.model import Diagnostic
from flowc.compiler.python.arrays import (
    OVER_FIRST_AXIS,
    axis_argument,
    clipped,
    expanded,
    is_numpy,
    is_ufunc,
    joined_parts,
    new_axes,
    reordered,
)
from flowc.compiler.python.defaults import left_out
from flowc.compiler.python.literals import literal, scalar
from flowc.compiler.python.scope import MISSING, NUMPY_INSTEAD, Cast, Scope, known_function
from flowc.compiler.python.source import File, problem
from flowc.compiler.syntax import (
    Argument,
    Attribute,
    Binary,
    Call,
    Compare,
    Comprehension,
    Conditional,
    Constant,
    DictDisplay,
    Expression,
    Generator,
    Hole,
    ListDisplay,
    Name,
    Slice,
    Span,
    Subscript,
    Template,
    Unary,
)

BINARY = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.MatMult: "@", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^",
}  # fmt: skip
COMPARE = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.In: "in",
    ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not",
}  # fmt: skip
WITH_A_KEY = "`flowc.put(values, key, value)` gives a new dict in which the key has the value"
INSTEAD = {
    ast.Lambda: "write the expression where it is used, or a comprehension",
    ast.DictComp: f"build a list of records, or add keys in a loop: {WITH_A_KEY}",
    ast.SetComp: "use a list comprehension and `sorted` or a tool that removes duplicates",
    ast.Set: "use a list",
    ast.Tuple: "name the parts: return a dataclass, or assign in separate statements",
    ast.NamedExpr: "assign in a statement before",
    ast.Await: "call it plainly: independent calls run in parallel without await",
    ast.Yield: "return a list",
    ast.Starred: "pass the arguments one by one",
}
"""What to write in place of an expression that the language lacks."""
IN_KERNELS = INSTEAD | {
    ast.Tuple: "a kernel gives one value, or what `topk` or another kernel gives; `@flowc.jit` gives tuples"
}


class Callables(Protocol):
    """Finds the declared name behind a Python object that is a decorated function, a record or an enum."""

    def declared(self, value: object, span: Span) -> str | None:
        """The name of the declaration, made on first use; None for any other object."""


@define
class Translator:
    """What the translation of one function carries along: where it is, what names mean, what was wrong."""

    file: File
    scope: Scope
    callables: Callables
    problems: list[Diagnostic]
    kernel: bool = False

    def expression(self, node: ast.expr) -> Expression:
        """Translates one expression; what the language lacks is noted and stands as `none`."""
        translate = _TRANSLATORS.get(type(node))
        if translate is not None:
            return translate(self, node)
        where, instead = ("kernel", IN_KERNELS) if self.kernel else ("flow", INSTEAD)
        return self.refuse(node, f"{_words(node)} is not part of a {where}", instead.get(type(node), ""))

    def refuse(self, node: ast.AST, title: str, help: str, code: str = "E0082") -> Expression:
        """Notes a problem at a node."""
        span = self.file.span(node)
        self.problems.append(problem(code, title, span, help=help))
        return Constant("none", None, span=span)

    def all(self, nodes: Sequence[ast.expr]) -> tuple[Expression, ...]:
        """Translates several expressions."""
        return tuple(self.expression(node) for node in nodes)


def _words(node: ast.AST) -> str:
    name = type(node).__name__
    spelled = "".join(" " + c.lower() if c.isupper() else c for c in name).strip()
    return f"a {spelled}" if spelled[0] not in "aeiou" else f"an {spelled}"


def _constant(self: Translator, node: ast.Constant) -> Expression:
    found = literal(node.value, self.file.span(node))
    return found or self.refuse(node, f"{node.value!r} is not a value of the language", "")


def _name(self: Translator, node: ast.Name | ast.Attribute) -> Expression:
    """A variable, a field, or something of the world: a decorated function, an enum's member, a constant."""
    span = self.file.span(node)
    value = self.scope.lookup(node)
    if value is MISSING:
        if isinstance(node, ast.Attribute):
            return Attribute(self.expression(node.value), node.attr, span=span)
        return Name(node.id, span=span)
    return _world(self, node, value, span)


def _world(self: Translator, node: ast.Name | ast.Attribute, value: Any, span: Span) -> Expression:
    """An object that the function sees but does not own, as an expression."""
    if isinstance(value, enum.Enum):
        owner = self.callables.declared(type(value), span)
        return Attribute(Name(owner or type(value).__name__, span=span), value.name, span=span)
    if isinstance(known_function(type(value)), Cast) and hasattr(value, "item"):
        return scalar(value, span)
    declared = self.callables.declared(value, span)
    if declared is not None:
        return Name(declared, span=span)
    known = known_function(value)
    if isinstance(known, str):
        return Name(known, span=span)
    if isinstance(known, Cast):
        return Name(known.dtype, span=span)
    constant = literal(value, span)
    if constant is not None:
        return constant
    shown = ast.unparse(node)
    name = getattr(value, "__name__", shown)
    if (getattr(value, "__module__", None) or type(value).__module__).startswith("numpy"):
        help = NUMPY_INSTEAD.get(name, "compute it in a tool, or from the functions that are built in")
        return self.refuse(node, f"NumPy's `{name}` is not built in", help, "E0092")
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType | types.MethodType):
        help = f'decorate it: `@flowc.tool(effects="pure")` above `def {name}`'
        return self.refuse(node, f"`{shown}` is an ordinary Python function", help, "E0085")
    if isinstance(value, types.ModuleType):
        help = "a module itself is no value: look at the name behind the dot"
        return self.refuse(node, f"the module `{shown}` has no such name", help, "E0086")
    title = f"`{shown}` is a Python {type(value).__name__}, which a flow cannot hold"
    help = "pass it to a tool's own module, or make it a number, a string, or a list of these"
    return self.refuse(node, title, help, "E0086")


def _call(self: Translator, node: ast.Call) -> Expression:
    span = self.file.span(node)
    match node.func, node.args:
        case ast.Attribute(value=value, attr="astype"), [dtype] if not node.keywords:
            cast = known_function(self.scope.lookup(dtype))
            if isinstance(cast, Cast):
                argument = Argument(None, self.expression(value), span=self.file.span(value))
                return Call(Name(cast.dtype, span=self.file.span(dtype)), (argument,), span=span)
        case ast.Attribute(
            value=value, attr="append" | "extend" | "insert" | "pop" | "sort" | "update" as name
        ), _:
            help = "values never change: write `xs = xs + [x]`, `sorted(xs)`"
            if self.scope.lookup(value) is MISSING:
                return self.refuse(node, f"`.{name}` changes a value in place", help)
    listed = _listed(self, node)
    if listed is not None:
        return listed
    function = self.scope.lookup(node.func)
    arranged = _of_array(self, node, function)
    if arranged is not None:
        return arranged
    positional, called = list(node.args), None
    if is_numpy(function, "concatenate", "concat"):
        positional = [*(joined_parts(node) or ()), *node.args[1:]]
        called = Name("concat", span=self.file.span(node.func))
    arguments = [Argument(None, self.expression(item), span=self.file.span(item)) for item in positional]
    for keyword in node.keywords:
        if keyword.arg is None:
            self.refuse(
                keyword.value, "`**` hides which arguments a call has", "pass the arguments one by one"
            )
        else:
            arguments.append(
                Argument(keyword.arg, self.expression(keyword.value), span=self.file.span(keyword))
            )
    arguments += left_out(function, len(node.args), arguments, span)
    if self.kernel and len(arguments) == 1 and _hashable(function) and function in OVER_FIRST_AXIS:
        arguments.append(axis_argument(0, span))
    if is_numpy(function, "cumsum") and not any(argument.name == "axis" for argument in arguments):
        return self.refuse(
            node, "`np.cumsum` runs over all elements when no axis is said", "say `axis=`", "E0092"
        )
    call = Call(called or self.expression(node.func), tuple(arguments), span=span)
    if self.kernel and is_ufunc(function) and all(_is_number(argument.value) for argument in arguments):
        return Call(Name("f64", span=span), (Argument(None, call, span=span),), span=span)
    return call


def _of_array(self: Translator, node: ast.Call, function: Any) -> Expression | None:
    """NumPy's calls on whole arrays whose arguments the language writes differently."""
    span = self.file.span(node)
    if is_numpy(function, "clip") and len(node.args) == 3 and not node.keywords:
        value, low, high = self.all(node.args)
        return clipped(value, low, high, span)
    method = isinstance(node.func, ast.Attribute) and node.func.attr == "transpose" and function is MISSING
    moved = reordered(node, not method) if method or is_numpy(function, "transpose") else None
    if moved is None:
        return None
    source, axes = moved
    order = ListDisplay(tuple(self.all(axes)), span=span)
    arguments = (Argument(None, self.expression(source), span=span), Argument("axes", order, span=span))
    return Call(Name("transpose", span=span), arguments, span=span)


def _is_number(expression: Expression) -> bool:
    """Whether an expression is made of literals and extents only: a plain number to Python."""
    match expression:
        case Constant() | Subscript(value=Attribute(name="shape")) | Attribute(name="size" | "ndim"):
            return True
        case Call(function=Name(id="len")):
            return True
        case Unary(operand=operand):
            return _is_number(operand)
        case Binary(left=left, right=right):
            return _is_number(left) and _is_number(right)
    return False


def _listed(self: Translator, node: ast.Call) -> Expression | None:
    """`list(x)` and `x.tolist()`: the elements one by one, which a comprehension says."""
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr="tolist"), args=[], keywords=[]):
            pass
        case ast.Call(func=ast.Name() as function, args=[value], keywords=[]):
            if self.scope.lookup(function) is not list:
                return None
        case _:
            return None
    span = self.file.span(node)
    each = Generator(("item",), self.expression(value), span=span)
    return Comprehension(Name("item", span=span), (each,), span=span)


def _hashable(value: object) -> bool:
    return type(value).__hash__ is not None


def _binary(self: Translator, node: ast.BinOp) -> Expression:
    operator = BINARY.get(type(node.op))
    if operator is None:
        return self.refuse(
            node, f"the operator of `{ast.unparse(node)}` is not part of a flow", "multiply or divide"
        )
    return Binary(
        operator, self.expression(node.left), self.expression(node.right), span=self.file.span(node)
    )


def _boolean(self: Translator, node: ast.BoolOp) -> Expression:
    operator = "and" if isinstance(node.op, ast.And) else "or"
    first, *rest = self.all(node.values)
    for item in rest:
        span = Span(first.span.line, first.span.column, item.span.end_line, item.span.end_column)
        first = Binary(operator, first, item, span=span)
    return first


def _unary(self: Translator, node: ast.UnaryOp) -> Expression:
    operand, span = self.expression(node.operand), self.file.span(node)
    match node.op:
        case ast.USub():
            return Unary("-", operand, span=span)
        case ast.UAdd():
            return Unary("+", operand, span=span)
        case ast.Not():
            return Unary("not", operand, span=span)
    return Unary("~", operand, span=span)


def _compare(self: Translator, node: ast.Compare) -> Expression:
    operators = tuple(COMPARE[type(operator)] for operator in node.ops)
    return Compare(operators, self.all([node.left, *node.comparators]), span=self.file.span(node))


def _conditional(self: Translator, node: ast.IfExp) -> Expression:
    test, then, otherwise = self.all([node.test, node.body, node.orelse])
    return Conditional(test, then, otherwise, span=self.file.span(node))


def _list(self: Translator, node: ast.List) -> Expression:
    return ListDisplay(self.all(node.elts), span=self.file.span(node))


def _dict(self: Translator, node: ast.Dict) -> Expression:
    if any(key is None for key in node.keys):
        return self.refuse(node, "`**` hides which keys a dict has", WITH_A_KEY)
    keys = self.all([key for key in node.keys if key is not None])
    return DictDisplay(tuple(zip(keys, self.all(node.values), strict=True)), span=self.file.span(node))


def _subscript(self: Translator, node: ast.Subscript) -> Expression:
    items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    axes = new_axes([_plain_none(self, item) for item in items])
    if axes:
        kept = tuple(_index(self, item) for item in items if not _is_new_axis(self, item))
        return expanded(self.expression(node.value), kept, axes, self.file.span(node))
    indices = tuple(_index(self, item) for item in items)
    return Subscript(self.expression(node.value), indices, span=self.file.span(node))


def _is_new_axis(self: Translator, node: ast.expr) -> bool:
    """`None`, or `np.newaxis`, which is None."""
    if isinstance(node, ast.Constant):
        return node.value is None
    return isinstance(node, ast.Name | ast.Attribute) and self.scope.lookup(node) is None


def _plain_none(self: Translator, node: ast.expr) -> ast.expr:
    return ast.Constant(None) if _is_new_axis(self, node) else node


def _index(self: Translator, node: ast.expr) -> Expression | Slice:
    if not isinstance(node, ast.Slice):
        return self.expression(node)
    start, stop, step = [
        None if part is None else self.expression(part) for part in (node.lower, node.upper, node.step)
    ]
    return Slice(start, stop, step, span=self.file.span(node))


def _comprehension(self: Translator, node: ast.ListComp | ast.GeneratorExp) -> Expression:
    generators = []
    for part in node.generators:
        names = targets(part.target)
        if names is None or part.is_async:
            return self.refuse(
                part.target, "a comprehension binds names, one or several", "unpack in two steps"
            )
        span = self.file.span(part.target)
        generators.append(Generator(names, self.expression(part.iter), self.all(part.ifs), span=span))
    return Comprehension(self.expression(node.elt), tuple(generators), span=self.file.span(node))


def targets(node: ast.expr) -> tuple[str, ...] | None:
    """The names that an assignment or a loop binds, or None when it binds anything else."""
    match node:
        case ast.Name(id=name):
            return (name,)
        case ast.Tuple(elts=items) | ast.List(elts=items) if all(isinstance(i, ast.Name) for i in items):
            return tuple(item.id for item in items if isinstance(item, ast.Name))
    return None


def _template(self: Translator, node: ast.JoinedStr) -> Expression:
    parts: list[str | Hole] = []
    for value in node.values:
        if isinstance(value, ast.Constant):
            parts.append(str(value.value))
        elif isinstance(value, ast.FormattedValue):
            if value.conversion != -1 or value.format_spec is not None:
                self.refuse(
                    value, "a hole of a template has no format", "format the value before: `round(x, 2)`"
                )
            parts.append(Hole(self.expression(value.value), span=self.file.span(value.value)))
    return Template(tuple(parts), span=self.file.span(node))


_TRANSLATORS: dict[type[ast.expr], Callable[[Translator, Any], Expression]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _name,
    ast.Call: _call,
    ast.BinOp: _binary,
    ast.BoolOp: _boolean,
    ast.UnaryOp: _unary,
    ast.Compare: _compare,
    ast.IfExp: _conditional,
    ast.List: _list,
    ast.Dict: _dict,
    ast.Subscript: _subscript,
    ast.ListComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.JoinedStr: _template,
}
