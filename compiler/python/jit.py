"""`@jit`: numeric functions in NumPy's terms, compiled to native code for the arrays they get.

A call is specialised on what the code depends on: dtypes, ranks, which extents are 1, which are equal, and
whether arrays lie dense. Arrays are never copied: a transposed or sliced one has code of its own. Code is
kept in memory for each specialisation, and on disk for the next process.
"""

import inspect
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType, MethodType
from typing import Any, ClassVar, Literal, ParamSpec, TypeVar, cast

from attrs import evolve

from flowc.compiler.python.definitions import Definition, Settings
from flowc.compiler.python.facts import Facts, NeedsFacts
from flowc.compiler.python.interpreted import filled
from flowc.compiler.python.mode import Mode
from flowc.compiler.python.specialisation import Specialisation, specialise
from flowc.compiler.python.specialise import ArgumentType, argument_types
from flowc.compiler.python.structure import PYTHON, given_back, in_rows, takes_out
from flowc.runtime.errors import FlowError, fail

P = ParamSpec("P")
R = TypeVar("R")

MOST_VARIANTS = 32
"""A function that has as many variants gets none for the lengths of short rows any more."""
REMEMBERED = 4096
"""How many combinations of shapes are remembered before the quick table is emptied."""

CONSTANTS = frozenset((str, tuple))
"""Types of arguments whose every value has code of its own."""

Execution = Literal["native", "interpret"]
"""How a function runs: compiled, or as the plain Python that it is, for a debugger."""


class Jit(Definition[P, R]):
    """A numeric function that compiles itself for the dtypes, ranks and layouts that it meets.

    `turns` says that an array in columns may come to the kernel transposed.
    """

    turns: ClassVar[bool] = True

    def __init__(
        self, function: Callable[P, R], options: Mode | None = None, execution: Execution = "native"
    ) -> None:
        import numpy as np

        if isinstance(function, MethodType):
            raise _no_method(function.__name__)
        if isinstance(function, Definition) or not inspect.isfunction(inspect.unwrap(function)):
            raise TypeError(f"flowc.jit compiles Python functions; {function!r} is none")
        super().__init__("kernel", function, Settings())
        self.options = options or Mode()
        self.execution = execution
        self.specialisations: dict[tuple[ArgumentType, ...], Specialisation] = {}
        self._in_rows: dict[tuple[ArgumentType, ...], Specialisation] = {}
        self._array: Any = np.ndarray
        self._numbers = {*np.sctypeDict.values()}
        self._calls: dict[tuple[object, ...], Callable[..., Any]] = {}
        self._lock = threading.Lock()
        self._signature = inspect.signature(function)
        self.names = tuple(self._signature.parameters)
        self.required = tuple(
            name for name, each in self._signature.parameters.items() if each.default is each.empty
        )
        self._facts = Facts()
        self._by_value: frozenset[type] = CONSTANTS

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs the native code, after compiling it where these types are new.

        `out=` takes a buffer for the result, or a tuple of them for several, unless the function has a
        parameter of that name.
        """
        if not kwargs:
            call = self._calls.get(self._key(args))
            if call is not None:
                return cast(R, call(args))
        elif len(kwargs) == 1 and "out" in kwargs and "out" not in self.names:
            call = self._calls.get(self._key(args))
            if call is not None:
                return cast(R, call(args, kwargs["out"]))
        return cast(R, self._run(args, kwargs))

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """The function, when it is looked up in an object; raises FlowError (E0093) for a method."""
        if instance is None or self.names[:1] not in (("self",), ("cls",)):
            return self
        if self.execution == "interpret":
            return MethodType(self, instance)
        raise _no_method(self.__name__)

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        named = dict(kwargs)
        out = None if "out" in self.names else named.pop("out", None)
        if self.execution == "interpret":
            return filled(self.function(*args, **named), out)
        arguments = self.bound(args, named)
        found = self.specialisation(arguments)
        found.check(self.names, arguments)
        rows = in_rows(found.structure)
        if out is not None and not rows:
            found = self.specialisation(arguments, in_rows=True)
        kept = found.taken(arguments)
        ready, call = found.kernel.prepare(kept)
        if not named and all(map(self._comes_again, ready, kept)) and (out is None or rows):
            self._remember(args, arguments[len(args) :], found, call)
        if out is not None:
            return self._into(found, ready, out)
        return found.finished(call(ready), self.names, arguments)

    def _comes_again(self, ready: object, given: object) -> bool:
        """Whether later calls may pass such an argument straight on: an array as it came, or NumPy's number,
        which each call reads."""
        kind = type(given)
        number = kind in self._numbers or (kind is self._array and type(ready) is not kind)
        return number or ready is given

    def _into(self, found: Specialisation, kept: tuple[Any, ...], out: Any) -> Any:
        if not takes_out(found.structure):
            raise fail(
                "E0093",
                f"`{self.__name__}` cannot write its result into `out`",
                why="what it returns is no array and no tuple of arrays that the code computes",
                help="call it without `out`, or return such a tuple",
            )
        return given_back(found.structure, found.kernel(*kept, out=out))

    def bound(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any] = MappingProxyType({})
    ) -> tuple[Any, ...]:
        """All arguments in order, with defaults."""
        if not kwargs and len(args) == len(self.names):
            return args
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return tuple(bound.arguments[name] for name in self.names)

    def _remember(
        self,
        args: tuple[Any, ...],
        defaults: tuple[Any, ...],
        found: Specialisation,
        call: Callable[..., Any],
    ) -> None:
        """Has later calls with arguments of these types and shapes go straight to the native code."""
        if len(self._calls) >= REMEMBERED:
            self._calls.clear()
        rows = in_rows(found.structure)
        if len(found.kept) == len(args) and not defaults and found.plain:
            self._calls[self._key(args)] = call
            return

        def picked(given: tuple[Any, ...], out: Any = None) -> Any:
            whole = given + defaults
            found.check(self.names, whole)
            if out is not None and not rows:
                return self._run(given, {"out": out})
            passed = found.taken(whole)
            if out is not None:
                return self._into(found, passed, out)
            result = call(passed)
            return found.finished(result, self.names, whole)

        self._calls[self._key(args)] = picked

    def _key(self, arguments: tuple[Any, ...]) -> tuple[object, ...]:
        """What tells calls apart: texts and tuples count by value, numbers where the code may depend on one.

        Values are compared as written: 1 and 1.0, 0.0 and -0.0 are equal, and yet have different code.
        """
        array, by_value = self._array, self._by_value
        return tuple(
            [
                (x.dtype, x.shape, x.strides)
                if type(x) is array
                else (type(x), repr(x))
                if type(x) in by_value
                else type(x)
                for x in arguments
            ]
        )

    def specialisation(self, arguments: tuple[Any, ...], in_rows: bool = False) -> Specialisation:
        """The native code for these arguments, compiled once for each combination of types; `in_rows` is that
        which writes where results have to lie in rows."""
        made = self._in_rows if in_rows else self.specialisations
        options = evolve(self.options, in_rows=in_rows)
        ordered = options.precise or options.reproducible  # sums have the order of the axes as given
        turns = self.turns and not ordered
        with self._lock:
            while True:
                given = (self.__name__, self.names, arguments, self._facts, turns)
                types = argument_types(*given)
                if types not in made and len(made) >= MOST_VARIANTS:
                    types = argument_types(*given, short=False)
                found = made.get(types)
                if found is not None:
                    return found
                try:
                    found = made[types] = self._specialised(types, options)
                except NeedsFacts as needed:
                    if self._facts | needed.facts == self._facts:
                        raise self._no_value(needed.facts) from None
                    self._facts |= needed.facts
                    if self._facts.values or self._facts.matches:
                        self._by_value = CONSTANTS | set(PYTHON.values()) | self._numbers

    def _specialised(self, types: tuple[ArgumentType, ...], options: Mode) -> Specialisation:
        return specialise(self, self.names, types, options)

    def _no_value(self, facts: Facts) -> FlowError:
        names = ", ".join(f"`{name}`" for name in sorted(facts.values | facts.matches))
        return fail(
            "E0093",
            f"`{self.__name__}` is compiled for the value of {names}, which an array holds",
            why="it decides what the code is, such as an axis or an extent",
            help="pass one of Python's numbers: `int(x)`",
        )

    def check(self, *arguments: Any) -> str:
        """What keeps the function from being compiled for these arguments, drawn; empty when nothing does."""
        from flowc.compiler.diagnostics.model import CompileError

        try:
            self.specialisation(arguments)
        except CompileError as error:
            return "\n".join(getattr(error, "__notes__", ()))
        return ""

    def explain(self, *arguments: Any) -> str:
        """What became of the function for these arguments: loops, memory, machine code, time, as text."""
        from flowc.compiler.python.explanation import explain

        bound, known = self.bound(arguments), tuple(self.specialisations)
        return explain(self, self.names, self.options, self.specialisation(bound), known, bound)


def _no_method(name: str) -> FlowError:
    return fail(
        "E0093",
        f"`{name}` is a method, and native code takes arrays and numbers only",
        why="its object is neither",
        help="put `@staticmethod` above `@flowc.jit`, and pass the arrays it needs: "
        f"`self.{name}(x, self.weights)`",
    )
