"""`@jit(target="cuda")`: numeric functions compiled for GPUs, for the arrays they get on either side.

Types are read off arrays of the device as off NumPy's. Results lie in rows, whatever NumPy would do.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np
from attrs import frozen
from xdsl.dialects.builtin import ModuleOp, StringAttr

from flowc.compiler.backends import cuda
from flowc.compiler.device_build import unsupported, wanted
from flowc.compiler.device_placing import Placer, card_here
from flowc.compiler.diagnostics.model import CompileError
from flowc.compiler.driver import room
from flowc.compiler.python.jit import Execution, Jit
from flowc.compiler.python.mode import Mode, Target
from flowc.compiler.python.native import built_of
from flowc.compiler.python.source import Sources, locate
from flowc.compiler.python.specialisation import Specialisation
from flowc.compiler.python.specialise import ArgumentType
from flowc.dialects.array.kernel import KernelOp
from flowc.passes.array_to_gpu import Unsupported
from flowc.passes.cost.device_card import Card
from flowc.runtime.device.code import DeviceCode
from flowc.runtime.device.kernel import DeviceKernel
from flowc.runtime.device.loading import load_device
from flowc.runtime.device.placing import Place, Placement, on_device, usual
from flowc.runtime.device.presence import absence, current_site
from flowc.runtime.device.site import Site
from flowc.runtime.kernel_signature import parameter_text

P = ParamSpec("P")
R = TypeVar("R")


@frozen
class Back:
    """How text for GPUs becomes kernels: on which device, from code of which architectures, loaded by what;
    and what that device can do."""

    find: Callable[[], Site] = current_site
    architectures: tuple[str, ...] | None = None
    load: Callable[[DeviceCode], Mapping[str, DeviceKernel]] = load_device
    card: Callable[[], Card] = card_here


class DeviceJit(Jit[P, R]):
    """A numeric function that compiles itself for a GPU, or with `auto` for wherever a call should run."""

    turns = False

    def __init__(
        self,
        function: Callable[P, R],
        options: Mode | None = None,
        execution: Execution = "native",
        *,
        target: Target = "cuda",
        back: Back | None = None,
        place: Place | None = None,
    ) -> None:
        super().__init__(function, options, execution)
        self.target = target
        self.back = back
        self.place = place or self._by_cost
        self.placers: dict[tuple[ArgumentType, ...], Place] = {}
        self.processor = Jit(function, options, execution)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs the code for a GPU, after compiling it where these types are new, or that for the processor.

        Results stay on the GPU where an argument lies there. `out=` takes an array on either side.
        """
        if self.execution == "interpret" or self.placed(args, kwargs).where == "cpu":
            return self.processor(*args, **kwargs)
        return cast(R, self._run(args, dict(kwargs)))

    def placed(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Placement:
        """Where a call runs, and why."""
        if self.target == "cuda":
            return Placement("cuda", "it was asked for")
        missing = absence() if self.back is None else None
        if missing is not None:
            return Placement("cpu", missing.problem.message)
        named = dict(kwargs)
        out = None if "out" in self.names else named.pop("out", None)
        if on_device(out):
            return Placement("cuda", "its result belongs on the GPU")
        return self.place(self.__name__, tuple(self.bound(args, named)))

    def _by_cost(self, kernel: str, arguments: Sequence[Any], ahead: object = None, /) -> Placement:
        """Where a call runs by what the cost model expects, for arguments of these types."""
        if any(map(on_device, arguments)):
            return usual(kernel, arguments)
        found = self.processor.specialisation(tuple(arguments))
        if found.types not in self.placers:
            self.placers[found.types] = self._placer(found.types)
        return self.placers[found.types](kernel, found.taken(tuple(arguments)))

    def _placer(self, types: tuple[ArgumentType, ...]) -> Place:
        with room():
            kernel = built_of(self, self.names, types, self.options).kernel
        kernel.sym_name = StringAttr(self.__name__)
        return Placer(lambda: (kernel,), (self.back or Back()).card, self.options.level)

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = None if "out" in self.names else kwargs.pop("out", None)
        arguments = self._there(self.bound(args, kwargs))
        found = self.specialisation(arguments)
        found.check(self.names, arguments)
        kept = found.taken(arguments)
        if out is not None:
            return self._into(found, kept, out)
        return found.finished(found.kernel(*kept), self.names, arguments)

    def _there(self, given: Sequence[Any]) -> tuple[Any, ...]:
        """The arguments, with arrays of the device as such, and its numbers as NumPy's."""
        device = (self.back or Back()).find().device
        there = [device.find(each) for each in given]
        return tuple(
            each if array is None else array if array.ndim else np.asarray(array.item(), array.dtype)[()]
            for each, array in zip(given, there, strict=True)
        )

    def specialisation(self, arguments: tuple[Any, ...], in_rows: bool = True) -> Specialisation:
        """The code for these arguments, compiled once for each combination of types."""
        return super().specialisation(tuple(map(_described, arguments)), in_rows=True)

    def explain(self, *arguments: Any) -> str:
        """What became of the function for these arguments on a GPU, as text."""
        found = self.specialisation(self._there(self.bound(arguments)))
        source = "compiled" if found.origin == "compiled" else "from the disk cache"
        head = ", ".join(map(parameter_text, found.kernel.signature.params))
        lines = [
            f"{self.__name__}({head})",
            f"  code       {source} in {found.milliseconds:.0f} ms, for a GPU",
        ]
        functions = cast(DeviceKernel, found.kernel).native.library.code.functions
        return "\n".join([*lines, f"  functions  {', '.join(functions)}"]) + "\n"

    def _specialised(self, types: tuple[ArgumentType, ...], options: Mode) -> Specialisation:
        start = time.perf_counter()
        back = self.back or Back()
        with room():
            built = built_of(self, self.names, types, options)
            layouts = [type_.layout for type_ in types if not type_.known]
            layouts += ["contiguous"] * len(built.captured)
            chosen = cuda.Options(options.level, wanted(back.architectures), tuple(layouts))
            try:
                made = cuda.compile_kernels(ModuleOp([built.kernel]), chosen)
            except Unsupported as error:
                raise self._refused(error, built.kernel) from None
        (kernel,) = back.load(made.code).values()
        kept = tuple(position for position, type_ in enumerate(types) if not type_.known)
        took = (time.perf_counter() - start) * 1e3
        origin = "cache" if made.from_cache else "compiled"
        structure, captured, limits = built.structure, built.captured, built.limits
        return Specialisation(types, kernel, kept, structure, captured, origin, took, limits)

    def _refused(self, error: Unsupported, kernel: KernelOp) -> CompileError:
        sources = Sources()
        locate(self.function, sources)
        return sources.relocate(CompileError(sources.joined(), (unsupported(error, kernel),)))


def _described(argument: Any) -> Any:
    """An array that says of itself what one of the device says; nothing reads what is in it."""
    if type(argument) is np.ndarray or not hasattr(argument, "strides") or not argument.ndim:
        return argument
    return np.lib.stride_tricks.as_strided(
        np.empty(1, argument.dtype), tuple(argument.shape), tuple(argument.strides)
    )
