"""The decorator `@jit`, bare or with options."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, overload

from flowc.compiler.python.jit import Execution, Jit
from flowc.compiler.python.mode import Mode, Target, require_options

P = ParamSpec("P")
R = TypeVar("R")


@overload
def jit(function: Callable[P, R], /) -> Jit[P, R]: ...
@overload
def jit(
    *,
    level: int = 2,
    precise: bool = False,
    reproducible: bool = False,
    mode: Execution = "native",
    target: Target = "cpu",
) -> Callable[[Callable[P, R]], Jit[P, R]]: ...
def jit(
    function: Callable[..., Any] | None = None,
    /,
    *,
    level: int = 2,
    precise: bool = False,
    reproducible: bool = False,
    mode: Execution = "native",
    target: Target = "cpu",
) -> Any:
    """Compiles a function of NumPy arrays to native code, for the dtypes, ranks and layouts of each call.

    `level=0` compiles fast and optimises nothing. `precise` keeps strictly to IEEE arithmetic as it is
    written, with sums in a stated order; `reproducible` gives the same bits on every machine.
    `mode="interpret"` runs the function as the Python it is, for a debugger. With `target="cuda"` it is
    compiled for a GPU and takes arrays of CuPy's too; with `"auto"` for wherever a call should end first.
    """
    if isinstance(level, bool) or level not in (0, 1, 2):
        raise ValueError(f"level is 0, 1 or 2, not {level!r}")
    require_options(precise=precise, reproducible=reproducible, mode=mode, target=target)
    options = Mode(level, precise, reproducible)

    def decorated(function: Any) -> Any:
        plain = function.__func__ if isinstance(function, staticmethod) else function
        if target == "cpu":
            return Jit(plain, options, mode)
        from flowc.compiler.python.jit_device import DeviceJit

        return DeviceJit(plain, options, mode, target=target)

    return decorated if function is None else decorated(function)
