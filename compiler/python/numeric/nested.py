"""Functions within functions, and lambdas, as expressions whose values are closures."""

import ast
import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from attrs import frozen

from flowc.compiler.python.source import File, FunctionNode


class NestedFunction(ast.expr):
    """A function as an expression, whose own statements nobody who walks the tree meets; `reads` are the
    names around it that it reads."""

    _fields = ("reads",)
    reads: list[ast.Name]
    definition: FunctionNode


@frozen(eq=False)
class Closure:
    """A function that was defined in numeric code, with its defaults and the names it sees."""

    definition: FunctionNode
    file: File
    world: Mapping[str, Any]
    names: Mapping[str, object]
    signature: inspect.Signature

    @property
    def name(self) -> str:
        """What it is called."""
        return self.definition.name


@lru_cache(maxsize=512)  # a tree is asked for at every attempt, and never changes
def with_nested(node: FunctionNode) -> FunctionNode:
    """A function with the functions in it as expressions; the same one where there are none."""
    inner = [part for part in ast.walk(node) if isinstance(part, FunctionNode | ast.Lambda)]
    if len(inner) <= 1:
        return node
    made = copy.deepcopy(node)
    made.body = [_Nesting().visit(statement) for statement in made.body]
    return made


class _Nesting(ast.NodeTransformer):
    """Puts a `NestedFunction` for each function, the inner ones first."""

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        self.generic_visit(node)
        body = ast.copy_location(ast.Return(node.body), node.body)
        made = ast.FunctionDef("<lambda>", node.args, [body], [])
        return _nested(ast.copy_location(made, node))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        if node.decorator_list:
            return node
        self.generic_visit(node)
        target = ast.copy_location(ast.Name(node.name, ast.Store()), node)
        return ast.copy_location(ast.Assign([target], _nested(node)), node)


def _nested(definition: FunctionNode) -> NestedFunction:
    given = definition.args
    bound = {part.arg for part in ast.walk(given) if isinstance(part, ast.arg)}
    bound |= {part.id for part in names_in(definition.body) if isinstance(part.ctx, ast.Store)}
    defaults = [*given.defaults, *(value for value in given.kw_defaults if value is not None)]
    reads = {part.id for part in names_in(definition.body)} - bound | {part.id for part in names_in(defaults)}
    made = NestedFunction()
    made.definition = definition
    made.reads = [ast.copy_location(ast.Name(name, ast.Load()), definition) for name in sorted(reads)]
    return ast.copy_location(made, definition)


def names_in(nodes: Sequence[ast.AST]) -> Iterator[ast.Name]:
    """The names that some nodes read or bind."""
    return (part for node in nodes for part in ast.walk(node) if isinstance(part, ast.Name))
