"""`@jit`: numeric functions in NumPy's terms, compiled to native code for the arrays they get.

A call is specialised on what the code depends on: dtypes, ranks, which extents are 1, which are equal.
The machine code takes extents and strides as they come: arrays are never copied, and a transposed
or sliced one is as good as any. Code is kept in memory for each specialisation, and on disk for the
next process.
"""

import inspect
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast, overload

from flowc.compiler.python.definitions import Definition, Settings
from flowc.compiler.python.source import Sources, locate
from flowc.compiler.python.specialise import (
    ArgumentType,
    argument_types,
    counting_parameters,
    fixed_parameters,
)

P = ParamSpec("P")
R = TypeVar("R")

REMEMBERED = 4096
"""How many combinations of shapes are remembered before the quick table is emptied."""


class Jit(Definition[P, R]):
    """A numeric function that compiles itself for the dtypes and ranks that it meets."""

    def __init__(self, function: Callable[P, R]) -> None:
        super().__init__("kernel", function, Settings())
        self._by_shape: dict[tuple[object, ...], Callable[..., Any]] = {}
        self._by_type: dict[tuple[ArgumentType, ...], Callable[..., Any]] = {}
        self._lock = threading.Lock()
        self._signature = inspect.signature(function)
        self._fixed: frozenset[str] | None = None
        self._counts: frozenset[str] = frozenset()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs the native code, after compiling it where these types are new."""
        if not kwargs:
            code = self._by_shape.get(self._key(args))
            if code is not None:
                return cast(R, code(*args))
        return cast(R, self._bind(args, kwargs))

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = bound.args
        code = self._code(arguments)
        if len(self._by_shape) >= REMEMBERED:
            self._by_shape.clear()
        self._by_shape[self._key(arguments)] = code
        return code(*arguments)

    def _key(self, arguments: tuple[Any, ...]) -> tuple[object, ...]:
        """Whole numbers count by value where some parameter is fixed in the code, else only by type."""
        if self._fixed:
            return tuple([(x.dtype, x.shape) if hasattr(x, "dtype") else (type(x), x) for x in arguments])
        return tuple([(x.dtype, x.shape) if hasattr(x, "dtype") else type(x) for x in arguments])

    def _code(self, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        """The native code for these arguments, compiled once for each combination of types."""
        if self._fixed is None:
            node = locate(self.function, Sources())[1]
            self._counts = counting_parameters(node)
            self._fixed = fixed_parameters(node)
        names = list(self._signature.parameters)
        types = argument_types(self.__name__, names, arguments, self._fixed, self._counts)
        with self._lock:
            if types not in self._by_type:
                from flowc.compiler.python.native import compile_native

                self._by_type[types] = compile_native(self, tuple(names), types)
            return self._by_type[types]

    def check(self, *arguments: Any) -> str:
        """What keeps the function from being compiled for these arguments, drawn; empty when nothing does."""
        from flowc.compiler.diagnostics.model import CompileError

        try:
            self._code(arguments)
        except CompileError as error:
            return "\n".join(getattr(error, "__notes__", ()))
        return ""


@overload
def jit(function: Callable[P, R], /) -> Jit[P, R]: ...
@overload
def jit() -> Callable[[Callable[P, R]], Jit[P, R]]: ...
def jit(function: Callable[..., Any] | None = None, /) -> Any:
    """Compiles a function of NumPy arrays to native code, specialised on dtypes and ranks when called."""
    return Jit if function is None else Jit(function)
