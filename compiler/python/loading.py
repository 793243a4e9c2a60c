"""The kernels of a compiled program as functions of Python."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flowc.compiler.python.mode import Target, require_options

if TYPE_CHECKING:
    from flowc.compiler.driver import Compiled
    from flowc.runtime.artifact import Artifact
    from flowc.runtime.device.code import DeviceCode
    from flowc.runtime.device.placing import Place


def load(
    path: str | Path, *, mode: Literal["native", "interpret"] = "native", target: Target = "cpu"
) -> dict[str, Callable[..., Any]]:
    """The kernels of a `.flowc` artifact by name, or of a `.flow` program, which is compiled first.

    Each takes arrays and numbers as its declaration says, and `out=`. With `mode="interpret"` those of a
    program run by their reference semantics, one operator after the other, for a debugger. `target` is where
    they run otherwise: "cpu", "cuda", or "auto" for wherever a call should end first. Raises FlowError or
    CompileError.
    """
    require_options(precise=False, reproducible=False, mode=mode, target=target)
    file = Path(path)
    if file.suffix == ".flowc":
        if mode == "interpret":
            raise ValueError("an artifact has native code alone; interpret the program it was made of")
        from flowc.runtime.artifact import read
        from flowc.runtime.kernel_artifact import device_kernels_in, kernels_in

        artifact = read(file)
        return _for_target(
            target,
            kernels_in(artifact, str(path)),
            device_kernels_in(artifact),
            lambda: _placer_of(artifact, file.parent),
        )
    text = file.read_text(encoding="utf-8")
    if mode == "interpret":
        from flowc.compiler.driver import check_text
        from flowc.compiler.python.interpreted_kernels import interpreted

        return dict(interpreted(check_text(text, str(path), folder=file.parent)))
    from flowc.compiler.driver import Options, compile_text
    from flowc.runtime.device.choosing import compiled_for
    from flowc.runtime.kernels import load as load_kernels

    compiled = compile_text(text, str(path), folder=file.parent, options=Options(target=compiled_for(target)))
    if compiled.kernels is None:
        return {}
    native = load_kernels(compiled.kernels.object_code, compiled.kernels.signatures)
    return _for_target(target, native, compiled.device, lambda: _placer(compiled))


def _placer(compiled: "Compiled") -> "Place":
    from flowc.compiler.device_placing import placer

    return placer(compiled.checked, compiled.plan.optimisation)


def _placer_of(artifact: "Artifact", folder: Path) -> "Place":
    from flowc.compiler.device_placing import placer_of_text

    plan = artifact.plan
    text = artifact.sources.get(Path(plan.source).name, b"").decode("utf-8", "replace")
    return placer_of_text(text, plan.source, folder, plan.optimisation)


def _for_target(
    target: Target,
    processor: Mapping[str, Callable[..., Any]],
    code: "DeviceCode | None",
    placing: "Callable[[], Place]",
) -> dict[str, Callable[..., Any]]:
    if target == "cpu":
        return dict(processor)
    from flowc.runtime.device.choosing import kernels_for

    return dict(kernels_for(target, processor, code, placing=placing))
