"""The kernels of a compiled program as functions of Python."""

from pathlib import Path

from flowc.runtime.kernels import Kernel


def load(path: str | Path) -> dict[str, Kernel]:
    """The kernels of a `.flowc` artifact by name, or of a `.flow` program, which is compiled first.

    Each takes arrays and numbers as its declaration says, and `out=`. Raises FlowError or CompileError.
    """
    file = Path(path)
    if file.suffix == ".flowc":
        from flowc.runtime.artifact import read
        from flowc.runtime.kernel_artifact import kernels_in

        return kernels_in(read(file), str(path))
    from flowc.compiler.driver import compile_text
    from flowc.runtime.kernels import load as load_kernels

    compiled = compile_text(file.read_text(encoding="utf-8"), str(path), folder=file.parent)
    if compiled.kernels is None:
        return {}
    return load_kernels(compiled.kernels.object_code, compiled.kernels.signatures)
