"""The kernels of a compiled program as functions of Python."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from flowc.compiler.python.mode import require_options


def load(
    path: str | Path, *, mode: Literal["native", "interpret"] = "native"
) -> dict[str, Callable[..., Any]]:
    """The kernels of a `.flowc` artifact by name, or of a `.flow` program, which is compiled first.

    Each takes arrays and numbers as its declaration says, and `out=`. With `mode="interpret"` those of a
    program run by their reference semantics, one operator after the other, for a debugger. Raises FlowError
    or CompileError.
    """
    require_options(precise=False, reproducible=False, mode=mode)
    file = Path(path)
    if file.suffix == ".flowc":
        if mode == "interpret":
            raise ValueError("an artifact has native code alone; interpret the program it was made of")
        from flowc.runtime.artifact import read
        from flowc.runtime.kernel_artifact import kernels_in

        return dict(kernels_in(read(file), str(path)))
    text = file.read_text(encoding="utf-8")
    if mode == "interpret":
        from flowc.compiler.driver import check_text
        from flowc.compiler.python.interpreted_kernels import interpreted

        return dict(interpreted(check_text(text, str(path), folder=file.parent)))
    from flowc.compiler.driver import compile_text
    from flowc.runtime.kernels import load as load_kernels

    compiled = compile_text(text, str(path), folder=file.parent)
    if compiled.kernels is None:
        return {}
    return dict(load_kernels(compiled.kernels.object_code, compiled.kernels.signatures))
