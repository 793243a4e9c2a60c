"""A second reading of programs, straight from the syntax tree: the oracle of lowering.

It covers what `tests.passes.flow_text` generates, and knows nothing of SSA, regions or flags.
"""

import operator
from collections.abc import Callable, Mapping
from types import SimpleNamespace

from flowc.compiler import syntax
from tests.passes.flow_text import GeneratedWorld

OPERATORS: Mapping[str, Callable[[object, object], object]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}


class Returned(Exception):
    """A `return` on its way out."""

    def __init__(self, value: object) -> None:
        super().__init__()
        self.value = value


class Broken(Exception):
    """A `break` on its way out."""


class Continued(Exception):
    """A `continue` on its way out."""


LEAVING = (Returned, Broken, Continued)


class Walker:
    """Runs flows of a program over a world."""

    def __init__(self, program: syntax.Program, world: GeneratedWorld) -> None:
        self.world = world
        self.callables = {
            each.name: each for each in program.declarations if isinstance(each, syntax.Callable)
        }
        self.written: list[tuple[str, dict[str, object]]] = []
        self.records = {each.name: each for each in program.declarations if isinstance(each, syntax.Record)}

    def flow(self, name: str, arguments: list[object]) -> object:
        """The value of a flow."""
        callable_ = self.callables[name]
        variables = dict(zip((p.name for p in callable_.parameters), arguments, strict=True))
        try:
            self.block(callable_.body or (), variables)
        except Returned as returned:
            return returned.value
        return None

    def block(self, statements: syntax.Block, variables: dict[str, object]) -> None:
        """Runs statements."""
        for statement in statements:
            self.statement(statement, variables)

    def statement(self, statement: syntax.Statement, variables: dict[str, object]) -> None:
        """Runs one statement."""
        match statement:
            case syntax.Assign(targets=(name,), value=value, operator=None):
                variables[name] = self.value(value, variables)
            case syntax.Assign(targets=(name,), value=value, operator=sign):
                added = self.value(value, variables)
                variables[name] = OPERATORS[str(sign).removesuffix("=")](variables[name], added)
            case syntax.ExpressionStatement(value):
                self.value(value, variables)
            case syntax.Return(value):
                raise Returned(None if value is None else self.value(value, variables))
            case syntax.Break():
                raise Broken
            case syntax.Continue():
                raise Continued
            case syntax.If(branches, otherwise):
                for test, body in branches:
                    if self.value(test, variables):
                        self.block(body, variables)
                        return
                self.block(otherwise, variables)
            case syntax.For() | syntax.While():
                self.loop(statement, variables)
            case syntax.With(body=body, transaction=True):
                self.transaction(body, variables)
            case syntax.Try(body, otherwise):
                before = dict(variables)
                try:
                    self.block(body, variables)
                except LEAVING:
                    raise
                except Exception:
                    variables.clear()
                    variables.update(before)
                    self.block(otherwise, variables)

    def transaction(self, body: syntax.Block, variables: dict[str, object]) -> None:
        """Runs a block; takes back what it wrote where it fails."""
        outer, self.written = self.written, []
        try:
            self.block(body, variables)
        except LEAVING:
            self.written = outer + self.written
            raise
        except Exception:
            for name, arguments in reversed(self.written):
                for effect in self.callables[name].effects or ():
                    if effect.undo is not None:
                        self.world.tool(effect.undo, arguments)
            self.written = outer
            raise
        self.written = outer + self.written

    def loop(self, statement: syntax.For | syntax.While, variables: dict[str, object]) -> None:
        """Runs a loop."""
        if isinstance(statement, syntax.For):
            rounds = list(self.value(statement.iterable, variables))  # type: ignore[call-overload]
        else:
            rounds = list(range(int(str(self.value(statement.bound, variables)))))
        for element in rounds:
            if isinstance(statement, syntax.For):
                variables[statement.targets[0]] = element
            elif not self.value(statement.test, variables):
                return
            try:
                self.block(statement.body, variables)
            except Broken:
                return
            except Continued:
                continue

    def value(self, expression: syntax.Expression, variables: dict[str, object]) -> object:
        """The value of an expression."""
        match expression:
            case syntax.Constant(value=value):
                return value
            case syntax.Name(id=name):
                return variables[name]
            case syntax.Binary("and", left, right):
                return self.value(left, variables) and self.value(right, variables)
            case syntax.Binary("or", left, right):
                return self.value(left, variables) or self.value(right, variables)
            case syntax.Binary(sign, left, right):
                return OPERATORS[sign](self.value(left, variables), self.value(right, variables))
            case syntax.Compare((sign,), (left, right)):
                return OPERATORS[sign](self.value(left, variables), self.value(right, variables))
            case syntax.Conditional(test, then, otherwise):
                return self.value(then if self.value(test, variables) else otherwise, variables)
            case syntax.TryElse(attempt, otherwise):
                try:
                    return self.value(attempt, variables)
                except Exception:
                    return self.value(otherwise, variables)
            case syntax.ListDisplay(items):
                return [self.value(item, variables) for item in items]
            case syntax.Attribute(source, name):
                return getattr(self.value(source, variables), name)
            case syntax.Call(syntax.Name(id=name), arguments):
                return self.call(name, arguments, variables)
            case syntax.Comprehension(element, (generator,)):
                found = []
                for item in self.value(generator.iterable, variables):  # type: ignore[attr-defined]
                    inner = {**variables, generator.targets[0]: item}
                    if all(self.value(condition, inner) for condition in generator.conditions):
                        found.append(self.value(element, inner))
                return found
        raise NotImplementedError(type(expression).__name__)

    def tool(self, name: str, arguments: dict[str, object]) -> object:
        """The result of a tool, which a transaction may have to take back."""
        result = self.world.tool(name, arguments)
        self.written.append((name, arguments))
        return result

    def call(self, name: str, arguments: tuple[syntax.Argument, ...], variables: dict[str, object]) -> object:
        """The value of a call."""
        values = [self.value(argument.value, variables) for argument in arguments]
        if name in self.records:
            fields = [argument.name or "" for argument in arguments]
            return SimpleNamespace(**dict(zip(fields, values, strict=True)))
        if name == "sleep":
            return None
        if name == "sum":
            return sum(values[0])  # type: ignore[call-overload]
        if name == "range":
            return range(int(str(values[0])))
        match self.callables[name].kind:
            case "flow":
                return self.flow(name, values)
            case "tool":
                return self.tool(name, dict(zip("ij", values, strict=False)))
        prompt = self.callables[name].prompt
        assert prompt is not None
        names = [parameter.name for parameter in self.callables[name].parameters]
        given: dict[str, object] = dict(zip(names, values, strict=False))
        parts = prompt.parts
        text = "".join(
            part if isinstance(part, str) else str(self.value(part.expression, given)) for part in parts
        )
        answer = self.world.generate(name, text, {})
        return SimpleNamespace(**answer) if isinstance(answer, dict) else answer
