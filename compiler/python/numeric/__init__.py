"""The numeric front end: a Python function of NumPy arrays, read as it is written, to a kernel of the array
dialect.

The function is run on what is known of its arguments: their dtypes, ranks and equal extents. Python numbers,
tuples and functions are themselves; arrays and run-time numbers are operators. What a statement changes in
place becomes memory, so the function is run again with those arrays as memory from the start, until nothing
new is found.
"""

import ast
from collections.abc import Sequence
from typing import Any

from attrs import frozen
from xdsl.dialects.builtin import i64
from xdsl.ir import Attribute, Block, BlockArgument

from flowc.compiler.backends.llvm.signature import signature_of
from flowc.compiler.python.definitions import Definition
from flowc.compiler.python.facts import Facts, NeedsFacts
from flowc.compiler.python.numeric.assumptions import state, wanted
from flowc.compiler.python.numeric.context import INTEGERS, Context
from flowc.compiler.python.numeric.dead import remove_dead
from flowc.compiler.python.numeric.errors import Refused, compile_error, located
from flowc.compiler.python.numeric.frame import Frame, Program, frame_of
from flowc.compiler.python.numeric.parameters import STRONG, WEAK, Parameter
from flowc.compiler.python.numeric.result import collect
from flowc.compiler.python.numeric.statements import run_body
from flowc.compiler.python.numeric.values import Array, Number, Origin
from flowc.compiler.python.source import Sources, locate
from flowc.compiler.python.structure import Structure
from flowc.dialects.array import build as operators
from flowc.dialects.array.kernel import KernelOp, ReturnOp
from flowc.dialects.array.types import Extent, RefType, ShapeError, array_type
from flowc.runtime.dtypes import dtype_name

ATTEMPTS = 12


@frozen
class Built:
    """A kernel, how to put together what the function returns, which parameters it writes, and the arrays
    from around the function that it takes as last arguments. `limits` are the numbers that must fit in a
    dtype, with it."""

    kernel: KernelOp
    structure: Structure
    written: tuple[str, ...]
    captured: tuple[Any, ...]
    limits: tuple[tuple[str, str], ...] = ()


def build(definition: Definition[..., Any], parameters: Sequence[Parameter], in_rows: bool = False) -> Built:
    """Translates a function for such arguments; `in_rows` has the kernel lay out its results that way,
    whatever NumPy does. Raises CompileError, or NeedsFacts for what must be known of the call besides."""
    sources = Sources()
    mutable: frozenset[Origin] = frozenset()
    for _ in range(ATTEMPTS):
        try:
            attempt = _Attempt(definition, parameters, sources, mutable, in_rows)
            built = attempt.run()
        except Refused as refused:
            facts = _facts(refused.conflict, parameters)
            if facts:
                raise NeedsFacts(facts) from None
            raise compile_error(refused, sources) from None
        if attempt.c.found <= mutable:
            _require_known_extents(attempt, built)
            more = wanted(built.kernel, parameters)
            if more:
                raise NeedsFacts(more)
            return built
        mutable |= attempt.c.found
    raise RuntimeError(f"the arrays that `{definition.__name__}` changes are not found")


def _open_extents(parameters: Sequence[Parameter]) -> frozenset[tuple[str, int]]:
    """The extents that the code is not made for."""
    return frozenset(
        (parameter.name, axis)
        for parameter in parameters
        for axis, extent in enumerate(parameter.dims)
        if isinstance(extent, str)
    )


def _facts(conflict: Sequence[Extent], parameters: Sequence[Parameter]) -> Facts:
    """What would settle whether two extents are equal: the numbers behind their names."""
    by_name = {
        parameter.name: parameter for parameter in parameters if not parameter.known and not parameter.dims
    }
    numbers = [by_name[extent] for extent in conflict if extent in by_name]
    if not numbers and not any(isinstance(extent, int) for extent in conflict):
        return Facts()
    return Facts(
        values=frozenset(parameter.name for parameter in numbers if parameter.same is not None),
        matches=frozenset(parameter.name for parameter in numbers if parameter.same is None),
        extents=frozenset(
            (parameter.name, axis)
            for parameter in parameters
            for axis, extent in enumerate(parameter.dims)
            if isinstance(extent, str) and extent in conflict and not numbers
        ),
    )


def _require_known_extents(attempt: "_Attempt", built: Built) -> None:
    """A caller allocates the results, so their extents follow from the arguments: from their values if
    need be."""
    try:
        signature_of(built.kernel)
    except ShapeError:
        whole = ("int", "bool", *INTEGERS)
        numbers = {p.name for p in attempt.parameters if p.dtype in whole and not p.dims and not p.known}
        if numbers:
            raise NeedsFacts(Facts(values=frozenset(numbers))) from None
        if attempt.c.open_extents and not attempt.c.picked:
            raise NeedsFacts(Facts(extents=attempt.c.open_extents)) from None
        refused = Refused(
            "an extent of what is returned depends on values that only the code computes",
            help="pass the extent as an argument, or return a larger array and the number of elements in use",
        )
        refused.place = attempt.place
        raise compile_error(refused, attempt.program.sources) from None


class _Attempt:
    """One run of the function, with some arrays in memory."""

    def __init__(
        self,
        definition: Definition[..., Any],
        parameters: Sequence[Parameter],
        sources: Sources,
        mutable: frozenset[Origin],
        in_rows: bool,
    ) -> None:
        self.definition, self.parameters, self.in_rows = definition, parameters, in_rows
        self.block = Block()
        self.c = Context(self.block, mutable, open_extents=_open_extents(parameters))
        self.program = Program(self.c, sources, run_body, capture=self._capture)
        self.names: list[str] = []
        self.values: dict[str, object] = {}

    def run(self) -> Built:
        """The kernel of this attempt."""
        c = self.c
        file, node = locate(self.definition.function, self.program.sources)
        self.place = (file, node)
        if isinstance(node, ast.AsyncFunctionDef):
            with located(file, node):
                raise Refused("an asynchronous function has no native form", help="write `def`")
        c.at(file.path, node.lineno + file.offset, 0)
        frame = frame_of(self.program, self.definition.function, file, node)
        c.calls.append(node)
        for parameter in self.parameters:
            self.values[parameter.name] = self._argument(parameter)
        self._name_extents()
        self._equate()
        frame.names.update(self.values)
        self._gather_rest(frame)
        returned = run_body(frame)
        with located(file, node):
            structure, results = collect(c, returned, self.in_rows)
        c.append(ReturnOp(*results))
        remove_dead(self.block)
        kernel = KernelOp(
            self.definition.__name__,
            ([argument.type for argument in self.block.args], [value.type for value in results]),
            None,
            self.names,
        )
        kernel.body.detach_block(0)
        kernel.body.add_block(self.block)
        kernel.location = c.location
        state(kernel, self.parameters)
        written = tuple(
            name
            for name, argument in zip(self.names, self.block.args, strict=True)
            if isinstance(argument.type, RefType)
        )
        return Built(kernel, structure, written, tuple(self.program.captured), self._limits())

    def _limits(self) -> tuple[tuple[str, str], ...]:
        """The whole numbers of Python's that must fit in a dtype, with it."""
        return tuple((name, dtype) for name, dtypes in self.c.limits.items() for dtype in sorted(dtypes))

    def _argument(self, parameter: Parameter) -> object:
        if parameter.known:
            return parameter.value
        weak = parameter.dtype in WEAK
        dtype = (WEAK | STRONG).get(parameter.dtype, parameter.dtype)
        dims = parameter.dims[::-1] if parameter.turned else parameter.dims
        value = self._append(array_type(dtype, dims), parameter.name)
        if not parameter.dims:
            if value.type == i64:
                self.c.names[value] = parameter.name
            return Number(value, weak, parameter.name)
        array = self._array(value, parameter.name)
        if parameter.turned:
            array = self.c.shown(array, operators.transpose)
        return array

    def _array(self, value: BlockArgument, name: str) -> Array:
        """The array of an argument; a reference if some statement changes it."""
        if self.c.next_origin() in self.c.mutable:
            position = value.index
            self.block.erase_arg(value)
            value = self.block.insert_arg(RefType(value.type), position)
        return self.c.argument(value, name)

    def _append(self, type_: Attribute, name: str) -> BlockArgument:
        self.names.append(name)
        value = self.block.insert_arg(type_, len(self.block.args))
        value.name_hint = name
        return value

    def _name_extents(self) -> None:
        """The named extents as numbers, once, ahead of everything."""
        c = self.c
        for value in self.values.values():
            if isinstance(value, Array):
                for axis, extent in enumerate(value.shape):
                    if isinstance(extent, str) and extent not in c.extents:
                        c.extents[extent] = Number(c.emit(operators.dim(c.value(value), axis)), weak=True)

    def _equate(self) -> None:
        """Whole numbers that are equal to an extent in this call are that extent."""
        for parameter in self.parameters:
            if parameter.same:
                extent = self.c.known_extent(parameter.same)
                assert isinstance(extent, Number)
                self.values[parameter.name] = Number(extent.value, True, parameter.name)

    def _gather_rest(self, frame: Frame) -> None:
        """`*args` takes what is left over."""
        starred = frame.node.args.vararg
        if starred is not None and starred.arg not in self.values:
            named = {argument.arg for argument in frame.node.args.args}
            frame.names[starred.arg] = tuple(v for n, v in self.values.items() if n not in named)

    def _capture(self, array: Any) -> Array:
        """A NumPy array from around the function, as one more argument."""
        dtype = dtype_name(array.dtype)
        if dtype is None or not array.ndim:
            raise Refused(f"an array of {array.dtype} from outside the function has no native form")
        type_ = array_type(dtype, tuple(array.shape))
        return self._array(self._append(type_, f"captured{len(self.program.captured)}"), "")
