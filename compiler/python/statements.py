"""Python statements as statements of the language."""

import ast
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from flowc.compiler.python import marks
from flowc.compiler.python.annotations import TypeTable, Unsupported
from flowc.compiler.python.expressions import BINARY, WITH_A_KEY, Translator, targets
from flowc.compiler.python.source import problem
from flowc.compiler.syntax import (
    Argument,
    Assign,
    Block,
    Break,
    Call,
    Constant,
    Continue,
    ExpressionStatement,
    For,
    If,
    Name,
    Pass,
    Return,
    Span,
    Statement,
    Try,
    With,
)

_IMPORTS = "import at the top of the file; a flow calls only decorated functions and built-ins"

INSTEAD = {
    ast.While: "write `for _ in range(N):` with `if not ...: break`: every loop of a flow is bounded",
    ast.FunctionDef: "move it out of the flow and decorate it",
    ast.AsyncFunctionDef: "move it out of the flow and decorate it",
    ast.ClassDef: "move it out of the flow",
    ast.Import: _IMPORTS,
    ast.ImportFrom: _IMPORTS,
    ast.Raise: "fail inside a tool, or return an optional result",
    ast.Assert: "fail inside a tool, or return an optional result",
    ast.Match: "write `if`/`elif`",
    ast.Delete: "values never change; bind a new name",
    ast.Global: "pass the value as an argument",
    ast.Nonlocal: "pass the value as an argument",
    ast.AsyncFor: "write `for`: independent iterations run in parallel without async",
    ast.AsyncWith: "write `with flowc.limit(...)`",
}
"""What to write in place of a statement that the language lacks."""


def block(translator: Translator, types: TypeTable, nodes: Sequence[ast.stmt]) -> Block:
    """Translates the statements of a body; a leading docstring is not one."""
    return tuple(
        found for node in nodes for found in [_statement(translator, types, node)] if found is not None
    )


def _statement(self: Translator, types: TypeTable, node: ast.stmt) -> Statement | None:
    span = self.file.span(node)
    match node:
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
            return _assign(self, types, node)
        case ast.Return(value=value):
            return Return(None if value is None else self.expression(value), span=span)
        case ast.Break():
            return Break(span=span)
        case ast.Continue():
            return Continue(span=span)
        case ast.Pass():
            return Pass(span=span)
        case ast.Expr(value=ast.Constant(value=str())):
            return None
        case ast.Expr(value=value):
            return ExpressionStatement(self.expression(value), span=span)
        case ast.If():
            return _if(self, types, node)
        case ast.For():
            return _for(self, types, node)
        case ast.With():
            return _with(self, types, node)
        case ast.Try():
            return _try(self, types, node)
    word = type(node).__name__.removesuffix("Def").lower()
    title = f"a `{word}` statement is not part of a flow"
    self.problems.append(
        problem("E0081", title, self.file.first_line(node), help=INSTEAD.get(type(node), ""))
    )
    return None


def _assign(
    self: Translator, types: TypeTable, node: ast.Assign | ast.AnnAssign | ast.AugAssign
) -> Statement | None:
    span = self.file.span(node)
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    names = targets(target)
    if names is None or (isinstance(node, ast.Assign) and len(node.targets) > 1):
        help = "values never change: bind a new name, one assignment each"
        if isinstance(target, ast.Subscript) and not self.kernel:
            help = f"values never change: {WITH_A_KEY}"
        self.refuse(
            target, f"`{ast.unparse(target)} = ...` assigns to something that is not a name", help, "E0081"
        )
        return None
    if node.value is None:
        self.refuse(node, f"`{names[0]}` is declared without a value", "give it a value here", "E0081")
        return None
    value = self.expression(node.value)
    if isinstance(node, ast.AugAssign):
        operator = BINARY.get(type(node.op), "<<")
        if self.kernel:
            help = f"kernels change nothing: write `{names[0]} = {names[0]} {operator} ...`"
            self.refuse(node, f"`{ast.unparse(node)}` changes an array in place", help, "E0081")
            return None
        return Assign(names, value, operator=operator, span=span)
    if isinstance(node, ast.AnnAssign):
        return Assign(names, value, annotation=_annotation(self, types, node.annotation), span=span)
    return Assign(names, value, span=span)


def _annotation(self: Translator, types: TypeTable, node: ast.expr) -> Any:
    """A variable's annotation, which Python itself never evaluates inside a function."""
    try:
        return types.reference(_evaluate(self, node), self.file.span(node))
    except Unsupported as error:
        self.refuse(node, f"`{ast.unparse(node)}` is no type of the language", str(error), "E0084")
        return None


def _evaluate(self: Translator, node: ast.expr) -> Any:
    """The object that an annotation names, by look-up and subscription only."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Subscript(value=value, slice=ast.Tuple(elts=items)):
            return _evaluate(self, value)[tuple(_evaluate(self, item) for item in items)]
        case ast.Subscript(value=value, slice=item):
            return _evaluate(self, value)[_evaluate(self, item)]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _evaluate(self, left) | _evaluate(self, right)
        case ast.Name() | ast.Attribute():
            return self.scope.lookup(node)
    raise Unsupported("write the type by its name")


def _if(self: Translator, types: TypeTable, node: ast.If) -> If:
    branches, span = [], self.file.span(node)
    otherwise: list[ast.stmt] = [node]
    while len(otherwise) == 1 and isinstance(otherwise[0], ast.If):
        branch = otherwise[0]
        branches.append((self.expression(branch.test), block(self, types, branch.body)))
        otherwise = branch.orelse
    return If(tuple(branches), block(self, types, otherwise), span=span)


def _for(self: Translator, types: TypeTable, node: ast.For) -> Statement | None:
    names = targets(node.target)
    if names is None or node.orelse:
        what = "binds names, one or several" if names is None else "has no `else`"
        self.refuse(node.target, f"a loop {what}", "unpack, or test after the loop", "E0081")
        return None
    iterable = self.expression(node.iter)
    return For(names, iterable, block(self, types, node.body), span=self.file.span(node))


def _with(self: Translator, types: TypeTable, node: ast.With) -> Statement | None:
    limits: dict[str, Any] = {}
    first = node.items[0]
    if len(node.items) == 1 and first.optional_vars is None and _is_transaction(self, first.context_expr):
        return With((), block(self, types, node.body), transaction=True, span=self.file.span(node))
    for item in node.items:
        call = item.context_expr
        if (
            not (isinstance(call, ast.Call) and self.scope.lookup(call.func) is marks.limit)
            or item.optional_vars
        ):
            self.refuse(
                call,
                "only limits stand in a `with` of a flow, or a transaction alone",
                "write `with flowc.limit(timeout=30):`, or `with flowc.transaction():`",
                "E0081",
            )
            return None
        for keyword in call.keywords:
            value = keyword.value
            if (
                not (isinstance(value, ast.Constant) and isinstance(value.value, int | float))
                or keyword.arg is None
            ):
                self.refuse(
                    value, "a limit is a plain number", "write the number here: `timeout=30`", "E0087"
                )
                continue
            limits[keyword.arg] = value.value
    found = limit_calls(limits, self.file.span(node.items[0].context_expr))
    return With(tuple(found), block(self, types, node.body), span=self.file.span(node))


def _is_transaction(self: Translator, call: ast.expr) -> bool:
    if not isinstance(call, ast.Call) or call.args or call.keywords:
        return False
    return self.scope.lookup(call.func) is marks.transaction


def limit_calls(limits: dict[str, Any], span: Span) -> list[Call]:
    """Limits as the language writes them: `timeout(30s)`, `budget($0.02, tokens=1000)`."""
    calls: dict[str, list[Argument]] = {}
    for name, value in limits.items():
        owner, key = {
            "tokens": ("budget", "tokens"),
            "calls": ("budget", "calls"),
            "backoff": ("retry", "backoff"),
        }.get(name, (name, None))
        kind = {"timeout": "duration", "backoff": "duration", "memory": "size", "budget": "money"}.get(
            name, "int"
        )
        constant = _quantity(kind, value, span)
        calls.setdefault(owner, []).append(Argument(key, constant, span=span))
    for arguments in calls.values():
        arguments.sort(key=lambda argument: argument.name or "")
    return [Call(Name(owner, span=span), tuple(arguments), span=span) for owner, arguments in calls.items()]


def _quantity(kind: str, value: Any, span: Span) -> Constant:
    match kind:
        case "duration":
            return Constant("duration", float(value), span=span)
        case "money":
            return Constant("money", Decimal(str(value)), span=span)
        case "size":
            return Constant("size", int(value), span=span)
    return Constant("int", value, span=span)


def _try(self: Translator, types: TypeTable, node: ast.Try) -> Statement | None:
    handlers = node.handlers
    plain = (
        len(handlers) == 1
        and handlers[0].name is None
        and (handlers[0].type is None or self.scope.lookup(handlers[0].type) is Exception)
    )
    if not plain or node.orelse or node.finalbody:
        help = "write `try: ... except Exception: ...`: the second block runs when the first fails"
        self.refuse(node, "a `try` of a flow has one `except Exception:` and nothing else", help, "E0081")
        return None
    body, otherwise = block(self, types, node.body), block(self, types, handlers[0].body)
    return Try(body, otherwise, span=self.file.span(node))
