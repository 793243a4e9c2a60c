"""One call of a Python function while it is translated: its file, its names, the world it sees."""

import ast
import builtins
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

from flowc.compiler.python.closures import closure
from flowc.compiler.python.numeric.context import Context
from flowc.compiler.python.numeric.errors import UNSETTLED, Refused
from flowc.compiler.python.numeric.jumps import structured
from flowc.compiler.python.numeric.nested import Closure, with_nested
from flowc.compiler.python.numeric.values import Array, Origin
from flowc.compiler.python.source import File, FunctionNode, Sources


@define
class Program:
    """What all frames of one translation share: the files, the arrays taken from the world, and `run`, which
    gives what the body of a frame returns."""

    c: Context
    sources: Sources
    run: Callable[["Frame"], object]
    captured: list[Any] = field(factory=list)
    hidden: dict[int, Array] = field(factory=dict)
    capture: Callable[[Any], Array] | None = None


@define
class Frame:
    """The names of one call; `given` are the origins of the arrays that the caller sees too."""

    program: Program
    file: File
    node: FunctionNode
    world: Mapping[str, Any]
    local: frozenset[str]
    names: dict[str, object] = field(factory=dict)
    given: frozenset[Origin] = frozenset()

    @property
    def c(self) -> Context:
        """Where operators are written to."""
        return self.program.c

    def lookup(self, name: str) -> object:
        """What a name stands for; raises Refused where it may stand for nothing."""
        if name in self.names:
            return self.names[name]
        if name in self.local:
            raise Refused(
                f"`{name}` may have no value here",
                why="it is bound in a loop or in one branch only",
                help="give it a value before",
                code=UNSETTLED,
            )
        if name in self.world:
            return self.world[name]
        if hasattr(builtins, name):
            return getattr(builtins, name)
        raise Refused(f"there is nothing called `{name}`", code="E0101")


def frame_of(
    program: Program, function: Callable[..., Any] | Closure, file: File, node: FunctionNode
) -> Frame:
    """A frame of a function without values for its parameters yet."""
    node = structured(with_nested(node))
    stored = {
        part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    }
    arguments = {part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg)}
    if isinstance(function, Closure):
        return Frame(program, file, node, function.world, frozenset(stored | arguments), dict(function.names))
    world = {**function.__globals__, **closure(function)}
    return Frame(program, file, node, world, frozenset(stored | arguments))
